"""What the writers of all sinks for buckets have in common."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Iterator
from typing import Generic, TypeVar

from ..exceptions import SinkError
from ..files import SinkFile
from .base import SinkWriter, UploadInfo
from .keys import key_taken
from .parts import Part, PartGatherer

F = TypeVar("F", bound=SinkFile)


class BucketWriter(SinkWriter, Generic[F]):
    """Gathers an upload into parts, and finishes it once.

    A subclass sends the parts, and returns the stored file from :meth:`_finish`.
    """

    offset: int

    def __init__(self, upload: UploadInfo, key: str, gatherer: PartGatherer) -> None:
        self.key = key
        self._upload = upload
        self._gatherer = gatherer
        #: Complete parts that the store does not have yet.
        self._unsent: list[Part] = []
        #: Whether the object may be in the store already.
        self._committing = False
        self._file: F | None = None

    def _gather(self, chunk: bytes) -> Iterator[Part]:
        """Take the next bytes, and return the parts that they complete.

        Raises :class:`SinkError` for bytes beyond the upload's size.
        """
        try:
            return self._gatherer.feed(chunk)
        except ValueError as exc:
            raise SinkError(f"{self.key}: {exc}") from exc

    async def finish(self) -> F:
        if self._file is None:
            if self._gatherer.received != self._upload.size:
                raise SinkError(f"{self._gatherer.received} bytes of {self._upload.size}")
            self._file = await self._finish()
            self.offset = self._upload.size
            self._unsent.clear()
        return self._file

    @abc.abstractmethod
    async def _finish(self) -> F:
        """Store the remaining bytes, and return the file. It is called again after an error."""

    def _drop(self) -> None:
        """Free the memory of what was gathered."""
        self._gatherer.clear()
        self._unsent.clear()


async def etag_despite(
    error: SinkError, etag_if_ours: Awaitable[str | None], key: str, *, refused: bool
) -> str:
    """Return the ETag of the object ``key`` if it is in the store although a request failed.

    ``error`` is the error of the request that should have stored the object. The store may have
    stored it, and only the answer was lost. ``etag_if_ours`` asks the store for the ETag, and is
    ``None`` unless this upload wrote the object. ``refused`` says that the store did not overwrite
    an object.

    Raises ``error`` if the object is not ours. If the store ``refused``, raises the error which
    says that another object has the key.
    """
    try:
        etag = await etag_if_ours
    except SinkError as unknown:
        # If the store refused, the object there may be our own, from a request whose answer was
        # lost. So the refusal is not final, and the error of the question is raised instead.
        raise (unknown if refused else error) from error.__cause__
    if etag is not None:
        return etag
    raise (key_taken(key) if refused else error) from error.__cause__
