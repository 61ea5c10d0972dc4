"""What a hostile or broken client does: a verb for each thing."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from ..wire import FrameType

if TYPE_CHECKING:
    from .client import UploadClient


class Hostile:
    """``page.hostile`` of an :class:`~djust_uploads.testing.UploadClient`::

        ref = await page.register("photos", "cat.jpg", 1_000_000)
        await page.hostile.send_oversized_chunk(ref)
        with self.assertRaisesMessage(UploadFailed, "chunk_too_large"):
            await page.ended(ref)

    Each verb says with which code the server must end the upload. It tells so once, and nothing
    happens to other uploads and to the connection.
    """

    def __init__(self, page: UploadClient) -> None:
        self._page = page

    # Chunks

    async def send_oversized_chunk(self, ref: str, size: int = 0) -> None:
        """A chunk of ``size`` bytes, or one more than the slot allows: ``chunk_too_large``."""
        page = self._page
        chunk = bytes(size or page.chunk_size(ref) + 1)
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref), chunk)

    async def skip_chunk(self, ref: str) -> None:
        """The chunk after the one whose turn it is: ``chunk_out_of_order``."""
        page = self._page
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref) + 1, b"skipped")

    async def repeat_chunk(self, ref: str) -> None:
        """The last index again, with other bytes: ``chunk_out_of_order``. After a resume the server
        may also drop it, for then a client may send what the server has already."""
        page = self._page
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref) - 1, b"repeated")

    async def send_crumbs(self, ref: str, data: bytes) -> None:
        """The file in chunks of one byte, which each cost more than they carry: the server must
        take a few thousand at most, then ``too_many_chunks``."""
        await self._page.send_chunks(ref, data, chunk_size=1, honour_limit=False)

    async def dribble(self, ref: str, data: bytes, seconds: float = 1.0) -> None:
        """The file, a byte every ``seconds``, until the upload ends. The server must not let
        anybody else wait for it, and may not end it either: it is slow, but not silent."""
        page = self._page
        while page.position(ref) < len(data) and not page.endings(ref):
            await page.send_chunks(ref, data, until=page.position(ref) + 1)
            await asyncio.sleep(seconds)

    # Sizes and limits

    async def complete_early(self, ref: str) -> None:
        """Say that all is sent when it isn't: ``size_mismatch``."""
        await self._page.send_frame(FrameType.COMPLETE, ref)

    async def send_too_much(self, ref: str) -> None:
        """One byte more than was announced: ``size_mismatch``, when that byte comes."""
        size = self._page.size(ref) + 1
        await self._page.send_chunks(ref, bytes(size), honour_limit=False)

    async def overstep(self, ref: str, data: bytes) -> None:
        """The file as fast as the socket takes it, whatever the limit. The server must slow the
        socket down, and if it can't, or the client goes on, ``limit_exceeded``; its memory must not
        grow with it."""
        await self._page.send_chunks(ref, data, honour_limit=False)

    # Refs

    async def use_foreign_ref(self, ref: str = "") -> str:
        """A frame of each type for a ref that this connection didn't register, which somebody else
        may have: ``unknown_upload``, and nothing happens to theirs. Returns the ref."""
        ref = ref or str(uuid.uuid4())
        for frame_type in FrameType:
            await self._page.send_frame(frame_type, ref, 1, b"mine")
        return ref

    async def go_on_after_the_end(self, ref: str) -> None:
        """Chunks, completion and cancelling of an upload that has failed or was cancelled: the
        server must not say anything any more."""
        for index in range(5):
            await self._page.send_frame(FrameType.CHUNK, ref, index, b"late")
        for frame_type in (FrameType.COMPLETE, FrameType.CANCEL):
            await self._page.send_frame(frame_type, ref)

    # Registrations

    async def announce_and_stay_silent(
        self, upload_name: str, count: int = 1, size: int = 1000
    ) -> list[str]:
        """Register ``count`` files and send nothing. The server must admit as many as the slot has
        places, refuse the others as ``too_many_files``, and end the admitted after ``IDLE_TIMEOUT``
        seconds as ``expired``. Doesn't wait for the answers; returns the refs."""
        refs = [str(uuid.uuid4()) for _ in range(count)]
        for ref in refs:
            await self._page.announce(upload_name, "silent.bin", size, ref=ref)
        return refs
