"""One entry's bytes on their way: from the socket, past the validators, into the sink's writer.

The connection feeds chunks in and never waits for the sink; one task takes them out. Between them
lies a buffer that the window bounds: ``limit``, the position up to which the client may send, is
what the sink took plus the window.

Whatever ends a transfer ends it in this task: the writer is finished or aborted, once, and the
client is told, once. :meth:`Transfer.stop` only asks for the end, so a call to the sink is never
torn apart by a disconnect.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from . import frames
from .conf import upload_settings
from .entries import Status
from .exceptions import (
    LimitExceeded,
    SinkError,
    SinkTimeout,
    UploadCancelled,
    UploadError,
    UploadExpired,
)
from .sinks.base import SinkWriter, UploadInfo
from .validators import HEAD_SIZE, check_content, run_validators, xml_guard
from .window import Window, budget, gather_size

if TYPE_CHECKING:
    from .entries import UploadEntry
    from .slots import UploadSlot

logger = logging.getLogger("djust_uploads")

T = TypeVar("T")
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: Seconds between two progress messages of one upload, unless its client is about to stall.
PROGRESS_INTERVAL = 0.1

#: Seconds that the limit may stand still while the client is beyond it, before the upload fails.
OVERSTEPPING_TIMEOUT = 10.0

#: Seconds between two messages to a client that is kept waiting, to find out whether it is there.
LIFE_SIGN_INTERVAL = 1.0

_validating = ThreadPoolExecutor(thread_name_prefix="upload-validator")

#: Bytes to hash at once: hashlib lets other threads run meanwhile, and the hop is worth it.
_HASH_BATCH = 1024 * 1024


class Transfer:
    """Runs from registration until the entry is complete, failed or cancelled."""

    def __init__(
        self,
        entry: UploadEntry,
        slot: UploadSlot,
        send: Send,
        on_end: Callable[[UploadEntry], None],
    ) -> None:
        self.entry = entry
        self.slot = slot
        # Nothing is taken before the head is there, so the client must be allowed to send it.
        least = max(slot.chunk_size, HEAD_SIZE)
        self._window = Window(least, entry.client_size, entry.taken)
        self._send = send
        self._on_end = on_end
        self._chunks: deque[bytes] = deque()
        self._fed = asyncio.Event()
        self._drained = asyncio.Event()
        self._stopped: UploadError | None = None
        self._writer: SinkWriter | None = None
        self._hash = _Hash() if upload_settings().sha256 else None
        self._task = asyncio.create_task(self._run(), name=f"upload {entry.ref}")
        # Also that of a task which is cancelled before it begins.
        self._task.add_done_callback(lambda _: self._window.close())

    @property
    def limit(self) -> int:
        """The position up to which the client may send."""
        return self._window.limit

    # The connection's side.

    def feed(self, index: int, data: bytes) -> None:
        """Take a chunk; never waits. One that is out of order, too long or too much ends the
        transfer; those that come after its end are dropped."""
        if self._stopped:
            return
        with self._ending():
            self.entry.accept_chunk(index, len(data))
            self._chunks.append(data)
            self._window.feed(len(data), self.entry.received)
            self._fed.set()

    def feed_end(self) -> None:
        """The client says that it sent all. If it didn't, that ends the transfer."""
        with self._ending():
            self.entry.accept_complete()
            self._fed.set()

    async def room(self, *, slows: bool = True) -> None:
        """Return when the next frame may be read, which is at once unless the client oversteps
        ``limit``. Not to read its socket is the one way to slow such a client down; ``slows`` says
        whether the server then stops reading too."""
        if self.entry.received <= self.limit:
            return
        if slows:
            await self._slow_down()
        elif budget.overrun:
            self.stop(LimitExceeded("more is buffered than MAX_BUFFERED_BYTES"))

    async def _slow_down(self) -> None:
        limit, stood_still = self.limit, 0.0
        while self.entry.received > self.limit and not (self._stopped or self._task.done()):
            self._drained.clear()
            if await _is_set_within(LIFE_SIGN_INTERVAL, self._drained):
                continue
            stood_still = stood_still + LIFE_SIGN_INTERVAL if limit == self.limit else 0.0
            limit = self.limit
            if stood_still >= OVERSTEPPING_TIMEOUT:
                self.stop(LimitExceeded(f"at {limit} for {OVERSTEPPING_TIMEOUT} s"))
            else:
                # Who isn't read from isn't heard leaving either, but can't be told anything then.
                await self._report()

    def stop(self, error: UploadError) -> None:
        """Ask for the end; :meth:`wait_ended` tells when nothing is left behind."""
        if self._stopped is None:
            self._stopped = error
        self._fed.set()
        self._drained.set()

    async def wait_ended(self) -> None:
        await asyncio.wait([self._task])

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except UploadError as error:
            self.stop(error)

    # The sink's side: everything below runs in the one task.

    async def _run(self) -> None:
        entry = self.entry
        try:
            await self._store()
            self._on_end(entry)
            await self._report()
        except asyncio.CancelledError:
            # The loop is going down; what the sink holds must not outlive it. A complete entry is
            # the manager's.
            if entry.status is not Status.COMPLETE:
                await self._undo()
                entry.fail(UploadCancelled("the server is shutting down"))
                self._on_end(entry)
            raise
        except UploadError as error:
            await self._fail(error)
        except Exception as exc:
            unexpected = SinkError(f"{type(exc).__name__}: {exc}")
            unexpected.__cause__ = exc
            await self._fail(unexpected)
        finally:
            self._chunks.clear()
            self._window.close()
            self._drained.set()

    async def _store(self) -> None:
        entry = self.entry
        head = await self._head()
        await self._check_content(head)
        guard = xml_guard(self.slot, entry, head)
        sink = self.slot.resolve_sink(entry)
        info = UploadInfo(
            upload_name=entry.upload_name,
            client_name=entry.client_name,
            safe_client_name=entry.safe_client_name,
            client_type=entry.client_type,
            content_type=entry.content_type,
            size=entry.client_size,
        )
        self._writer = writer = await self._bounded(sink.open(info))
        async for chunk in self._taken_chunks():
            if guard:
                await asyncio.to_thread(guard.feed, chunk)
            if self._hash:
                await self._hash.update(chunk)
            await self._bounded(writer.write(chunk))
            entry.take(len(chunk), writer.offset)
            await self._move_limit(len(chunk))
        if guard:
            await asyncio.to_thread(guard.feed, b"", final=True)
        if self._hash:
            entry.sha256 = await self._hash.hexdigest()
        entry.finalize()
        await self._report()
        entry.store(await self._bounded(writer.finish()), keeps_file=sink.keeps_files)
        # Before anybody can consume the entry: its file may go with that.
        await self._call_on_complete()
        if self._stopped:
            raise self._stopped
        entry.finish()

    async def _head(self) -> bytes:
        """The first ``HEAD_SIZE`` bytes, or the whole file if it is shorter. They stay buffered."""
        size = min(HEAD_SIZE, self.entry.client_size)
        while self.entry.received < size or (not size and not self.entry.all_received):
            await self._next_feed()
        head = bytearray()
        for chunk in self._chunks:
            if len(head) >= HEAD_SIZE:
                break
            head += chunk[:HEAD_SIZE]
        return bytes(head[:HEAD_SIZE])

    async def _check_content(self, head: bytes) -> None:
        """The application's validators have threads of their own: they may be slow, and only the
        uploads that have some wait for them."""
        await asyncio.to_thread(check_content, self.slot, self.entry, head)
        if self.slot.validators:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(_validating, run_validators, self.slot, self.entry, head)

    async def _taken_chunks(self) -> AsyncIterator[bytes]:
        """Every chunk, in order, until the client said that it sent all and all are taken."""
        while True:
            while self._chunks:
                if self._stopped:
                    raise self._stopped
                yield self._chunks.popleft()
            if self.entry.all_received:
                return
            await self._next_feed()

    async def _next_feed(self) -> None:
        seconds = upload_settings().idle_timeout
        if not self._stopped:
            try:
                async with asyncio.timeout(seconds):
                    await self._fed.wait()
            except TimeoutError as exc:
                raise UploadExpired(f"nothing came for {seconds} s") from exc
            self._fed.clear()
        if self._stopped:
            raise self._stopped

    async def _bounded(self, call: Awaitable[T]) -> T:
        """A call to the sink, at most ``SINK_TIMEOUT`` seconds long."""
        seconds = upload_settings().sink_timeout
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError as exc:
            raise SinkTimeout(f"the sink took longer than {seconds} s") from exc

    async def _move_limit(self, size: int) -> None:
        entry, window = self.entry, self._window
        window.take(size, entry.taken)
        if entry.received <= window.limit:
            self._drained.set()
        due = window.told_at + PROGRESS_INTERVAL
        if window.must_tell(entry.received) or time.monotonic() >= due:
            await self._report()

    async def _report(self) -> None:
        entry = self.entry
        await self._tell(
            frames.progress(
                entry.ref,
                entry.upload_name,
                str(entry.status),
                progress=entry.progress,
                offset=entry.offset,
                limit=self._window.tell(entry.taken),
            )
        )

    async def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            await self._send(message)
        except Exception as exc:
            # A client that oversteps its limit is not read from, so its end is not heard either:
            # that nobody can be told is then the only sign.
            self.stop(UploadCancelled(f"the connection is gone: {exc!r}"))

    async def _call_on_complete(self) -> None:
        if self.slot.on_complete is None:
            return
        try:
            if inspect.iscoroutinefunction(self.slot.on_complete):
                await self.slot.on_complete(self.entry)
            else:
                await sync_to_async(self.slot.on_complete)(self.entry)
        except Exception:
            logger.exception("on_complete of %r raised", self.entry)

    async def _fail(self, error: UploadError) -> None:
        entry = self.entry
        await self._undo()
        entry.fail(error)
        self._on_end(entry)
        if isinstance(error, UploadCancelled):
            logger.info("%r: %s", entry, error)
            await self._report()
            return
        level = logging.ERROR if isinstance(error, SinkError) else logging.WARNING
        logger.log(level, "%r failed (%s): %s", entry, error.code, error, exc_info=error.__cause__)
        await self._tell(frames.failed(entry.ref, error, entry.upload_name))

    async def _undo(self) -> None:
        """Leave nothing in the store: a writer that finished has a file, any other is aborted."""
        try:
            if self.entry.complete:
                await self._bounded(self.entry.file.adelete())
            elif self._writer:
                await self._bounded(self._writer.abort())
        except Exception:
            logger.exception("%r could not be undone; a sweep may find its remains", self.entry)


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


class _Hash:
    """SHA-256 off the event loop, a batch at a time."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._batch: list[bytes] = []
        self._size = 0

    async def update(self, chunk: bytes) -> None:
        self._batch.append(chunk)
        self._size += len(chunk)
        if self._size >= gather_size(_HASH_BATCH):
            batch, self._batch, self._size = self._batch, [], 0
            await asyncio.to_thread(self._update, batch)

    def _update(self, batch: list[bytes]) -> None:
        for chunk in batch:
            self._sha256.update(chunk)

    async def hexdigest(self) -> str:
        await asyncio.to_thread(self._update, self._batch)
        return self._sha256.hexdigest()
