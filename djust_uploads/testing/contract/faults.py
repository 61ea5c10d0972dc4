"""What :class:`~djust_uploads.testing.SinkContract` does to sinks: bytes, chunks, interruptions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import cache, partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@cache
def data_of(size: int) -> bytes:
    """``size`` bytes, the same each time, in which no two parts are alike."""
    return random.Random(size).randbytes(size)


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def ragged(data: bytes, part_size: int) -> Iterator[bytes]:
    """``data`` in chunks of all lengths: crumbs, nearly a part, more than two."""
    sizes = (1, 2, 1000, part_size - 1, part_size + 1, 1, 2 * part_size + 3)
    random_sizes = random.Random(len(data))
    start = 0
    while start < len(data):
        size = max(1, random_sizes.choice(sizes))
        yield data[start : start + size]
        start += size


def unreadable() -> Any:
    """A chunk whose bytes can't be had: whatever is done with it raises ``ValueError``."""
    chunk = memoryview(b"x")
    chunk.release()
    return chunk


def difference(found: bytes, expected: bytes) -> str:
    """Where two contents part, in words."""
    if len(found) != len(expected):
        return f"it has {len(found)} bytes, {len(expected)} were written"
    first = next(
        at for at, pair in enumerate(zip(found, expected, strict=True)) if pair[0] ^ pair[1]
    )
    return f"its bytes differ from offset {first} of {len(expected)}"


class Interrupted(Generic[T]):
    """Runs ``call`` in a task of its own, which is cancelled where it waits for the ``step``-th
    time (1 is the first). That is what a timeout does to a call that a store doesn't answer.

    ``reached`` tells whether the call waited so often; ``result`` is what it returned, if it did in
    spite of all.
    """

    def __init__(self, call: Awaitable[T], step: int) -> None:
        self._call = call
        self._step = step
        self.reached: bool = False
        self.result: T | None = None

    async def run(self) -> None:
        task = asyncio.create_task(self._await())
        await asyncio.wait([task])
        if not task.cancelled() and not task.exception():
            self.result = task.result()

    async def _await(self) -> T:
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._call.__await__()
        resume: Callable[[], Any] = partial(next, steps)
        for step in range(1, 1_000_000):
            try:
                awaited = resume()
            except StopIteration as end:
                result: T = end.value
                return result
            if step == self._step:
                self._cancel()
            try:
                yield awaited
                resume = partial(next, steps)
            except BaseException as exc:
                resume = partial(steps.throw, exc)
        raise RuntimeError("the call waits for ever")

    def _cancel(self) -> None:
        self.reached = True
        # Takes effect when the task next waits, which it is about to do.
        if task := asyncio.current_task():
            task.cancel()
