"""The file: read in pieces, hashed on the way, and watched for changes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from .errors import FileChanged

#: Bytes that are read at once.
BLOCK = 1024 * 1024


class Source:
    """An open file of ``size`` bytes. It blocks only in threads."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._stat = os.fstat(file.fileno())
        self._sha256 = hashlib.sha256()
        self._hashed = 0

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> Source:
        """Open the file. Raises :class:`OSError`."""

        def blocking() -> Source:
            resolved = Path(path).resolve()
            return cls(resolved, resolved.open("rb", buffering=0))

        return await asyncio.to_thread(blocking)

    def close(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        return self._stat.st_size

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        """What tells this file from others, and from what it was before: its path, its size and
        when it was changed."""
        return str(self.path), self.size, self._stat.st_mtime_ns

    def check_unchanged(self) -> None:
        """Raise :class:`.FileChanged` if somebody wrote to the file since it was opened."""
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise FileChanged(f"{self.path}: {self.size} bytes before, {now.st_size} bytes now")

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` to ``end``. Raises :class:`.FileChanged`."""
        while start < end:
            piece = await asyncio.to_thread(self._read, start, min(BLOCK, end - start))
            start += len(piece)
            yield piece

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``. Raises :class:`.FileChanged`."""
        return b"".join([piece async for piece in self.pieces(start, end)])

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        piece = self._file.read(size)
        if not piece:
            raise FileChanged(f"{self.path} ends at byte {start}, and had {self.size} bytes")
        if start <= self._hashed < start + len(piece):
            self._sha256.update(memoryview(piece)[self._hashed - start :])
            self._hashed = start + len(piece)
        return piece

    async def sha256(self) -> bytes:
        """Return the digest of the whole file. What was not read yet is read now."""
        async for _piece in self.pieces(self._hashed, self.size):
            pass
        return self._sha256.digest()
