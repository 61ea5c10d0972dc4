"""``RecordingSink``: a sink that records the calls to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..files import MemoryFile
from ..sinks.base import SinkWriter, UploadInfo
from ..sinks.memory import MemorySink, MemoryWriter


class RecordingSink(MemorySink):
    """A memory sink that records the calls to it and to its writers.

    * ``calls``: the calls in order, as ``("open", info)``, ``("write", size)``, ``("finish",)``,
      ``("abort",)``, ``("flush",)`` and ``("release",)``.
    * ``files``: the finished files, each a :class:`~djust_uploads.MemoryFile`.
    * ``delay``: how many seconds each write takes.
    * ``fail``: the names of calls that must fail, each with the exception to raise.
    """

    def __init__(
        self, *, delay: float = 0.0, fail: Mapping[str, BaseException] | None = None
    ) -> None:
        self.delay = delay
        self.fail: dict[str, BaseException] = dict(fail or {})
        self.calls: list[tuple[Any, ...]] = []
        self.files: list[MemoryFile] = []

    def record(self, name: str, *details: Any) -> None:
        """Add a call to ``calls``, and raise its exception if it must fail."""
        self.calls.append((name, *details))
        if name in self.fail:
            raise self.fail[name]

    async def open(self, upload: UploadInfo) -> SinkWriter:
        self.record("open", upload)
        return _RecordingWriter(upload, self)


class _RecordingWriter(MemoryWriter):
    def __init__(self, upload: UploadInfo, sink: RecordingSink) -> None:
        super().__init__(upload)
        self._sink = sink

    async def write(self, chunk: bytes) -> None:
        if self._sink.delay:
            await asyncio.sleep(self._sink.delay)
        self._sink.record("write", len(chunk))
        await super().write(chunk)

    async def finish(self) -> MemoryFile:
        self._sink.record("finish")
        file = await super().finish()
        self._sink.files.append(file)
        return file

    async def abort(self) -> None:
        self._sink.record("abort")
        await super().abort()

    async def flush(self) -> None:
        self._sink.record("flush")

    async def release(self) -> None:
        self._sink.record("release")
        await super().release()
