"""One file on its way into a bucket, by a resumable session.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ...exceptions import NotResumable, SinkError, SinkUnavailable, UploadError
from ..base import SinkWriter, UploadInfo
from ..keys import OWNER, key_taken
from ..parts import Part, PartGatherer
from .api import GRANULE, Answer, crc32c, decoded, encoded, pieces
from .errors import GONE, status_of, without_secret
from .file import GCSFile

if TYPE_CHECKING:
    from .sink import GCSSink

P = ParamSpec("P")
T = TypeVar("T")


class SessionLost(SinkError):
    """The session is gone, and so is what it had. Only a new upload helps."""


class GCSWriter(SinkWriter):
    """Holds at most two parts of ``chunk_size``: one on its way and the one being gathered.

    A process that lost the upload to another one may have a request on its way that arrives late.
    The session takes no byte twice (…/performing-resumable-uploads#considerations), so what is late
    is what we would have sent, or is skipped. Where a client sent something else to each process,
    the CRC32C of the whole, which goes with our last bytes and is compared again with the object's,
    is another one: then there is no file. A session that ended takes nothing more. What the late
    one began itself completes nothing where our object is, unless ``if_generation_match`` is
    ``None``; it then replaces it, and a file read meanwhile fails by its generation.
    """

    takes_views = True

    def __init__(
        self,
        sink: GCSSink,
        upload: UploadInfo,
        key: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        resumed = checkpoint or {}
        self._sink = sink
        self._upload = upload
        self.key = key
        #: The same for all writers of one upload; stored with the object.
        self._owner: str = resumed.get("owner", upload.key)
        #: Its URI is a secret: whoever knows it may write.
        self._session: str | None = resumed.get("session")
        self.offset: int = resumed.get("offset", 0)
        #: CRC32C of the first ``offset`` bytes.
        self._crc: int = resumed.get("crc32c", 0)
        #: Bytes that the session has, as far as we heard; after resuming it may be ahead of
        #: ``offset``, whose CRC32C is known.
        self._stored = self.offset
        #: Whether the session may have more than we heard.
        self._doubt = False
        self._gatherer = PartGatherer(upload.size, sink.chunk_size, self.offset)
        #: Complete parts; the first one may be on its way.
        self._unsent: list[Part] = []
        self._task: asyncio.Task[None] | None = None
        self._running: concurrent.futures.Future[Any] | None = None
        self._error: UploadError | None = None
        #: The object may be there already.
        self._committing = checkpoint is not None
        #: It is.
        self._object: dict[str, Any] | None = None
        self._file: GCSFile | None = None

    async def write(self, chunk: bytes) -> None:
        if self._error:
            raise self._error
        try:
            self._unsent += self._gatherer.feed(chunk)
        except (ValueError, TypeError) as exc:
            raise SinkError(f"{self.key}: {exc}") from exc
        while self._sendable():
            if self._task is None:
                self._task = self._sink.start(self._send_first())
            elif len(self._unsent) == 1 and not self._task.done():
                # The next part is gathered while this one is on its way.
                return
            else:
                await self._landed()
                if self._error:
                    raise self._error

    def _sendable(self) -> bool:
        # The last part makes the object appear; finish() sends it.
        return bool(self._unsent) and not self._is_last(self._unsent[0])

    def _is_last(self, part: Part) -> bool:
        return part.offset + part.size == self._upload.size

    async def _landed(self) -> None:
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
        """Send all that the store keeps of an upload that goes on: whole granules, and not the last
        byte, which would end it."""
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
        """Send a part until the store has all of it. Returns the object if it was the last one."""
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
                # Sessions that begin again and again make no progress.
                if self._stored > best:
                    failures, best = 0, self._stored
            except SinkUnavailable:
                failures += 1
                if not await self._sink.pause_after(failures):
                    raise

    def _learn(self, answer: Answer) -> None:
        self._object = answer.object
        self._stored = answer.stored if answer.object is None else self._upload.size
        self._committing = self._committing or answer.object is not None

    async def _ask(self, part: Part) -> Answer:
        """Make the session have more of the part, or find out what it has."""
        try:
            if self._session is None:
                await self._begin()
            if self._doubt:
                return await self._query()
            return await self._put(part)
        except SinkError as error:
            status = status_of(error)
            if status == 412 or (status in GONE and self._session):
                return await self._despite(error, part)
            raise

    async def _begin(self) -> None:
        resource, params = self._sink.resource(self._upload, self._owner)
        self._session = await self._call(
            self._sink.api.begin, self.key, self._upload.size, resource, params
        )
        self._stored, self._doubt = 0, False

    async def _query(self) -> Answer:
        assert self._session
        answer = await self._call(self._sink.api.query, self._session, self._upload.size)
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
        return self._sink.api.put(self._session, body, start, self._upload.size, crc)

    def _crc_until(self, part: Part, end: int) -> int:
        """CRC32C of the file's bytes up to ``end``."""
        return crc32c(pieces(part.chunks, self.offset - part.offset, end - part.offset), self._crc)

    async def _advance(self, part: Part) -> None:
        """Count what the session has of the part."""
        if self._stored < part.offset:
            raise SessionLost(
                f"{self.key}: the session has {self._stored} bytes, and had {part.offset}"
            )
        end = min(self._stored, part.offset + part.size)
        if end > self.offset:
            self._crc = await self._call(self._crc_until, part, end)
            self.offset = end

    async def _despite(self, error: SinkError, part: Part) -> Answer:
        """What an answer means that ends the session. The object may be there, and ours: also if
        it was another writer that finished this upload."""
        taken = status_of(error) == 412
        # It is asked for once: who sends a part is who tries again.
        found = None
        if self._committing or taken:
            found = await self._call(self._sink.api.get, self.key)
        if ours := self._if_ours(found):
            return Answer(self._upload.size, ours)
        if taken:
            raise key_taken(self.key) from error.__cause__
        if part.offset > 0:
            raise SessionLost(f"{self.key}: its session is gone. {error}") from error.__cause__
        # All of what the session had is still here.
        self._session = None
        raise SinkUnavailable(str(error)) from error.__cause__

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread of the sink, after the one before has ended: a call whose
        waiter was cancelled goes on there."""
        await self._quiet()
        self._running = self._sink.submit(function, *args, **kwargs)
        result: T = await asyncio.wrap_future(self._running)
        return result

    async def _quiet(self) -> None:
        if self._running and not self._running.done():
            await asyncio.gather(asyncio.wrap_future(self._running), return_exceptions=True)

    # Ends

    async def finish(self) -> GCSFile:
        if self._file is None:
            if self._gatherer.received != self._upload.size:
                raise SinkError(f"{self._gatherer.received} bytes of {self._upload.size}")
            await self._landed()
            # What failed before gets another chance.
            self._error = None
            await self._send_whole_parts()
            last = self._unsent[0] if self._unsent else Part(1, self.offset, 0, [])
            stored = await self._store(last)
            assert stored
            await self._verify(stored, last)
            self._unsent.clear()
            self._file = GCSFile(
                self._sink,
                self.key,
                stored,
                self._upload.safe_client_name,
                self._upload.size,
                content_type=self._upload.content_type,
            )
        return self._file

    async def _verify(self, stored: Mapping[str, Any], last: Part) -> None:
        """Compare the object with what we were given; one that is wrong is deleted."""
        crc = await self._call(self._crc_until, last, self._upload.size)
        if (int(stored["size"]), stored["crc32c"]) == (self._upload.size, encoded(crc)):
            self._crc, self.offset = crc, self._upload.size
            return
        await self._sink.call(self._sink.api.delete, self.key, str(stored["generation"]))
        raise SinkError(
            f"{self.key} was stored as {stored['size']} bytes with CRC32C {stored['crc32c']}, "
            f"instead of {self._upload.size} with {encoded(crc)}; it was deleted"
        )

    async def _ours(self) -> dict[str, Any] | None:
        """The object, if it is there and we wrote it."""
        return self._if_ours(await self._sink.call(self._sink.api.get, self.key))

    def _if_ours(self, stored: dict[str, Any] | None) -> dict[str, Any] | None:
        owner = (stored or {}).get("metadata", {}).get(OWNER)
        return stored if owner == self._owner else None

    async def release(self) -> None:
        if self._task:
            self._task.cancel()
            await self._landed()
        self._gatherer.clear()
        self._unsent.clear()

    async def abort(self) -> None:
        await self.release()
        # What is on its way could make the object appear after we looked for it.
        await self._quiet()
        if self._session:
            await self._sink.call(self._sink.api.cancel, self._session)
            self._session = None
        if self._committing:
            if ours := await self._ours():
                await self._sink.call(self._sink.api.delete, self.key, str(ours["generation"]))
            self._committing = False

    # Resuming

    async def checkpoint(self) -> dict[str, Any]:
        """Has the session's URI in it: keep it as a secret."""
        return {
            "key": self.key,
            "owner": self._owner,
            "session": self._session,
            "size": self._upload.size,
            "offset": self.offset,
            "crc32c": self._crc,
        }

    async def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Find out what became of the checkpoint's upload. Raises :class:`NotResumable` if the
        store has less of it, and ``ValueError`` for what is no checkpoint."""
        known = int(checkpoint["offset"]), int(checkpoint["crc32c"]), str(checkpoint["owner"])
        if checkpoint["size"] != self._upload.size or not 0 <= known[0] <= self._upload.size:
            raise ValueError(f"not of a file of {self._upload.size} bytes")
        answer = await self._asked()
        if answer is not None and answer.object is None:
            if answer.stored < self.offset:
                raise NotResumable(f"{self.key}: {answer.stored} bytes of {self.offset} are left")
            # Its CRC32C is that of ``offset`` bytes: those after them must come again.
            self._stored = answer.stored
        elif ours := await self._ours():
            self._take_over(ours)
        elif self._session or self.offset:
            raise NotResumable(f"{self.key}: its session is gone, and there is no object")

    async def _asked(self) -> Answer | None:
        """What the session has; ``None`` if there is none."""
        if not self._session:
            return None
        query = self._sink.api.query
        try:
            return await self._sink.call(query, self._session, self._upload.size)
        except SinkError as error:
            if status_of(error) not in GONE:
                raise
            return None

    def _take_over(self, stored: dict[str, Any]) -> None:
        """Go on with the object, which is all of the file: the store compared its CRC32C with what
        came with the last bytes."""
        self._learn(Answer(self._upload.size, stored))
        if self.offset < self._upload.size:
            self._crc, self.offset = decoded(stored["crc32c"]), self._upload.size
        self._gatherer = PartGatherer(self._upload.size, self._sink.chunk_size, self.offset)
