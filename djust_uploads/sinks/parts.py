"""Chunks become provider-sized parts. No I/O, no provider: numbers and bytes only."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(slots=True)
class Part:
    """The bytes ``offset`` to ``offset + size`` of a file; ``number`` counts from 1."""

    number: int
    offset: int
    size: int
    chunks: list[bytes | memoryview]

    def body(self) -> PartBody:
        return PartBody(self.chunks, self.size)


class PartBody:
    """A part as an SDK wants a request's body: a file that it may seek, or an asynchronous iterable
    of chunks. Both over the chunks as they came: a joined copy would be a part's memory more."""

    def __init__(self, chunks: Sequence[bytes | memoryview], size: int) -> None:
        self._chunks = chunks
        self._size = size
        self._position = 0

    def __len__(self) -> int:
        return self._size

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        for chunk in self._chunks:
            yield chunk

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        everything = size is None or size < 0
        end = self._size if everything else min(self._position + (size or 0), self._size)
        start, self._position = self._position, max(self._position, end)
        return b"".join(self._pieces(start, end))

    def _pieces(self, start: int, end: int) -> Iterator[memoryview]:
        offset = 0
        for chunk in self._chunks:
            if start < offset + len(chunk) and offset < end:
                yield memoryview(chunk)[max(0, start - offset) : end - offset]
            offset += len(chunk)


def part_size_for(size: int, part_size: int, max_parts: int) -> int:
    """``part_size``, grown to whole MiB where a file of ``size`` bytes would need more than
    ``max_parts`` parts of it."""
    if size <= part_size * max_parts:
        return part_size
    return math.ceil(size / max_parts / MIB) * MIB


class PartGatherer:
    """Gathers chunks into equal parts; only the last one may be shorter.

    ``size`` is the whole file's; gathering begins at the byte ``start``, a multiple of
    ``part_size``. A file without bytes has no parts.
    """

    def __init__(self, size: int, part_size: int, start: int = 0) -> None:
        self.received: int = start
        self._size = size
        self._part_size = part_size
        #: The one that is being gathered: it has the bytes up to ``received``.
        self.part: Part = self._next(start)

    def _next(self, offset: int) -> Part:
        size = min(self._part_size, self._size - offset)
        return Part(offset // self._part_size + 1, offset, size, [])

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Take the next bytes; yield every part that they complete. Raises ``ValueError`` for bytes
        beyond ``size``, before any of them is taken."""
        if self.received + len(chunk) > self._size:
            raise ValueError(f"{self.received + len(chunk)} bytes of {self._size}")
        return self._feed(memoryview(chunk), chunk)

    def _feed(self, rest: memoryview, chunk: bytes) -> Iterator[Part]:
        while rest:
            part = self.part
            missing = part.offset + part.size - self.received
            whole = len(chunk) == len(rest) <= missing
            part.chunks.append(chunk if whole else rest[:missing])
            self.received += min(len(rest), missing)
            rest = rest[missing:]
            if self.received == part.offset + part.size:
                self.part = self._next(self.received)
                yield part

    def clear(self) -> None:
        """Let go of what was gathered."""
        self.part.chunks.clear()


class Prefix:
    """How far the parts that landed reach without a gap, whatever the order they landed in."""

    def __init__(self, offset: int = 0, parts: int = 0) -> None:
        #: Bytes, contiguous from 0.
        self.offset: int = offset
        #: Number of the last part in the prefix.
        self.parts: int = parts
        self._beyond: dict[int, int] = {}

    def land(self, part: Part) -> None:
        if part.number > self.parts:
            self._beyond[part.number] = part.size
        while (size := self._beyond.pop(self.parts + 1, None)) is not None:
            self.parts += 1
            self.offset += size
