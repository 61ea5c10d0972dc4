"""Gathers chunks until a call in a thread is worth its cost."""

from __future__ import annotations

import math
import time

from .budget import gather_size

#: Bytes to gather before a thread gets them. A call in a thread costs more than to write one chunk.
GATHER = 4 * 1024 * 1024


class Gathering:
    """The chunks of one upload that wait for a call in a thread.

    :param most: Bytes to gather. If many uploads share the budget, each gathers fewer.
    :param seconds: When the first chunk has waited for so long, the next one makes it time for the
        call, however few bytes they are.
    """

    def __init__(self, most: int = GATHER, seconds: float = math.inf) -> None:
        self.chunks: list[bytes | memoryview] = []
        #: Bytes of the chunks.
        self.size: int = 0
        self._most = most
        self._seconds = seconds
        self._since = 0.0

    def add(self, chunk: bytes | memoryview) -> bool:
        """Add a chunk, and return whether it is time for the call."""
        now = time.monotonic()
        if not self.chunks:
            self._since = now
        self.chunks.append(chunk)
        self.size += len(chunk)
        return self.size >= gather_size(self._most) or now - self._since >= self._seconds

    def take(self) -> list[bytes | memoryview]:
        """Return the chunks, and begin to gather others."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        return chunks
