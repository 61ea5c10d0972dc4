"""What a hostile or broken client does. There is a method for each thing."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Protocol

from ..wire import FrameType


class Client(Protocol):
    """What these methods need of an :class:`~djust_uploads.testing.UploadClient`."""

    def position(self, ref: str) -> int:
        """Return up to which byte the client has sent."""

    def next_index(self, ref: str) -> int:
        """Return the index of the chunk that comes next."""

    def size(self, ref: str) -> int:
        """Return the size that was announced, in bytes."""

    def chunk_size(self, ref: str) -> int:
        """Return how many bytes a chunk has."""

    def endings(self, ref: str) -> list[dict[str, Any]]:
        """Return the messages that ended the upload."""

    async def announce(self, upload_name: str, name: str, size: int, *, ref: str) -> None:
        """Send a registration, and do not wait for the answer."""

    async def send_chunks(
        self,
        ref: str,
        data: bytes,
        *,
        until: int | None = None,
        chunk_size: int = 0,
        honour_limit: bool = True,
    ) -> None:
        """Send chunks of ``data``."""

    async def send_frame(
        self, frame_type: FrameType, ref: str, index: int = 0, data: bytes = b""
    ) -> None:
        """Send one frame."""


class Hostile:
    """Misbehaves in the name of an :class:`~djust_uploads.testing.UploadClient`::

        ref = await page.register("photos", "cat.jpg", 1_000_000)
        await page.hostile.send_oversized_chunk(ref)
        with self.assertRaisesMessage(UploadFailed, "chunk_too_large"):
            await page.ended(ref)

    It is the client's attribute ``hostile``. The docstring of each method says with which error
    code the server must end the upload. The server must send the error once, and must not affect
    other uploads or the connection.
    """

    def __init__(self, page: Client) -> None:
        self._page = page

    # Chunks

    async def send_oversized_chunk(self, ref: str, size: int = 0) -> None:
        """Send a chunk of ``size`` bytes, or of one more than the slot allows.

        The upload must end with ``chunk_too_large``.
        """
        page = self._page
        chunk = bytes(size or page.chunk_size(ref) + 1)
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref), chunk)

    async def skip_chunk(self, ref: str) -> None:
        """Send the chunk after the next one. The upload must end with ``chunk_out_of_order``."""
        page = self._page
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref) + 1, b"skipped")

    async def repeat_chunk(self, ref: str) -> None:
        """Send the last index again, with other bytes.

        The upload must end with ``chunk_out_of_order``. After a resume the server may drop the
        chunk instead, because a client may then send what the server has already.
        """
        page = self._page
        await page.send_frame(FrameType.CHUNK, ref, page.next_index(ref) - 1, b"repeated")

    async def send_crumbs(self, ref: str, data: bytes) -> None:
        """Send the file in chunks of one byte.

        Such a chunk needs much more memory than one byte. The server may take a few thousand of
        them. Then the upload must end with ``too_many_chunks``.
        """
        await self._page.send_chunks(ref, data, chunk_size=1, honour_limit=False)

    async def dribble(self, ref: str, data: bytes, seconds: float = 1.0) -> None:
        """Send a byte of the file every ``seconds`` seconds, until the upload ends.

        The server must not let other uploads wait for this one. It may not end it either, because
        the client is slow and not silent.
        """
        page = self._page
        while page.position(ref) < len(data) and not page.endings(ref):
            await page.send_chunks(ref, data, until=page.position(ref) + 1)
            await asyncio.sleep(seconds)

    # Sizes and limits

    async def complete_early(self, ref: str) -> None:
        """Say that all is sent when it is not. The upload must end with ``size_mismatch``."""
        await self._page.send_frame(FrameType.COMPLETE, ref)

    async def send_too_much(self, ref: str) -> None:
        """Send one byte more than was announced.

        When that byte arrives, the upload must end with ``size_mismatch``.
        """
        size = self._page.size(ref) + 1
        await self._page.send_chunks(ref, bytes(size), honour_limit=False)

    async def overstep(self, ref: str, data: bytes) -> None:
        """Send the file as fast as the socket takes it, whatever the limit is.

        The server must slow the socket down. If it cannot, or the client goes on, the upload must
        end with ``limit_exceeded``. The server's memory must not grow with the file.
        """
        await self._page.send_chunks(ref, data, honour_limit=False)

    # Refs

    async def use_foreign_ref(self, ref: str = "") -> str:
        """Send a frame of each type for a ref that this connection did not register.

        Returns the ref. Another connection may have an upload with it. The server must answer
        ``unknown_upload``, and must not affect the other upload.
        """
        ref = ref or str(uuid.uuid4())
        for frame_type in FrameType:
            await self._page.send_frame(frame_type, ref, 1, b"mine")
        return ref

    async def go_on_after_the_end(self, ref: str) -> None:
        """Send chunks, a completion and a cancel of an upload that has failed or was cancelled.

        The server must not answer any of them.
        """
        for index in range(5):
            await self._page.send_frame(FrameType.CHUNK, ref, index, b"late")
        for frame_type in (FrameType.COMPLETE, FrameType.CANCEL):
            await self._page.send_frame(frame_type, ref)

    # Registrations

    async def announce_and_stay_silent(
        self, upload_name: str, count: int = 1, size: int = 1000
    ) -> list[str]:
        """Register ``count`` files and send none of them. Return the refs, before the answers come.

        The server must admit as many files as the slot has places, and refuse the others with
        ``too_many_files``. After ``IDLE_TIMEOUT`` seconds the admitted ones must end with
        ``expired``.
        """
        refs = [str(uuid.uuid4()) for _ in range(count)]
        for ref in refs:
            await self._page.announce(upload_name, "silent.bin", size, ref=ref)
        return refs
