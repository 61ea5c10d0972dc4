"""What the writers of all sinks for buckets do alike."""

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
        """Store what is left and return the file. Called again after an error."""

    def _drop(self) -> None:
        """Free the memory of what was gathered."""
        self._gatherer.clear()
        self._unsent.clear()


async def etag_despite(
    error: SinkError, etag_if_ours: Awaitable[str | None], key: str, *, refused: bool
) -> str:
    """Return the ETag of the object ``key`` if it is in the store after all.

    A request has failed with ``error``. What got lost may be the answer only, of this request or of
    an earlier one, so ``etag_if_ours`` asks for the ETag of an object that this upload wrote.
    ``refused`` says that the store refused to overwrite an object. If the object is not ours, this
    raises ``error``, or what it means.
    """
    try:
        etag = await etag_if_ours
    except SinkError as unknown:
        # The refusal may be about an object that we wrote, without ever hearing of it.
        raise (unknown if refused else error) from error.__cause__
    if etag is not None:
        return etag
    raise (key_taken(key) if refused else error) from error.__cause__
