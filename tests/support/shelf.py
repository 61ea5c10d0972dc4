"""The memory sink with a store behind it: what lies there can be seen, resumed and swept."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from dataclasses import dataclass, field

from djust_uploads.exceptions import NotResumable, SinkError, SinkUnavailable
from djust_uploads.files import SinkFile
from djust_uploads.sinks import MemorySink, SinkWriter


@dataclass
class Item:
    content: bytes = b""
    kept: bool = False
    born: float = field(default_factory=time.time)
    writer: ShelfWriter | None = None
    generation: int = 0


class ShelfSink(MemorySink):
    keeps_files = True

    def __init__(self):
        self.shelf: dict[str, Item] = {}
        self.down = False

    async def reach(self):
        """Every call to the store goes through here: it takes a moment, and may fail."""
        await asyncio.sleep(0)
        if self.down:
            raise SinkUnavailable("the shelf is out of reach")

    @contextlib.contextmanager
    def failing(self):
        self.down = True
        yield
        self.down = False

    async def open(self, upload):
        return ShelfWriter(self, upload)

    async def resume(self, upload, checkpoint):
        await self.reach()
        if checkpoint.get("key") != upload.key or upload.key not in self.shelf:
            raise NotResumable(f"nothing on the shelf for {checkpoint}")
        item = self.shelf[checkpoint["key"]]
        if upload.generation < item.generation:
            raise NotResumable(f"{upload.key} goes on elsewhere")
        if not checkpoint.get("offset", 0) <= len(item.content) <= upload.size:
            raise NotResumable(f"{upload.key} has {len(item.content)} bytes after {checkpoint}")
        writer = await self.open(upload)
        item.writer, item.generation = writer, upload.generation
        writer.offset = len(item.content)
        return writer

    async def sweep(self, older_than, *, dry_run=False):
        before = time.time() - older_than.total_seconds()
        old = [k for k, item in self.shelf.items() if item.born <= before and not item.kept]
        for key in () if dry_run else old:
            del self.shelf[key]
        return old


class ShelfWriter(SinkWriter):
    #: Whether finish() looks for what somebody else has taken away.
    checks_size = True

    def __init__(self, sink, upload):
        self.sink, self.upload = sink, upload
        self.file = None

    async def write(self, chunk):
        chunk = bytes(chunk)
        await self.sink.reach()
        item = self.sink.shelf.setdefault(self.upload.key, Item(writer=self))
        self.check(item)
        item.content += chunk
        self.offset += len(chunk)

    def check(self, item):
        """Somebody else may go on with it by now."""
        if item.writer is not self:
            raise SinkError(f"{self.upload.key} was taken over")

    async def finish(self):
        if self.file is None:
            await self.sink.reach()
            if not self.upload.size:
                self.sink.shelf.setdefault(self.upload.key, Item())
            item = self.sink.shelf.get(self.upload.key)
            if self.checks_size and (item is None or len(item.content) != self.upload.size):
                raise SinkError(f"the shelf has not all bytes of {self.upload.key}")
            self.file = ShelfFile(self.sink, self.upload)
        return self.file

    async def abort(self):
        await self.sink.reach()
        self.sink.shelf.pop(self.upload.key, None)

    async def checkpoint(self):
        if not self.offset:
            await self.write(b"")
        return {"key": self.upload.key, "offset": self.offset}


class ShelfFile(SinkFile):
    def __init__(self, sink, upload):
        size = len(sink.shelf[upload.key].content)
        super().__init__(upload.safe_client_name, size, content_type=upload.content_type)
        self.sink, self.upload = sink, upload

    def open_stored(self):
        return io.BytesIO(self.sink.shelf[self.upload.key].content)

    async def akeep(self):
        if item := self.sink.shelf.get(self.upload.key):
            item.kept = True

    async def adelete(self):
        self.close()
        self.sink.shelf.pop(self.upload.key, None)
