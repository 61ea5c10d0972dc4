"""``GCSWriter``: writes one file into a bucket, by a resumable session.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ...exceptions import NotResumable, SinkError, SinkUnavailable, UploadError
from ..bucket_writer import BucketWriter
from ..keys import OWNER, key_taken
from ..parts import Part, PartGatherer
from ..sending import OneAtATime
from .api import GRANULE, Answer, crc32c, decoded, encoded, pieces
from .errors import GONE, status_of, without_secret
from .file import GCSFile

if TYPE_CHECKING:
    from ..base import UploadInfo
    from .bucket import Bucket

P = ParamSpec("P")
T = TypeVar("T")


class SessionLost(SinkError):
    """The session is gone, and so are the bytes that it had. The upload must begin again."""


class GCSWriter(BucketWriter[GCSFile]):
    """Gathers one part of ``chunk_size`` bytes while it sends another one.

    If another process has resumed the upload, a request of the process before may arrive late at
    the store. It cannot damage the file:

    * A session takes no byte twice (…/performing-resumable-uploads#considerations). Late bytes are
      skipped, or they are stored in place of the same bytes from us.
    * If the client has sent different bytes to the two processes, the CRC32C of the whole file is
      wrong. We send it with the last bytes, and compare it with the object's. So there is no file
      then.
    * A session that has ended takes no more bytes.
    * If the late process has begun a session of its own, that session cannot create an object where
      ours is. Only if ``if_generation_match`` is ``None``, it replaces our object. A file that is
      being read then has another generation, and the read fails.
    """

    takes_views = True
    offset: int

    def __init__(
        self,
        bucket: Bucket,
        upload: UploadInfo,
        key: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        resumed = checkpoint or {}
        self.offset: int = resumed.get("offset", 0)
        super().__init__(
            upload, key, PartGatherer(upload.size, bucket.options.chunk_size, self.offset)
        )
        self._bucket = bucket
        #: The owner that is stored with the object. All writers of one upload have the same one.
        self._owner: str = resumed.get("owner", upload.key)
        #: The session's URI. It is a secret, because it allows anybody to write.
        self._session: str | None = resumed.get("session")
        #: The CRC32C of the first ``offset`` bytes.
        self._crc: int = resumed.get("crc32c", 0)
        #: Bytes that the session has, by the last answer. After a resume there may be more than
        #: ``offset``, because the CRC32C is known only up to ``offset``.
        self._stored = self.offset
        #: Whether the session may have more bytes than that.
        self._doubt = False
        self._task: asyncio.Task[None] | None = None
        self._requests = OneAtATime()
        self._error: UploadError | None = None
        self._committing = checkpoint is not None
        #: The object, once it is known to be in the store.
        self._object: dict[str, Any] | None = None

    async def write(self, chunk: bytes) -> None:
        if self._error:
            raise self._error
        self._unsent += self._gather(chunk)
        while self._sendable():
            if self._task is None:
                self._task = self._bucket.sending.start(self._send_first())
            elif len(self._unsent) == 1 and not self._task.done():
                # The next part can be gathered while this one is being sent.
                return
            else:
                await self._landed()
                if self._error:
                    raise self._error

    def _sendable(self) -> bool:
        # The last part creates the object, so finish() sends it.
        return bool(self._unsent) and not self._is_last(self._unsent[0])

    def _is_last(self, part: Part) -> bool:
        return part.offset + part.size == self._upload.size

    async def _landed(self) -> None:
        """Wait for the part that is being sent."""
        if self._task:
            await asyncio.wait([self._task])
            self._task = None

    async def _send_first(self) -> None:
        part = self._unsent[0]
        try:
            await self._store(part)
            self._unsent.pop(0)
        except UploadError as error:
            self._error = error
        except Exception as exc:
            self._error = SinkError(without_secret(f"{self.key} from {part.offset}: {exc!r}"))
            self._error.__cause__ = exc

    async def flush(self) -> None:
        """Send as many bytes as the store keeps of an unfinished upload.

        That is a multiple of ``GRANULE``. The last byte of the file is not sent, because it would
        finish the upload.
        """
        await self._landed()
        if self._error:
            return
        await self._send_whole_parts()
        part = self._unsent[0] if self._unsent else self._gatherer.part
        end = min(self._gatherer.received, self._upload.size - 1) // GRANULE * GRANULE
        if self._object is None and end > max(part.offset, self._stored):
            await self._store(Part(part.number, part.offset, end - part.offset, part.chunks))

    async def _send_whole_parts(self) -> None:
        while self._sendable():
            await self._store(self._unsent[0])
            self._unsent.pop(0)

    # One part

    async def _store(self, part: Part) -> dict[str, Any] | None:
        """Send a part until the store has all of it. Return the object if it was the last part."""
        failures, best = 0, self._stored
        while True:
            try:
                if self._object is None:
                    self._learn(await self._ask(part))
                if self._object and self._is_last(part):
                    return self._object
                await self._advance(part)
                if self.offset >= part.offset + part.size and not self._is_last(part):
                    return None
                # Failures are counted from 0 again only if there was progress. A session that
                # begins again is no progress.
                if self._stored > best:
                    failures, best = 0, self._stored
            except SinkUnavailable:
                failures += 1
                if not await self._bucket.pause_after(failures):
                    raise

    def _learn(self, answer: Answer) -> None:
        self._object = answer.object
        self._stored = answer.stored if answer.object is None else self._upload.size
        self._committing = self._committing or answer.object is not None

    async def _ask(self, part: Part) -> Answer:
        """Send bytes of the part to the session, or find out what the session has."""
        try:
            if self._session is None:
                await self._begin()
            if self._doubt:
                return await self._query()
            return await self._put(part)
        except SinkError as error:
            status = status_of(error)
            if status == 412 or (status in GONE and self._session):
                return await self._explain(error, part)
            raise

    async def _begin(self) -> None:
        resource, params = self._bucket.resource(self._upload, self._owner)
        begin = self._bucket.api.begin
        self._session = await self._call(begin, self.key, self._upload.size, resource, params)
        self._stored, self._doubt = 0, False

    async def _query(self) -> Answer:
        assert self._session
        answer = await self._call(self._bucket.api.query, self._session, self._upload.size)
        self._doubt = False
        return answer

    async def _put(self, part: Part) -> Answer:
        end = part.offset + part.size
        last = self._is_last(part)
        if self._stored >= end and not last:
            return Answer(self._stored)
        self._doubt = True
        self._committing = self._committing or last
        answer = await self._call(self._put_blocking, part, self._stored, end, last)
        if answer.object is None and answer.stored <= self._stored:
            raise SinkUnavailable(f"{self.key}: the store keeps nothing of what is sent")
        self._doubt = False
        return answer

    def _put_blocking(self, part: Part, start: int, end: int, last: bool) -> Answer:
        assert self._session
        crc = self._crc_until(part, end) if last else None
        body = pieces(part.chunks, start - part.offset, end - part.offset)
        return self._bucket.api.put(self._session, body, start, self._upload.size, crc)

    def _crc_until(self, part: Part, end: int) -> int:
        """Return the CRC32C of the file's bytes up to ``end``."""
        return crc32c(pieces(part.chunks, self.offset - part.offset, end - part.offset), self._crc)

    async def _advance(self, part: Part) -> None:
        """Count the bytes of the part that the session has."""
        if self._stored < part.offset:
            raise SessionLost(
                f"{self.key}: the session has {self._stored} bytes, and had {part.offset}"
            )
        end = min(self._stored, part.offset + part.size)
        if end > self.offset:
            self._crc = await self._call(self._crc_until, part, end)
            self.offset = end

    async def _explain(self, error: SinkError, part: Part) -> Answer:
        """Find out why the session has ended, and return what the store has.

        Another writer of this upload may have finished the object. If there is no object and no
        byte is lost, raises :class:`SinkUnavailable`, and the caller begins a new session.
        """
        taken = status_of(error) == 412
        found = None
        if self._committing or taken:
            # This request is not repeated here, because the caller repeats all of it.
            found = await self._call(self._bucket.api.get, self.key)
        if ours := self._if_ours(found):
            return Answer(self._upload.size, ours)
        if taken:
            raise key_taken(self.key) from error.__cause__
        if part.offset > 0:
            raise SessionLost(f"{self.key}: its session is gone. {error}") from error.__cause__
        # The session had no bytes but those of this part, which are still here.
        self._session = None
        raise SinkUnavailable(str(error)) from error.__cause__

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread of the bucket, after the call before it has ended."""

        async def begin() -> asyncio.Future[T]:
            return asyncio.wrap_future(self._bucket.submit(function, *args, **kwargs))

        result: T = (await self._requests.run(begin)).result()
        return result

    # The end

    async def _finish(self) -> GCSFile:
        await self._landed()
        # A part that failed before is sent again.
        self._error = None
        await self._send_whole_parts()
        last = self._unsent[0] if self._unsent else Part(1, self.offset, 0, [])
        stored = await self._store(last)
        assert stored
        await self._verify(stored, last)
        return GCSFile(
            self._bucket,
            self.key,
            stored,
            self._upload.safe_client_name,
            self._upload.size,
            content_type=self._upload.content_type,
        )

    async def _verify(self, stored: Mapping[str, Any], last: Part) -> None:
        """Compare the object's size and CRC32C with ours.

        A wrong object is deleted by :meth:`abort` only. It may be the file of a process that has
        taken the upload over from this one.
        """
        crc = await self._call(self._crc_until, last, self._upload.size)
        if (int(stored["size"]), stored["crc32c"]) == (self._upload.size, encoded(crc)):
            self._crc, self.offset = crc, self._upload.size
            return
        raise SinkError(
            f"{self.key} was stored as {stored['size']} bytes with CRC32C {stored['crc32c']}, "
            f"instead of {self._upload.size} with {encoded(crc)}"
        )

    async def _ours(self) -> dict[str, Any] | None:
        """Return the object if this upload wrote it, or ``None``."""
        return self._if_ours(await self._bucket.call(self._bucket.api.get, self.key))

    def _if_ours(self, stored: dict[str, Any] | None) -> dict[str, Any] | None:
        owner = (stored or {}).get("metadata", {}).get(OWNER)
        return stored if owner == self._owner else None

    async def release(self) -> None:
        if self._task:
            self._task.cancel()
            await self._landed()
        self._drop()

    async def abort(self) -> None:
        await self.release()
        # A request that still runs could create the object after we have looked for it.
        await self._requests.quiet()
        api = self._bucket.api
        if self._session:
            await self._bucket.call(api.cancel, self._session)
            self._session = None
        if self._committing:
            if ours := await self._ours():
                await self._bucket.call(api.delete, self.key, str(ours["generation"]))
            self._committing = False

    # Resuming

    async def checkpoint(self) -> dict[str, Any]:
        """Return what another process needs. The session's URI in it is a secret."""
        return {
            "key": self.key,
            "owner": self._owner,
            "session": self._session,
            "size": self._upload.size,
            "offset": self.offset,
            "crc32c": self._crc,
        }

    async def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Find out what the store has of the checkpoint's upload.

        Raises :class:`NotResumable` if the store has less than the checkpoint says, and
        ``ValueError`` for what is not a checkpoint.
        """
        known = int(checkpoint["offset"]), int(checkpoint["crc32c"]), str(checkpoint["owner"])
        if checkpoint["size"] != self._upload.size or not 0 <= known[0] <= self._upload.size:
            raise ValueError(f"not the checkpoint of a file of {self._upload.size} bytes")
        answer = await self._session_has()
        if answer is not None and answer.object is None:
            if answer.stored < self.offset:
                raise NotResumable(f"{self.key}: {answer.stored} of {self.offset} bytes are left")
            # We know the CRC32C of the first ``offset`` bytes only. The client sends the bytes
            # after them again.
            self._stored = answer.stored
        elif ours := await self._ours():
            self._take_over(ours)
        elif self._session or self.offset:
            raise NotResumable(f"{self.key}: its session is gone, and there is no object")

    async def _session_has(self) -> Answer | None:
        """Return what the session has, or ``None`` if there is no session."""
        if not self._session:
            return None
        query = self._bucket.api.query
        try:
            return await self._bucket.call(query, self._session, self._upload.size)
        except SinkError as error:
            if status_of(error) not in GONE:
                raise
            return None

    def _take_over(self, stored: dict[str, Any]) -> None:
        """Go on with the object, which is the whole file.

        The store has compared its CRC32C with the one that came with the last bytes.
        """
        self._learn(Answer(self._upload.size, stored))
        if self.offset < self._upload.size:
            self._crc, self.offset = decoded(stored["crc32c"]), self._upload.size
        chunk_size = self._bucket.options.chunk_size
        self._gatherer = PartGatherer(self._upload.size, chunk_size, self.offset)
