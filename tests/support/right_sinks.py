"""Three sinks that are right and work in other ways than ours: by a worker task, in threads only,
and eagerly, part by part. They share a store in memory, and all that is not the sending."""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import threading
import time

from djust_uploads import Sink, SinkFile, SinkWriter
from djust_uploads.exceptions import NotResumable, SinkError, SinkMisconfigured, SinkUnavailable

PART = 1000


class DepotDown(Exception):
    pass


class Refused(Exception):
    pass


class Gone(Exception):
    pass


class Incomplete(Exception):
    pass


@contextlib.contextmanager
def translated():
    """Raise the depot's errors as ours."""
    try:
        yield
    except DepotDown as exc:
        raise SinkUnavailable(f"the depot: {exc}") from exc
    except Refused as exc:
        raise SinkMisconfigured(f"the depot: {exc}") from exc
    except (Gone, Incomplete) as exc:
        raise SinkError(f"the depot: {exc!r}") from exc


class Depot:
    """A store that takes parts under names, and makes a file of those that a seal names."""

    PAGE = 4

    def __init__(self):
        self.parts, self.files, self.born, self.deleted = {}, {}, {}, set()
        self.down = self.deaf = self.closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def asked(self):
        with self._lock:
            if self.down:
                raise DepotDown("no answer")
            if self.closed:
                raise Refused("who are you?")
            yield
            if self.deaf:
                raise DepotDown("the answer got lost")

    @contextlib.contextmanager
    def failing(self, attribute="down"):
        setattr(self, attribute, True)
        yield
        setattr(self, attribute, False)

    def put(self, key, name, part):
        with self.asked():
            self.check(key)
            self.born.setdefault(key, time.time())
            self.parts.setdefault(key, {})[name] = part

    def seal(self, key, names, size):
        with self.asked():
            self.check(key)
            parts = self.parts.setdefault(key, {})
            content = b"".join(parts[name] for name in names)
            if size not in (len(content), None):
                raise Incomplete(key)
            self.born.setdefault(key, time.time())
            self.files.setdefault(key, content)

    def check(self, key):
        if key in self.deleted:
            raise Gone(key)

    def look(self, key):
        with self.asked():
            self.check(key)
            sizes = {name: len(part) for name, part in self.parts.get(key, {}).items()}
            return sizes, key in self.files

    def read(self, key):
        with self.asked():
            return self.files[key]

    def keep(self, key):
        with self.asked():
            self.born.pop(key, None)

    def delete(self, key):
        with self.asked():
            self.deleted.add(key)
            for things in (self.parts, self.files, self.born):
                things.pop(key, None)

    def page(self, after):
        with self.asked():
            keys = sorted(key for key in self.born if key > after)[: self.PAGE]
            return {key: time.time() - self.born[key] for key in keys}

    def names(self):
        return [*self.parts, *self.files]


class DepotSink(Sink):
    """What the three do alike. ``ask`` is how they call the depot."""

    keeps_files = True

    def __init__(self, depot=None):
        self.depot = depot or Depot()

    async def ask(self, function, *arguments):
        await asyncio.sleep(0)
        with translated():
            answer = function(*arguments)
        await asyncio.sleep(0)
        return answer

    async def open(self, upload):
        return self.writer_class(self, upload)

    async def resume(self, upload, checkpoint):
        if checkpoint.get("key") != upload.key:
            raise NotResumable(f"no checkpoint of a depot: {checkpoint}")
        try:
            sizes, sealed = await self.ask(self.depot.look, upload.key)
        except SinkError as error:
            if isinstance(error.__cause__, Gone):
                raise NotResumable(str(error)) from error
            raise
        parts = checkpoint.get("parts", [])
        if any(sizes.get(name) != size for name, size in parts):
            raise NotResumable(f"parts of {upload.key} are gone")
        writer = self.writer_class(self, upload)
        writer.parts, writer.offset = list(parts), sum(size for _, size in parts)
        if sealed:
            writer.offset, writer.file = upload.size, self.file_class(self, upload)
        return writer

    async def sweep(self, older_than, *, dry_run=False):
        swept, last = [], ""
        while page := await self.ask(self.depot.page, last):
            swept += [key for key, age in page.items() if age >= older_than.total_seconds()]
            last = max(page)
        for key in [] if dry_run else swept:
            await self.ask(self.depot.delete, key)
        return swept


class DepotWriter(SinkWriter):
    """Sends each part before it takes more."""

    #: Whether it has the depot compare sizes.
    checks_size = True

    def __init__(self, sink, upload):
        self.sink, self.upload = sink, upload
        self.depot, self.key, self.word = sink.depot, upload.key, secrets.token_hex(4)
        self.buffer, self.parts, self.file = bytearray(), [], None

    async def write(self, chunk):
        self.buffer += chunk
        while len(self.buffer) >= PART:
            await self.send()

    async def send(self):
        part, name = bytes(self.buffer[:PART]), f"{self.word}-{self.offset}"
        await self.sink.ask(self.depot.put, self.key, name, part)
        self.parts.append([name, len(part)])
        self.offset += len(part)
        del self.buffer[: len(part)]

    async def flush(self):
        while self.buffer:
            await self.send()

    async def finish(self):
        if self.file is None:
            await self.flush()
            names = [name for name, _ in self.parts]
            size = self.upload.size if self.checks_size else None
            await self.sink.ask(self.depot.seal, self.key, names, size)
            self.file = self.sink.file_class(self.sink, self.upload)
        return self.file

    async def abort(self):
        await self.release()
        await self.sink.ask(self.depot.delete, self.key)

    async def release(self):
        self.buffer.clear()

    async def checkpoint(self):
        return {"key": self.key, "parts": [list(part) for part in self.parts]}


