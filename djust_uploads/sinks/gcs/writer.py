"""One file on its way into a bucket, by a resumable session.

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
    """The session is gone, with the bytes that it had. Only a new upload helps."""


class GCSWriter(BucketWriter[GCSFile]):
    """Holds at most two parts of ``chunk_size``: one that is sent and one that is gathered.

    If another process has taken the upload over, a request of this process may arrive late. The
    session takes no byte twice (…/performing-resumable-uploads#considerations), so late bytes are
    the bytes that we would have sent, or they are skipped. If the client sent other bytes to each
    process, the CRC32C of the whole file differs. It goes with our last bytes and is compared again
    with the object's, so there is no file then. A session that has ended takes nothing more. A
    session that the late process has begun itself cannot complete where our object is. Only if
    ``if_generation_match`` is ``None`` it replaces our object, and a file that is read meanwhile
    fails by its generation.
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
        #: The same for all writers of one upload. It is stored with the object.
        self._owner: str = resumed.get("owner", upload.key)
        #: The session's URI. It is a secret: whoever knows it may write.
        self._session: str | None = resumed.get("session")
        #: The CRC32C of the first ``offset`` bytes.
        self._crc: int = resumed.get("crc32c", 0)
        #: Bytes that the session has, as far as we heard. After a resume it may be ahead of
        #: ``offset``, whose CRC32C is known.
        self._stored = self.offset
        #: Whether the session may have more bytes than we heard.
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
                # The next part is gathered while this one is being sent.
                return
            else:
                await self._landed()
                if self._error:
                    raise self._error

    def _sendable(self) -> bool:
        # The last part makes the object appear. finish() sends it.
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
        """Send everything that the store keeps of an upload that goes on.

        That is whole granules, without the last byte of the file, which would end the upload.
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
                # Failures count anew only when there is progress. Sessions that begin again and
                # again make none.
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
        """Find out what an answer means that ends the session.

        The object may be in the store and ours. Another writer of the upload may have finished it.
        """
        taken = status_of(error) == 412
        found = None
        if self._committing or taken:
            # This request is made once. The caller, which sends the part, tries again.
            found = await self._call(self._bucket.api.get, self.key)
        if ours := self._if_ours(found):
            return Answer(self._upload.size, ours)
        if taken:
            raise key_taken(self.key) from error.__cause__
        if part.offset > 0:
            raise SessionLost(f"{self.key}: its session is gone. {error}") from error.__cause__
        # All bytes that the session had are still here.
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
        # A part that failed before gets another chance.
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
        """Compare the object with what we were given, and delete an object that is wrong."""
        crc = await self._call(self._crc_until, last, self._upload.size)
        if (int(stored["size"]), stored["crc32c"]) == (self._upload.size, encoded(crc)):
            self._crc, self.offset = crc, self._upload.size
            return
        api = self._bucket.api
        await self._bucket.call(api.delete, self.key, str(stored["generation"]))
        raise SinkError(
            f"{self.key} was stored as {stored['size']} bytes with CRC32C {stored['crc32c']}, "
            f"instead of {self._upload.size} with {encoded(crc)}; it was deleted"
        )

    async def _ours(self) -> dict[str, Any] | None:
        """Return the object, if it is in the store and this upload wrote it."""
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
        # A request on its way could make the object appear after we have looked for it.
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
            raise ValueError(f"not of a file of {self._upload.size} bytes")
        answer = await self._session_has()
        if answer is not None and answer.object is None:
            if answer.stored < self.offset:
                raise NotResumable(f"{self.key}: {answer.stored} bytes of {self.offset} are left")
            # The known CRC32C is that of ``offset`` bytes. The bytes after them must come again.
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
