"""What must be in a store, and what its files must read, whatever the order of the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...exceptions import UploadError
from .content import CHUNK_SIZE, chunks_of, data_of, upload_info
from .harness import EVERYTHING

if TYPE_CHECKING:
    from ...files import SinkFile
    from ...sinks.base import Sink, SinkWriter, UploadInfo
    from .steps import SinkTests


@dataclass
class Writing:
    """A writer, and how many bytes of the file it was given or began with."""

    writer: SinkWriter
    position: int = 0


@dataclass
class Upload:
    """One upload, as the model knows it."""

    info: UploadInfo
    data: bytes
    sink: Sink
    #: Who has the upload, and who had it before and does not know that it goes on elsewhere.
    owner: Writing
    replaced: list[Writing] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    #: Bytes that the checkpoint tells of, and bytes that any writer was given.
    durable: int = 0
    written: int = 0
    file: SinkFile | None = None
    kept: bool = False
    #: A sweep may have taken it: the store may have all of it, or nothing.
    swept: bool = False

    @property
    def goes_on(self) -> bool:
        return self.file is None and not self.swept


class Model:
    """Several uploads by the sinks of two processes. The methods are what may happen to them, and
    each one asserts what it must lead to."""

    def __init__(self, test: SinkTests, sink: Sink) -> None:
        self._test = test
        self.processes: list[Sink] = [sink, test._other(sink)]
        self.uploads: list[Upload] = []

    # One upload

    async def begin(self, sink: Sink, size: int) -> None:
        info = upload_info(size)
        writer = await self._test._open_info(sink, info)
        upload = Upload(info, data_of(size), sink, Writing(writer))
        self.uploads.append(upload)
        await self.checkpoint(upload)

    async def write(self, upload: Upload, size: int) -> None:
        await self._write_until(upload, min(upload.owner.position + size, len(upload.data)))

    async def _write_until(self, upload: Upload, end: int) -> None:
        owner = upload.owner
        chunks = chunks_of(upload.data[owner.position : end], CHUNK_SIZE)
        await self._test._write(owner.writer, chunks, owner.position)
        owner.position = end
        upload.written = max(upload.written, end)

    async def flush(self, upload: Upload) -> None:
        await self._test._flush(upload.owner.writer, upload.owner.position)

    async def checkpoint(self, upload: Upload) -> None:
        offset = upload.owner.writer.offset
        if checkpoint := await self._test._checkpoint_if_any(upload.owner.writer):
            upload.checkpoint, upload.durable = checkpoint, offset

    async def finish(self, upload: Upload) -> None:
        await self._write_until(upload, len(upload.data))
        upload.file = await self._test._finish(upload.owner.writer, upload.data)
        await self.read(upload)

    async def abort(self, upload: Upload) -> None:
        with self._test._expect("abort()", "it must work at any time."):
            await upload.owner.writer.abort()
        await self._forget(upload)

    async def keep(self, upload: Upload) -> None:
        assert upload.file
        await self._test._keep(upload.file)
        upload.kept = True

    async def delete(self, upload: Upload) -> None:
        assert upload.file
        await self._test._remove(upload.file)
        await self._forget(upload)

    async def read(self, upload: Upload) -> None:
        assert upload.file
        await self._test._has(upload.file, upload.data, "after all that happened to it")
        # The process that reads the file may be the next one that dies.
        await asyncio.to_thread(upload.file.close)

    async def _forget(self, upload: Upload) -> None:
        for each in upload.replaced:
            await self._let_go(each)
        self.uploads.remove(upload)

    # Another process

    async def resume(self, upload: Upload, sink: Sink) -> None:
        assert upload.checkpoint is not None
        upload.info = replace(upload.info, generation=upload.info.generation + 2)
        writer = await self._test._resumed(
            sink, upload.info, upload.checkpoint, upload.durable, len(upload.data)
        )
        upload.replaced.append(upload.owner)
        upload.owner, upload.sink = Writing(writer, writer.offset), sink
        if upload.file is not None:
            assert writer.offset == len(upload.data), (
                f"resume() of a finished file returned a writer at {writer.offset} of "
                f"{len(upload.data)}: look for the file, and begin at its end."
            )
            upload.file = await self._test._finish(writer, upload.data)
            await self.read(upload)

    async def resume_late(self, upload: Upload, sink: Sink) -> None:
        """Somebody who has lost the upload already comes late."""
        assert upload.checkpoint is not None
        info = replace(upload.info, generation=upload.info.generation - 1)
        self._test._doing = "resume()"
        try:
            writer = await sink.resume(info, dict(upload.checkpoint))
        except UploadError:
            return
        except Exception as exc:
            self._test._is_ours(exc, "resume() by a process that comes late")
            raise
        upload.replaced.append(Writing(writer, writer.offset))

    async def write_replaced(self, upload: Upload, size: int) -> None:
        """Who had the upload before writes the file's bytes on, and may be refused."""
        replaced = upload.replaced[-1]
        end = min(replaced.position + size, len(upload.data))
        try:
            for chunk in chunks_of(upload.data[replaced.position : end], CHUNK_SIZE):
                await replaced.writer.write(chunk)
            await replaced.writer.flush()
        except Exception as exc:
            self._test._is_ours(exc, "write() of an upload that goes on elsewhere")
            upload.replaced.remove(replaced)
            await self._let_go(replaced)
        replaced.position = end
        upload.written = max(upload.written, end)

    async def _let_go(self, writing: Writing) -> None:
        with self._test._expect("release()", "it needs no store, so it can't fail."):
            await writing.writer.release()

    async def sweep(self, sink: Sink, older_than: timedelta) -> None:
        await self._test._sweep(sink, older_than)
        self._may_be_swept(sink, older_than)
        for upload in self.uploads:
            if upload.file and not upload.swept:
                await self.read(upload)

    def _may_be_swept(self, sink: Sink, older_than: timedelta) -> None:
        for upload in self.uploads:
            spared = older_than > EVERYTHING or (upload.kept and sink.keeps_files)
            upload.swept = upload.swept or not spared

    # A store that fails

    async def fail(self, call: str, upload: Upload, sink: Sink) -> None:
        """Make one call while the store fails. The next one will find it well."""
        if call == "sweep":
            self._may_be_swept(sink, EVERYTHING)
        failed = await self._fails(call, upload, sink)
        if call == "write" and failed:
            await self.abort(upload)
        elif call == "write":
            upload.owner.position = upload.written = len(upload.data)
        elif call == "abort":
            await self.abort(upload)
        elif call in ("keep", "delete"):
            await getattr(self, call)(upload)
        elif call == "finish":
            await self.finish(upload)

    async def _fails(self, call: str, upload: Upload, sink: Sink) -> bool:
        owner = upload.owner
        if call == "finish":
            await self._write_until(upload, len(upload.data))
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "write": lambda: owner.writer.write(upload.data[owner.position :]),
            "finish": owner.writer.finish,
            "abort": owner.writer.abort,
            "keep": lambda: upload.file.akeep(),  # type: ignore[union-attr]
            "delete": lambda: upload.file.adelete(),  # type: ignore[union-attr]
            "sweep": lambda: sink.sweep(EVERYTHING),
        }
        context = self._test.failing_store(sink if call == "sweep" else upload.sink)
        self._test._doing = f"{call}()"
        assert context is not None
        with context:
            try:
                await calls[call]()
            except Exception as exc:
                self._test._is_outage(exc, f"{call}()")
                return True
        return False

    # The end

    async def end(self) -> None:
        """Look at all files, and delete everything."""
        for upload in list(self.uploads):
            if upload.file is None:
                await self.abort(upload)
            else:
                if not upload.swept:
                    await self.read(upload)
                await self.delete(upload)
        await self._test._nothing_left(
            self.processes[0], "all uploads have ended", "delete all that an upload stored."
        )
