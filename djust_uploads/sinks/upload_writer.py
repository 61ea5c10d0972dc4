"""``WriterSink``: uploads into a djust ``UploadWriter``. It needs the class, and not djust."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..exceptions import SinkError, UploadError
from ..files import SinkFile
from .base import Sink, SinkWriter, UploadInfo


class WriterSink(Sink):
    """Makes a sink of a djust ``UploadWriter`` class, for ``allow_upload(…, writer=S3Writer)``.

    The methods of the class are synchronous, so they run in a thread. Each upload has one thread.
    """

    keeps_files = True

    def __init__(self, writer_class: type) -> None:
        self._writer_class = writer_class

    async def open(self, upload: UploadInfo) -> SinkWriter:
        # Each upload has a thread of its own, because some SDKs' clients can only be used in the
        # thread that created them.
        executor = ThreadPoolExecutor(1, thread_name_prefix="upload-writer")
        writer = WriterAdapter(self._writer_class, upload, executor)
        try:
            await writer.open()
        except BaseException:
            await writer.abort()
            raise
        return writer


class WriterAdapter(SinkWriter):
    """Calls a djust ``UploadWriter`` for one upload."""

    offset: int

    def __init__(
        self, writer_class: type, upload: UploadInfo, executor: ThreadPoolExecutor
    ) -> None:
        self._writer_class = writer_class
        self._upload = upload
        self._executor = executor
        self._writer: Any = None
        self._index = 0
        self._file: WriterFile | None = None

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, function, *args)
        except UploadError:
            raise
        except Exception as exc:
            raise SinkError(f"{self._writer_class.__name__}: {exc}") from exc

    async def open(self) -> None:
        await self._run(self._open)

    def _open(self) -> None:
        self._writer = self._writer_class(
            upload_id=self._upload.key,
            filename=self._upload.client_name,
            content_type=self._upload.content_type,
            expected_size=self._upload.size,
        )
        self._writer.open()

    async def write(self, chunk: bytes) -> None:
        await self._run(self._write, chunk)
        self.offset += len(chunk)

    def _write(self, chunk: bytes) -> None:
        if _takes_index(self._writer_class):
            self._writer.write_chunk(chunk, chunk_index=self._index)
        else:
            self._writer.write_chunk(chunk)
        self._index += 1

    async def finish(self) -> SinkFile:
        if self._file is None:
            result = await self._run(self._writer.close)
            self._file = WriterFile(self._upload, result)
            self._executor.shutdown(wait=False)
        return self._file

    async def abort(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await self._run(writer.abort, ConnectionAbortedError("the upload did not complete"))
        self._executor.shutdown(wait=False)


@functools.cache
def _takes_index(writer_class: type) -> bool:
    """Return whether ``write_chunk()`` takes ``chunk_index``.

    Writers that were written for older releases of djust do not.
    """
    parameters = inspect.signature(writer_class.write_chunk).parameters  # type: ignore[attr-defined]
    return "chunk_index" in parameters


class WriterFile(SinkFile):
    """What an ``UploadWriter`` has stored. It cannot be read back.

    ``metadata["writer_result"]`` is what the writer's ``close()`` returned.
    """

    def __init__(self, upload: UploadInfo, result: Any) -> None:
        super().__init__(
            upload.safe_client_name,
            upload.size,
            content_type=upload.content_type,
            metadata={"writer_result": result},
        )

    def open_stored(self) -> Any:
        raise ValueError("An UploadWriter's file can't be read back; see entry.writer_result.")

    async def adelete(self) -> None:
        """Do nothing, because djust has no way to delete what a writer has stored."""
