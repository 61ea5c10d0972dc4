"""Sinks that are wrong in one way each, and what the contract must say of them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time

from django.core.checks import Warning

from djust_uploads.exceptions import NotResumable, SinkError, SinkUnavailable
from djust_uploads.files import MemoryFile
from djust_uploads.sinks import MemorySink, Sink, SinkWriter
from tests.support.right_sinks import DepotFile, DepotSink, DepotWriter
from tests.support.shelf import Item, ShelfFile, ShelfSink, ShelfWriter

#: Name → the sink, the tests that must catch it (as pytest's -k has them), a pattern of the message
#: that says what to mend.
BROKEN: dict[str, tuple[type[Sink], str, str]] = {}


def broken(test: str, message: str):
    """Register a sink, or a writer or file and a sink around it."""

    def register(cls):
        BROKEN[cls.__name__] = (_sink_with(cls), test, message)
        return cls

    return register


def _sink_with(cls):
    if issubclass(cls, MemorySink | DepotSink):
        return cls
    if issubclass(cls, DepotWriter):
        values = {"writer_class": cls, "time_limit": getattr(cls, "time_limit", 60.0)}
        return type(f"{cls.__name__}Sink", (cls.sink_class,), values)
    if issubclass(cls, DepotFile):
        return type(f"{cls.__name__}Sink", (DepotSink,), {"file_class": cls})
    if issubclass(cls, ListWriter):
        return _sink_with_writer(MemorySink, lambda sink, upload: cls(upload))
    if issubclass(cls, ShelfWriter):
        return _sink_with_writer(ShelfSink, cls)

    class Writer(ShelfWriter):
        async def finish(self):
            if not isinstance(self.file, cls):
                await super().finish()
                self.file = cls(self.sink, self.upload)
            return self.file

    return _sink_with_writer(ShelfSink, Writer)


def _sink_with_writer(base, writer):
    class Broken(base):
        async def open(self, upload):
            return writer(self, upload)

    return Broken


class ListWriter(SinkWriter):
    """Right by itself. What is written stays a list, so that there is much to do wrong."""

    def __init__(self, upload):
        self._upload = upload
        self._chunks: list[bytes] = []
        self._file: MemoryFile | None = None

    async def write(self, chunk):
        self._chunks.append(chunk)
        self.offset += len(chunk)

    async def finish(self):
        if self._file is None:
            content = b"".join(self._chunks)
            name, content_type = self._upload.safe_client_name, self._upload.content_type
            self._file = MemoryFile(name, content, content_type=content_type)
        return self._file

    async def abort(self):
        self._chunks.clear()


# Bytes


@broken("size", "Store each chunk once, in order")
class LosesTheLastChunk(ListWriter):
    async def finish(self):
        self._chunks[1:] = self._chunks[1:-1]
        return await super().finish()


@broken("size", "it has 0 bytes, 1 were written")
class DropsShortChunks(ListWriter):
    async def write(self, chunk):
        if len(chunk) > 1:
            self._chunks.append(chunk)
        self.offset += len(chunk)


@broken("size", "its bytes differ from offset 0")
class StoresChunksBackwards(ListWriter):
    async def finish(self):
        self._chunks.reverse()
        return await super().finish()


@broken("flush_between", "when flush.. comes between its chunks")
class LosesBytesInFlush(ListWriter):
    async def flush(self):
        del self._chunks[3:]


@broken("flush_between", "what the store does not take now may stay in the writer")
class FailsWithNothingToFlush(ListWriter):
    async def flush(self):
        if not self._chunks:
            raise RuntimeError("nothing to flush")


@broken("one_chunk_of_many_parts", "when a chunk is longer than a part: it has 65536 bytes")
class CutsChunksToParts(ListWriter):
    async def write(self, chunk):
        await super().write(chunk)
        self._chunks[-1] = chunk[: 64 * 1024]


@broken("size", "nothing was written")
class FailsOnEmptyFiles(ListWriter):
    async def finish(self):
        assert self._chunks or self._file or self.offset, "nothing was written"
        return await super().finish()


# Offsets


@broken("size", "add to it only what the store has taken")
class CountsBytesTwice(ListWriter):
    async def write(self, chunk):
        await super().write(chunk)
        self.offset += len(chunk)


@broken("ragged", "it must never go back")
class TakesOffsetsBack(ListWriter):
    async def write(self, chunk):
        await super().write(chunk)
        self.offset %= 64 * 1024


@broken("size", "everything is stored then, so set it to the size")
class NeverMovesItsOffset(ListWriter):
    async def write(self, chunk):
        self._chunks.append(chunk)
        len(chunk)


@broken("takes_nothing", "add to it after the store has answered")
class CountsBeforeItStores(ShelfWriter):
    async def write(self, chunk):
        self.offset += len(chunk)
        await self.sink.reach()
        self.offset -= len(chunk)
        await super().write(chunk)


@broken("flush_between", "add to it only what the store has taken by it")
class CountsEverythingInFlush(ListWriter):
    async def flush(self):
        self.offset = self._upload.size


# Ends


@broken("finish_twice", "keep the file that the first call returned")
class FinishesOnce(ListWriter):
    async def finish(self):
        if self._file:
            raise RuntimeError("already finished")
        return await super().finish()


@broken("finish_twice", "stored a second file when it was called again")
class StoresASecondFile(ShelfWriter):
    async def finish(self):
        if self.file:
            self.sink.shelf["copy"] = Item()
        return await super().finish()


@broken("store_fails and finish", "drop nothing before the store has it")
class GivesUpOnFinish(ShelfWriter):
    failed = False

    async def finish(self):
        if self.failed:
            raise SinkError("failed before")
        try:
            return await super().finish()
        except SinkUnavailable:
            self.failed = True
            raise


class FlushingWriter(ShelfWriter):
    """Keeps the first chunk until it is flushed or finished."""

    kept = None

    async def write(self, chunk):
        if not self.kept and not self.offset:
            self.kept = bytes(chunk)
        else:
            await self.flush()
            await super().write(chunk)

    async def finish(self):
        await self.flush()
        return await super().finish()


@broken("store_fails and flush", "flush.. met a store that failed.*offset is .* after finish")
class DropsWhatItCannotFlush(FlushingWriter):
    checks_size = False

    async def flush(self):
        kept, self.kept = self.kept, None
        if kept:
            await ShelfWriter.write(self, kept)


@broken("store_fails and flush", "flush.. raised the store's own KeyError")
class PassesOnForeignErrorsInFlush(FlushingWriter):
    async def flush(self):
        if self.sink.down:
            raise KeyError("down")
        if self.kept:
            await ShelfWriter.write(self, self.kept)
            self.kept = None


@broken("abort_twice", "any number of times; what is gone already is no error")
class AbortsOnce(ShelfWriter):
    async def abort(self):
        if self.offset:
            del self.sink.shelf[self.upload.key]


@broken("abort_twice", "abort.. must delete all that the writer stored")
class LeavesBytesWhenAborted(ShelfWriter):
    async def abort(self):
        pass


@broken("a_write_that_fails", "abort.. after a write.. that failed raised RuntimeError")
class CannotAbortAfterAnError(ListWriter):
    failed = False

    async def write(self, chunk):
        self.failed = True
        await super().write(chunk)
        self.failed = False

    async def abort(self):
        if self.failed:
            raise RuntimeError("in a wrong state")


@broken("cancel_during and write", "write.. was cancelled.*is left in the store after abort")
class ForgetsCancelledWrites(ShelfWriter):
    async def write(self, chunk):
        part = f"{self.upload.key}-{self.offset}"
        self.sink.shelf[part] = Item()
        await asyncio.sleep(0)
        del self.sink.shelf[part]
        await super().write(chunk)


@broken("cancel_during and open", "open.. was cancelled.*except BaseException")
class LeavesBytesWhenOpenIsCancelled(ShelfSink):
    async def open(self, upload):
        writer = await super().open(upload)
        self.shelf[upload.key] = Item(writer=writer)
        await self.reach()
        return writer


@broken("store_fails and open", "open.., called again, raised SinkError")
class OpensAKeyOnce(ShelfSink):
    def __init__(self):
        super().__init__()
        self.opened = set()

    async def open(self, upload):
        if upload.key in self.opened:
            raise SinkError("this key is taken")
        self.opened.add(upload.key)
        await self.reach()
        return await super().open(upload)


@broken("store_fails", "raise SinkUnavailable, SinkError or what fits")
class PassesOnForeignErrors(ShelfSink):
    async def reach(self):
        if self.down:
            raise ConnectionResetError("the provider hung up")


@broken("takes_nothing", "said nothing though the store failed")
class SwallowsErrors(ShelfWriter):
    checks_size = False

    async def write(self, chunk):
        self.sink.down, down = False, self.sink.down
        await super().write(chunk)
        await super().finish()
        self.offset = 0 if down else self.offset


@broken("takes_nothing", "an error ends its own upload only")
class IsBrokenByOneError(ShelfSink):
    broken = False

    async def reach(self):
        self.broken = self.broken or self.down
        await super().reach()

    async def open(self, upload):
        if self.broken:
            raise SinkUnavailable("an earlier upload failed")
        return await super().open(upload)


@broken("a_write_that_fails", "swallowed an error: let it pass")
class IgnoresErrors(ListWriter):
    async def write(self, chunk):
        with contextlib.suppress(ValueError):
            await super().write(bytes(chunk))


# Two at once


@broken("two_writers", "share nothing between writers")
class SharesItsBuffer(MemorySink):
    def __init__(self):
        self.chunks = []

    async def open(self, upload):
        self.chunks.clear()
        writer = ListWriter(upload)
        writer._chunks = self.chunks
        return writer


@broken("two_writers", "name what they store by upload.key")
class NamesFilesByTheirClientName(ShelfSink):
    async def open(self, upload):
        object.__setattr__(upload, "key", upload.client_name)
        writer = await super().open(upload)
        writer.check, writer.checks_size = lambda item: None, False
        return writer


@broken("one_is_aborted", "when another writer was aborted meanwhile")
class AbortsItsNeighbours(ShelfWriter):
    checks_size = False

    async def abort(self):
        self.sink.shelf.clear()


# Files


@broken("size", "must return a SinkFile")
class ReturnsBytes(ListWriter):
    async def finish(self):
        return b"".join(self._chunks)


@broken("file_tells", "give SinkFile.__init__ the bytes, 1000")
class TellsNoSize(ShelfFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.size = 0


@broken("file_tells", "pass on upload.content_type")
class ForgetsTheContentType(ShelfFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.content_type = upload.client_type


@broken("file_tells", "end it in upload.safe_client_name")
class TakesTheClientsName(ShelfFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.name = upload.client_name


@broken("file_is_read_again", "when it is read again")
class CannotSeek(ShelfFile):
    def open_stored(self):
        class Stream(io.BytesIO):
            def seek(self, offset, whence=0):
                return self.tell()

        return Stream(super().open_stored().read())


@broken("test_delete", "The file can be read after adelete")
class StaysWhenDeleted(ListWriter):
    async def finish(self):
        class Stays(MemoryFile):
            async def adelete(self):
                pass

        file = await super().finish()
        file.__class__ = Stays
        return file


@broken("test_delete", "adelete.., called again, raised KeyError.*: what is gone is no error")
class CannotBeDeletedTwice(ShelfFile):
    async def adelete(self):
        self.close()
        del self.sink.shelf[self.upload.key]


@broken("test_delete", "an event handler may delete what it consumes")
class CannotBeKeptOnceDeleted(ShelfFile):
    async def akeep(self):
        self.sink.shelf[self.upload.key].kept = True


# Checkpoints


@broken("resume_at_every", "checkpoint.. must return JSON's types only")
class WritesBytesInCheckpoints(ShelfWriter):
    async def checkpoint(self):
        return {"key": self.upload.key.encode()}


@broken("resume_at_every", "start where the stored bytes end")
class ResumesAtZero(ShelfSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        writer.offset = 0
        return writer


@broken("resume_at_every", "when it was resumed at")
class ResumesWithoutTheBytes(ShelfSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        self.shelf[upload.key] = Item(writer=writer)
        writer.checks_size = False
        return writer


@broken("resume_and_abort or no_checkpoint", "must raise NotResumable")
class ResumesAnything(ShelfSink):
    async def resume(self, upload, checkpoint):
        self.shelf.setdefault(checkpoint.get("key", ""), Item())
        return await super().resume(upload, {"key": upload.key, **checkpoint})


@broken("no_checkpoint", "must raise NotResumable, not KeyError")
class TrustsCheckpoints(ShelfSink):
    async def resume(self, upload, checkpoint):
        checkpoint["key"]
        return await super().resume(upload, checkpoint)


@broken("resume_twice", "resume.. raised NotResumable.*and its bytes are there")
class ResumesOnce(ShelfSink):
    resumed = False

    async def resume(self, upload, checkpoint):
        if self.resumed:
            raise NotResumable("somebody went on with it")
        self.resumed = True
        return await super().resume(upload, checkpoint)


@broken("resume_after_release", "release.. changed the store from")
class DeletesWhenReleased(ShelfWriter):
    async def release(self):
        self.sink.shelf.pop(self.upload.key, None)


@broken("resume_after_release", "release.. raised SinkUnavailable.*not ask the store")
class AsksTheStoreWhenReleased(ShelfWriter):
    async def release(self):
        await self.sink.reach()


@broken("resume_after_release", "release.. raised AttributeError.*let go of memory")
class ReleasesOnce(ShelfWriter):
    async def release(self):
        del self.upload


@broken("resume_what_was_finished", "resume.. raised NotResumable.*and its bytes are there")
class ForgetsWhatWasFinished(ShelfWriter):
    async def finish(self):
        file = await super().finish()
        self.sink.shelf[f"{self.upload.key}-done"] = self.sink.shelf.pop(self.upload.key)
        return file


@broken("what_was_finished and after", "returned a writer at offset 0")
class BeginsAgainWhatWasFinished(ForgetsWhatWasFinished):
    async def checkpoint(self):
        key = (await super().checkpoint())["key"]
        self.sink.shelf.setdefault(key, Item(b"", writer=self))
        return {"key": key}


@broken("resume_what_was_finished", "finish.. stored a second file when it was resumed")
class StoresAgainWhatWasFinished(ShelfWriter):
    async def finish(self):
        if self.file is None:
            copy = f"{self.upload.key}-{len(self.sink.shelf)}"
            self.sink.shelf[copy] = Item()
        return await super().finish()


@broken("resume_what_was_finished", "as it was finished, and its file is deleted")
class BringsBackWhatWasDeleted(ShelfSink):
    async def resume(self, upload, checkpoint):
        self.shelf.setdefault(upload.key, Item(bytes(upload.size)))
        return await super().resume(upload, checkpoint)


@broken("who_was_replaced", "let nobody write to it any more, from resume.. on")
class LetsReplacedWritersIn(ShelfWriter):
    async def write(self, chunk):
        item = self.sink.shelf.setdefault(self.upload.key, Item())
        before = item.content
        item.content = before[: self.offset] + chunk + before[self.offset + len(chunk) :]
        self.offset += len(chunk)


@broken("who_was_replaced", "An upload failed.*write the same bytes: refuse that one's")
class RefusesWhatAnotherOneWrote(ShelfWriter):
    def check(self, item):
        if len(item.content) != self.offset:
            raise SinkError(f"{self.upload.key} has {len(item.content)} bytes")


@broken("who_was_replaced", "write.. of an upload that goes on elsewhere raised the store's own")
class TellsReplacedWritersNothing(ShelfWriter):
    def check(self, item):
        assert item.writer is self


# Sweeps


@broken("test_size", "must return a list of names")
class CountsWhatItSweeps(MemorySink):
    async def sweep(self, older_than, *, dry_run=False):
        return 0


@broken("sweep_takes", "which is new: compare the age")
class SweepsEverything(ShelfSink):
    async def sweep(self, older_than, *, dry_run=False):
        return await super().sweep(0 * older_than, dry_run=dry_run)


@broken("sweep_takes", "dry_run=True.* deleted something")
class SweepsOnADryRun(ShelfSink):
    async def sweep(self, older_than, *, dry_run=False):
        return await super().sweep(older_than)


@broken("old_enough", "named nothing, and .* is in the store")
class SweepsNothing(ShelfSink):
    async def sweep(self, older_than, *, dry_run=False):
        return []


@broken("sweep_spares", "take the mark away in the file's akeep")
class SweepsKeptFiles(ShelfFile):
    async def akeep(self):
        pass


@broken("never_consumed", "mark it until akeep")
class KeepsUnconsumedFiles(ShelfFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        sink.shelf[upload.key].kept = True


# The sink


@broken("check", "return a message only for what somebody must set right")
class ChecksWithoutReason(MemorySink):
    def check(self):
        return [Warning("This sink keeps files in memory.", id="memory.W001")]


@broken("works_after", "open connections when they are used first, again after aclose")
class ClosesForGood(MemorySink):
    closed = False

    async def open(self, upload):
        if self.closed:
            raise RuntimeError("the session is closed")
        return await super().open(upload)

    async def aclose(self):
        self.closed = True


@broken("blocks_no", "on the event loop, where every other socket waits")
class BlocksTheLoop(ListWriter):
    async def write(self, chunk):
        time.sleep(0.001)  # noqa: ASYNC251
        await super().write(chunk)


@broken("size", "must return a new SinkWriter")
class ReturnsNoWriter(MemorySink):
    async def open(self, upload):
        return None


@broken("size", "A new writer's offset is 0")
class StartsAnywhere(ListWriter):
    offset = 7