class DepotFile(SinkFile):
    def __init__(self, sink, upload):
        super().__init__(upload.safe_client_name, upload.size, content_type=upload.content_type)
        self.sink, self.key = sink, upload.key

    @property
    def url(self):
        return f"https://depot.example/{self.key}"

    def open_stored(self):
        return io.BytesIO(self.sink.depot.read(self.key))

    async def akeep(self):
        await self.sink.ask(self.sink.depot.keep, self.key)

    async def adelete(self):
        self.close()
        await self.sink.ask(self.sink.depot.delete, self.key)


DepotSink.writer_class, DepotSink.file_class = DepotWriter, DepotFile
DepotWriter.sink_class = DepotSink


# Which begins in the store when it is opened


class BeginningSink(DepotSink):
    async def open(self, upload):
        try:
            await self.ask(self.depot.put, upload.key, "begun", b"")
        except BaseException:
            # The store may have done it, and this may take longer than one step of the event loop.
            await asyncio.sleep(0)
            with contextlib.suppress(DepotDown, Refused):
                self.depot.delete(upload.key)
            await asyncio.sleep(0)
            self.depot.deleted.discard(upload.key)
            raise
        return await super().open(upload)


# In threads only


class ThreadSink(DepotSink):
    async def ask(self, function, *arguments):
        with translated():
            return await asyncio.to_thread(function, *arguments)


# By a worker


class WorkerWriter(DepotWriter):
    """Puts parts into a queue, from which a task sends them."""

    LENGTH = 2

    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.queue, self.worker, self.error = [], None, None

    async def write(self, chunk):
        self.buffer += chunk
        while len(self.buffer) >= PART:
            self.queue.append(bytes(self.buffer[:PART]))
            del self.buffer[:PART]
            await self.drain(self.LENGTH)

    async def drain(self, length):
        """Wait until no more than ``length`` parts are in the queue."""
        while len(self.queue) > length or (self.queue and self.worker is None):
            if self.error:
                raise self.error
            if self.worker is None:
                self.worker = asyncio.create_task(self.work())
                self.worker.add_done_callback(self.worked)
            if len(self.queue) > length:
                await asyncio.wait([self.worker])

    def worked(self, worker):
        self.worker = None
        if not worker.cancelled() and worker.exception():
            self.error = worker.exception()

    async def work(self):
        while self.queue:
            part, name = self.queue[0], f"{self.word}-{self.offset}"
            await self.sink.ask(self.depot.put, self.key, name, part)
            self.parts.append([name, len(part)])
            self.offset += len(part)
            self.queue.pop(0)

    async def flush(self):
        self.error = None
        if self.buffer:
            self.queue.append(bytes(self.buffer))
            self.buffer.clear()
        while self.queue or self.worker:
            await self.drain(0)
            await asyncio.sleep(0)

    async def release(self):
        await super().release()
        self.queue.clear()
        if self.worker:
            self.worker.cancel()
            await asyncio.wait([self.worker])


class WorkerSink(DepotSink):
    writer_class = WorkerWriter


WorkerWriter.sink_class = WorkerSink


# Eagerly, part by part


class EagerWriter(DepotWriter):
    """Sends several parts at once, each in a task. The offset is where the first gap begins."""

    AT_ONCE = 3

    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.start, self.waiting, self.tasks, self.landed = None, {}, {}, {}

    async def write(self, chunk):
        self.buffer += chunk
        while len(self.buffer) >= PART:
            await self.begin(PART)

    async def begin(self, size):
        while len(self.tasks) >= self.AT_ONCE:
            await asyncio.wait(self.tasks.values(), return_when=asyncio.FIRST_COMPLETED)
            self.settle()
        if self.start is None:
            self.start = self.offset
        self.waiting[self.start] = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.tasks[self.start] = asyncio.create_task(self.put(self.start))
        self.start += len(self.waiting[self.start])

    async def put(self, at):
        name, part = f"{self.word}-{at}", self.waiting[at]
        await self.sink.ask(self.depot.put, self.key, name, part)
        self.landed[at] = [name, len(part)]
        del self.waiting[at]
        while self.offset in self.landed:
            part = self.landed.pop(self.offset)
            self.parts.append(part)
            self.offset += part[1]

    def settle(self):
        """Forget the tasks that are done. Raises the error of one that failed."""
        errors = []
        for at, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[at]
                errors += [task.exception()] if not task.cancelled() and task.exception() else []
        if errors:
            raise errors[0]

    async def flush(self):
        if self.buffer:
            await self.begin(len(self.buffer))
        await self.quiet()
        # What failed before is sent again.
        for at in self.waiting:
            self.tasks[at] = asyncio.create_task(self.put(at))
        await self.quiet()

    async def quiet(self):
        while self.tasks:
            await asyncio.wait(self.tasks.values())
            with contextlib.suppress(SinkUnavailable):
                self.settle()

    async def finish(self):
        await self.flush()
        if self.waiting:
            raise SinkUnavailable(f"{len(self.waiting)} parts of {self.key} are missing")
        return await super().finish()

    async def release(self):
        await super().release()
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
        self.waiting.clear()


class EagerSink(DepotSink):
    writer_class = EagerWriter


EagerWriter.sink_class = EagerSink
