"""One request and its upload, from the moment at which the request has it until it is parked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ...exceptions import SinkUnavailable, UploadError, UploadLocked
from ...flow.budget import budget
from ...flow.threads import in_thread
from ...settings import upload_settings
from ...slots.entry import UploadEntry
from ...transfer.transfer import Transfer
from ...uploads.manager import UploadManager
from ...wire import Registration
from .digests import MAX_COMPARED
from .intents import Append
from .problems import BodyTooLarge, InconsistentLength, RequestTimeout, Superseded
from .request import Request


class Exchange:
    """Moves the body of one request into the core, and waits for what the core has to say.

    ``progressed`` is called with the offset whenever the core reports it.
    """

    def __init__(
        self, manager: UploadManager, progressed: Callable[[int], Awaitable[None]] | None = None
    ) -> None:
        self._manager = manager
        self._progressed = progressed
        self._transfer: Transfer | None = None
        self._changed = asyncio.Event()
        #: The time that the client has for its next block, while the body is read.
        self._timeout: asyncio.Timeout | None = None

    @property
    def transfer(self) -> Transfer:
        assert self._transfer
        return self._transfer

    @property
    def entry(self) -> UploadEntry:
        return self.transfer.entry

    async def create(self, registration: Registration) -> None:
        """Let the slot admit a file. Raises the error for which it refuses the file."""
        self._transfer = await self._manager.admit(registration, self._hear)

    async def take_over(self, ref: str) -> None:
        """Go on with an upload. An older request that has it ends.

        Raises what :meth:`~djust_uploads.uploads.manager.UploadManager.take_over` raises.
        """
        self._transfer = await self._manager.take_over(ref, self._hear)
        while not self.entry.restored:
            await self._change()

    async def _hear(self, message: Mapping[str, Any]) -> None:
        """Note that the core has something to tell. What it is, the transfer and its entry say."""
        self._changed.set()
        if self._transfer is None:
            return
        if self._timeout and self._error():
            # The body of a request that is over need not be read.
            self._timeout.reschedule(asyncio.get_running_loop().time())
        elif self._progressed:
            await self._progressed(self.entry.offset)

    def _error(self) -> UploadError | None:
        """Return why the request cannot go on with the upload, or ``None``."""
        if self._manager.authorization.ended:
            return self._manager.authorization.ended
        if self.transfer.listener is not self._manager:
            return Superseded("a newer request has it")
        error = self.transfer.client.stopped
        return Superseded(str(error)) if isinstance(error, UploadLocked) else error

    async def check(self) -> None:
        """Raise why the request cannot go on with the upload, if it cannot.

        If the upload has failed, this returns when nothing is left of it.
        """
        if self.transfer.client.stopped and self.transfer.listener is self._manager:
            # Why it has failed is certain only then: another process may have taken it over.
            await self.transfer.wait_ended()
        if error := self._error():
            raise error

    async def _change(self) -> None:
        """Return when the core has told something. Raises what has ended the upload."""
        await self._changed.wait()
        self._changed.clear()
        await self.check()

    # The body

    async def write(self, request: Request, append: Append, most: int | None) -> None:
        """Store the request's body, or as much of it as comes.

        ``most`` is the largest body that the server can take, in bytes. Raises an
        :class:`UploadError`, and :class:`~.request.Disconnected` if the client has gone. The upload
        can go on after :class:`WrongOffset`, :class:`InconsistentLength`, :class:`BodyTooLarge`,
        :class:`DigestMismatch` and :class:`RequestTimeout`.
        """
        self.entry.go_on_at(append.offset)
        self._check_lengths(request.content_length, append)
        if most is not None and (request.content_length or 0) > most:
            raise BodyTooLarge(f"{request.content_length} bytes, over {most}")
        if append.digest:
            await self._write_compared(request, append)
        else:
            await self._write_blocks(request)
        if append.completes and self.entry.received != self.entry.client_size:
            raise InconsistentLength(f"it ends at {self.entry.received}")

    def _check_lengths(self, content_length: int | None, append: Append) -> None:
        size = self.entry.client_size
        if append.length is not None and append.length != size:
            raise InconsistentLength(f"{append.length} bytes instead of {size}")
        if content_length is None:
            return
        end = append.offset + content_length
        if end > size or (append.completes and end != size):
            raise InconsistentLength(f"the body ends at {end}, and the file at {size}")

    async def _write_blocks(self, request: Request) -> None:
        seconds = upload_settings().idle_timeout
        try:
            async with asyncio.timeout(None) as self._timeout:
                async with contextlib.aclosing(request.blocks(self._timeout, seconds)) as blocks:
                    async for block in blocks:
                        await self.feed(block)
                        del block
        except TimeoutError:
            await self.check()
            raise RequestTimeout(f"nothing came for {seconds} s") from None
        finally:
            self._timeout = None

    async def feed(self, block: bytes | memoryview) -> None:
        """Store the next bytes. Waits while the sink has more than it can take."""
        # While the request has waited for them, a newer one may have taken the upload. What follows
        # is that one's, though nobody has ended this one yet.
        await self.check()
        client = self.transfer.client
        client.append(block)
        if client.overstepped:
            await client.drained()
        await self.check()

    async def _write_compared(self, request: Request, append: Append) -> None:
        """Store the body if it is what its digest says. Until that is known, memory holds it."""
        assert append.digest
        size = request.content_length
        held = MAX_COMPARED if size is None else min(size, MAX_COMPARED)
        if not budget.fits(held):
            raise SinkUnavailable("MAX_BUFFERED_BYTES are held: no room to compare a digest")
        budget.hold(held)
        try:
            error = BodyTooLarge(f"a body with a digest is over {MAX_COMPARED} bytes")
            body = await request.whole(MAX_COMPARED, error, upload_settings().idle_timeout)
            await in_thread(append.digest.check, body)
            await self.check()
            step = self.transfer.slot.chunk_size
            for start in range(0, len(body), step):
                await self.feed(memoryview(body)[start : start + step])
        finally:
            budget.release(held)

    # The end

    async def finish(self) -> None:
        """Return when the file is stored. All of its bytes have arrived.

        Raises the error that ends the upload.
        """
        if not self.entry.all_received:
            self.transfer.client.feed_end()
        while not self.transfer.is_complete:
            await self._change()

    async def discard(self) -> None:
        """End the upload, and return when nothing of it is left."""
        await self._manager.discard(self.entry.ref)
