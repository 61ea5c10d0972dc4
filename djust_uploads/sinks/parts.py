"""Gathers chunks into parts of the size that a provider wants. Nothing here does I/O."""

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
        """Return the part as the body of a request."""
        return PartBody(self.chunks, self.size)


class PartBody:
    """A part as the body of a request.

    Some SDKs read it as a file that can seek, others as an asynchronous iterable of bytes. Both
    read the chunks as they came. A joined copy would need the memory of another part.
    """

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
    """Return how many bytes each part of a file of ``size`` bytes gets.

    That is ``part_size``, unless the file would need more than ``max_parts`` parts. Then it is the
    smallest number of whole MiB that suffices.
    """
    if size <= part_size * max_parts:
        return part_size
    return math.ceil(size / max_parts / MIB) * MIB


class PartGatherer:
    """Gathers chunks into parts of ``part_size`` bytes. The last part may be shorter.

    ``size`` is the size of the file in bytes. Gathering begins at the byte ``start``. An empty file
    has no parts.
    """

    def __init__(self, size: int, part_size: int, start: int = 0) -> None:
        self.received: int = start
        self._size = size
        self._part_size = part_size
        #: The part that is being gathered. It has the bytes up to ``received``.
        self.part: Part = self._next(start)

    def _next(self, offset: int) -> Part:
        size = min(self._part_size, self._size - offset)
        return Part(offset // self._part_size + 1, offset, size, [])

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """Take the next bytes, and return an iterator over the parts that they complete.

        Raises ``ValueError`` if there would be more than ``size`` bytes. Then none are taken.
        """
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
        """Drop the bytes that were gathered."""
        self.part.chunks.clear()


class Prefix:
    """Counts the parts that are stored without a gap, in whatever order they were stored."""

    def __init__(self, offset: int = 0, parts: int = 0) -> None:
        #: How many bytes are stored without a gap, from 0 on.
        self.offset: int = offset
        #: The number of the last part among them.
        self.parts: int = parts
        self._beyond: dict[int, int] = {}

    def land(self, part: Part) -> None:
        """Note that a part is stored."""
        if part.number > self.parts:
            self._beyond[part.number] = part.size
        while (size := self._beyond.pop(self.parts + 1, None)) is not None:
            self.parts += 1
            self.offset += size
