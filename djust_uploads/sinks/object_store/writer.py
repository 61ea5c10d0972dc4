"""One file on its way into a bucket by obstore: one request if it fits in a part, else a multipart
upload."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from ...exceptions import SinkError, SinkMisconfigured
from ...flow.budget import budget
from ..base import SinkWriter, UploadInfo
from ..keys import key_taken
from ..marks import mark_of
from ..parts import Part, PartGatherer, part_size_for
from ..s3.rules import MAX_PARTS
from .errors import is_missing, is_taken, status_of
from .file import ObjectStoreFile

if TYPE_CHECKING:
    from .sink import ObjectStoreSink

logger = logging.getLogger("djust_uploads")

#: Bytes of a part to hand to obstore at once.
PIECE = 1024 * 1024


class Aborted(Exception):
    """Ends a multipart upload: obstore aborts it, and raises what its iterable raised."""


class Stream:
    """A multipart upload on its way. obstore asks it for the next piece, as an asynchronous
    iterable, and begins a part whenever it has enough; while ``max_concurrency`` parts are on their
    way it doesn't ask.

    One piece waits here at most.
    """

    def __init__(self) -> None:
        #: What becomes of it. Not to be cancelled: obstore would drop the requests, and leave the
        #: multipart upload to the store.
        self.outcome: asyncio.Future[dict[str, str | None]]
        self._piece: bytes | memoryview | None = None
        self._ending = self._aborting = False
        self._given = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()

    def watch(self, outcome: asyncio.Future[dict[str, str | None]], held: int) -> None:
        """``held``: bytes of the budget that it may have on its way."""
        self.outcome = outcome
        budget.hold(held)
        outcome.add_done_callback(lambda _: budget.release(held))
        # Nobody asks for pieces any more.
        outcome.add_done_callback(lambda _: self._taken.set())

    async def give(self, piece: bytes | memoryview) -> None:
        """Return when the piece before this one was taken, or the upload has failed."""
        await self._taken.wait()
        if not self.outcome.done():
            self._piece = piece
            self._taken.clear()
            self._given.set()

    def end(self) -> None:
        self._ending = True
        self._given.set()

    def abort(self) -> None:
        self._aborting = True
        self._given.set()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes | memoryview:
        await self._given.wait()
        if self._aborting:
            raise Aborted
        piece, self._piece = self._piece, None
        if piece is None:
            raise StopAsyncIteration
        if not self._ending:
            self._given.clear()
        self._taken.set()
        return piece


class ObjectStoreWriter(SinkWriter):
    """Holds at most ``max_concurrency`` parts, on their way or being gathered, fewer where they
    don't fit in the budget of all uploads, and three pieces: one gathered here, one in the stream,
    and one that obstore keeps while it has enough.

    Its ``offset`` is 0 until it finishes: which parts have landed, obstore doesn't say. For the
    same reason a multipart upload that failed can't go on; obstore has aborted it then.
    """

    def __init__(self, sink: ObjectStoreSink, upload: UploadInfo, key: str) -> None:
        self._sink = sink
        self._upload = upload
        self.key = key
        self._part_size = part_size_for(upload.size, sink.part_size, MAX_PARTS)
        self._is_multipart = upload.size > self._part_size
        # Each piece costs a hop between obstore's threads and the event loop. That is dearer than
        # to join a few chunks; a part that is one request is handed over as it came.
        self._gatherer = PartGatherer(upload.size, PIECE if self._is_multipart else self._part_size)
        #: Pieces to hand over, or all of the file.
        self._unsent: list[Part] = []
        self._stream: Stream | None = None
        self._running: asyncio.Future[Any] | None = None
        #: The mark may be there.
        self._marked = False
        #: The object may be there, or an empty one that holds its place.
        self._committing = False
        self._file: ObjectStoreFile | None = None

    async def write(self, chunk: bytes) -> None:
        try:
            for piece in self._gatherer.feed(chunk):
                self._unsent.append(piece)
                if self._is_multipart:
                    await self._hand_over()
        except ValueError as exc:
            raise SinkError(f"{self.key}: {exc}") from exc
        if self._stream and self._stream.outcome.done():
            self._result(self._stream.outcome)

    async def _hand_over(self) -> None:
        """Give obstore what is unsent; waits while it has enough on its way."""
        stream = await self._begin()
        while self._unsent:
            chunks = self._unsent[0].chunks
            await stream.give(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            self._unsent.pop(0)

    async def _begin(self) -> Stream:
        if self._stream is None:
            await self._mark()
            if not self._is_unguessable:
                await self._claim()
            stream, concurrency = Stream(), self._concurrency()
            outcome = await self._sink.start(
                "put_async",
                self.key,
                stream,
                attributes=self._sink.attributes(self._upload),
                use_multipart=True,
                chunk_size=self._part_size,
                max_concurrency=concurrency,
            )
            stream.watch(outcome, concurrency * self._part_size)
            self._stream = stream
        return self._stream

    def _concurrency(self) -> int:
        """As many parts at once as fit in the budget now; obstore can't be told later. One part may
        always be on its way, so that this upload waits for nobody else's."""
        most = min(self._sink.max_concurrency, math.ceil(self._upload.size / self._part_size))
        while most > 1 and not budget.fits(most * self._part_size):
            most -= 1
        return most

    @property
    def _is_unguessable(self) -> bool:
        return self._upload.key in self.key

    async def _mark(self) -> None:
        if mark := self._sink.mark(self._upload.key):
            self._marked = True
            try:
                await self._call("put_async", mark, mark_of(self.key), use_multipart=False)
            except SinkError as error:
                self._marked = not 400 <= status_of(error) < 500
                raise

    async def _claim(self) -> None:
        """Hold the place of a key that somebody else may use: with an empty object, as a multipart
        upload by obstore overwrites what there is."""
        try:
            await self._put([], "create")
        except SinkError as error:
            await self._despite(error, 0)

    async def _put(self, chunks: list[bytes | memoryview], mode: str) -> str:
        """One request; returns the ETag, which some stores leave empty."""
        self._committing = True
        attributes = self._sink.attributes(self._upload)
        options = {"attributes": attributes, "use_multipart": False, "mode": mode}
        result = await self._call("put_async", self.key, chunks, **options)
        return str(result["e_tag"] or "")

    async def finish(self) -> ObjectStoreFile:
        if self._file is None:
            if self._gatherer.received != self._upload.size:
                raise SinkError(f"{self._gatherer.received} bytes of {self._upload.size}")
            try:
                etag = await (self._complete() if self._is_multipart else self._put_all())
            except SinkError as error:
                etag = await self._despite(error, self._upload.size)
            self._unsent.clear()
            self.offset = self._upload.size
            self._file = ObjectStoreFile(
                self._sink,
                self.key,
                self._upload.key,
                etag,
                self._upload.safe_client_name,
                self._upload.size,
                content_type=self._upload.content_type,
            )
        return self._file

    async def _put_all(self) -> str:
        await self._mark()
        # What never overwrites is not repeated when a connection breaks; what may, is.
        mode = "overwrite" if self._is_unguessable else "create"
        return await self._put(self._unsent[0].chunks if self._unsent else [], mode)

    async def _complete(self) -> str:
        await self._hand_over()
        assert self._stream
        self._committing = True
        self._stream.end()
        await asyncio.wait([self._stream.outcome])
        return str(self._result(self._stream.outcome)["e_tag"] or "")

    async def _despite(self, error: SinkError, size: int) -> str:
        """The ETag if the object is there after all, complete and ours; else raises ``error``, or
        what it means. The answer may be what got lost."""
        if isinstance(error, SinkMisconfigured) or not self._committing:
            raise error
        try:
            stored = await self._stored()
        except SinkError as unknown:
            # The refusal may have been for an object that we wrote and never heard of.
            raise (unknown if is_taken(error) else error) from error.__cause__
        if stored and stored["size"] == size:
            return str(stored["e_tag"] or "")
        raise (key_taken(self.key) if is_taken(error) else error) from error.__cause__

    async def _stored(self) -> dict[str, Any] | None:
        """What the store says of the object, if it is there and we wrote it."""
        try:
            result = await self._call("get_async", self.key, options={"head": True})
        except SinkError as error:
            # Without leave to list the bucket, S3's answer for a key that is free is 403.
            if is_missing(error) or status_of(error) == 403:
                return None
            raise
        ours = result.attributes.get(self._sink.owner) == self._upload.key
        return dict(result.meta) if ours else None

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """A request, after the one before: one whose waiter was cancelled goes on."""
        await self._quiet()
        self._running = await self._sink.start(operation, *args, **kwargs)
        await self._quiet()
        return self._result(self._running)

    async def _quiet(self) -> None:
        if self._running:
            await asyncio.wait([self._running])

    def _result(self, ended: asyncio.Future[Any]) -> Any:
        with self._sink.translated(self.key):
            return ended.result()

    async def abort(self) -> None:
        if self._stream:
            await self._abort_stream(self._stream)
            self._stream = None
        # What is on its way could make the object appear after we looked for it.
        await self._quiet()
        self._gatherer.clear()
        self._unsent.clear()
        if self._committing:
            if await self._stored():
                await self._sink.delete(self.key)
            self._committing = False
        if self._marked:
            await self._sink.unmark(self._upload.key)
            self._marked = False

    async def _abort_stream(self, stream: Stream) -> None:
        was_done = stream.outcome.done()
        stream.abort()
        await asyncio.wait([stream.outcome])
        error = stream.outcome.exception()
        if error and not was_done and not isinstance(error, Aborted):
            logger.warning("%s was aborted, but parts of it may remain: %s", self.key, error)
        if error and self._sink.keeps_blocks:
            await self._put([], "overwrite")
