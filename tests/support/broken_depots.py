"""More sinks that are wrong in one way each. They are mutations of those in ``right_sinks``."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from asgiref.sync import async_to_sync

from djust_uploads.exceptions import NotResumable, SinkError, SinkMisconfigured, SinkUnavailable
from tests.support.broken_sinks import broken
from tests.support.right_sinks import (
    PART,
    DepotDown,
    DepotFile,
    DepotSink,
    DepotWriter,
    EagerWriter,
    Gone,
    WorkerWriter,
)
from tests.support.shelf import ShelfSink

# Bytes


@broken("views", "takes_views says that it takes them")
class SaysItTakesViews(DepotWriter):
    takes_views = True

    async def write(self, chunk):
        await super().write(b"" + chunk if isinstance(chunk, bytes) else chunk + b"")


@broken("views", "copy what the file keeps")
class KeepsViews(DepotWriter):
    takes_views = True

    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.views = []

    async def write(self, chunk):
        self.views.append(chunk)
        await super().write(chunk)

    async def finish(self):
        file = await super().finish()
        views = self.views
        file.open_stored = lambda: io.BytesIO(b"".join(views))
        return file


@broken("size and 0", "Reading the file raised KeyError")
class SealsNoEmptyFile(DepotWriter):
    async def finish(self):
        if not self.upload.size:
            return self.sink.file_class(self.sink, self.upload)
        return await super().finish()


@broken("one_chunk_of_many", "Store each chunk once, in order")
class SendsOnePartOfEachChunk(DepotWriter):
    checks_size = False

    async def write(self, chunk):
        self.buffer += chunk
        if len(self.buffer) >= PART:
            await self.send()
            self.offset += len(self.buffer)
            self.buffer.clear()


@broken("two_writers", "keep in the writer what open.. was told of it")
class FinishesTheLastUpload(DepotSink):
    async def open(self, upload):
        self.upload = upload
        return await super().open(upload)

    def file_class(self, sink, upload):
        return DepotFile(sink, replace(upload, content_type=self.upload.content_type))


# The file


@broken("two_readers", "a new stream each time")
class HasOneStream(DepotFile):
    stream = None

    def open_stored(self):
        self.stream = self.stream or super().open_stored()
        self.stream.seek(0)
        return self.stream


class _Odd(DepotFile):
    def open_stored(self):
        return self.stream_class(super().open_stored().read())


@broken("in_pieces", "where a file has")
class SeeksFromTheBeginningOnly(_Odd):
    class stream_class(io.BytesIO):
        def seek(self, offset, whence=0):
            return super().seek(max(0, offset))


@broken("in_pieces", "where a file has 1")
class TellsNoPosition(_Odd):
    class stream_class(io.BytesIO):
        def tell(self):
            return 0


@broken("in_pieces", r"read\(1\) returned")
class ReadsEverything(_Odd):
    class stream_class(io.BytesIO):
        def read(self, size=-1):
            return super().read()


@broken("line_by_line", "readline")
class HasNoLines(_Odd):
    class stream_class:
        def __init__(self, content):
            self.stream = io.BytesIO(content)
            self.read, self.seek, self.tell = self.stream.read, self.stream.seek, self.stream.tell
            self.close, self.closed = self.stream.close, False


@broken("zip", "zipfile raised")
class SeeksNowhere(_Odd):
    class stream_class(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, offset, whence=0):
            if offset == whence == 0:
                return super().seek(0)
            raise io.UnsupportedOperation("seek")


@broken("tells_what", "values that JSON has")
class TellsADate(DepotFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.metadata["stored"] = datetime.datetime(2026, 1, 1)


@broken("tells_what", "comes out of JSON as")
class TellsATuple(DepotFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.metadata["parts"] = (1, 2)


@broken("tells_what", "a client chose '../the report.bin'")
class NamesItByTheClientsName(DepotWriter):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.key = f"{upload.key}/{upload.client_name}"


@broken("urls", "Two files have one url")
class HasOneUrl(DepotFile):
    url = "https://depot.example/the_report.bin"


@broken("come_and_go", "must share nothing with uploads")
class ClosesReadersWhenItDeletes(DepotFile):
    readers = []

    def open_stored(self):
        self.readers.append(super().open_stored())
        return self.readers[-1]

    async def adelete(self):
        for reader in self.readers:
            reader.close()
        await super().adelete()


@broken("test_keep", "akeep.., called twice, raised KeyError")
class KeepsOnce(DepotFile):
    async def akeep(self):
        del self.sink.depot.born[self.key]


@broken("test_keep", "which is never called: set keeps_files = True")
class SaysItKeepsNothing(DepotSink):
    keeps_files = False


@broken("read_again", "open_stored.. must need no event loop")
class ReadsByTheEventLoop(DepotFile):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.loop = asyncio.get_running_loop()

    def open_stored(self):
        return async_to_sync(self.fetch)()

    async def fetch(self):
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("the connection belongs to another event loop")
        return super().open_stored()


@broken("opened_on_the_event_loop", "decorate open_stored.. with django.utils.asyncio.async_unsafe")
class ReadsByASocket(DepotFile):
    def open_stored(self):
        with socket.socket() as connection, contextlib.suppress(OSError):
            connection.connect(("127.0.0.1", 1))
        return super().open_stored()


@broken("what_was_finished", "content_type is '' when it was resumed")
class ForgetsTheTypeWhenResumed(DepotSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        if writer.file:
            writer.file.content_type = ""
        return writer


@broken("what_was_finished", "metadata is .*'resumed': True.*it is the same file")
class TellsOtherMetadataWhenResumed(DepotSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        if writer.file:
            writer.file.metadata["resumed"] = True
        return writer


@broken("what_was_finished", "name is '[0-9a-f]+' when it was resumed")
class NamesItByItsKeyWhenResumed(DepotSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        if writer.file:
            writer.file.name = upload.key
        return writer


# Ends


@broken("while_others_go_on", "it must be there when another upload was aborted")
class AbortsFinishedFiles(DepotWriter):
    async def abort(self):
        self.depot.files.clear()
        await super().abort()


@broken("no_room", "raised the store's own MemoryError")
class TakesMemoryForTheWholeFile(DepotSink):
    async def open(self, upload):
        bytearray(upload.size)
        return await super().open(upload)


@broken("abort_of_all_bytes", "must delete all that the writer stored")
class AbortsOnlyWhatIsUnfinished(DepotWriter):
    async def abort(self):
        if self.offset < self.upload.size:
            await super().abort()


# Resuming


@broken("resumes_late", "lower than the one that has the upload")
class IgnoresGenerations(ShelfSink):
    async def resume(self, upload, checkpoint):
        if item := self.shelf.get(checkpoint.get("key")):
            item.generation = 0
        return await super().resume(upload, checkpoint)


@broken("resumes_late", "lower than the one that has the upload")
class ComparesGenerationsAsText(ShelfSink):
    async def resume(self, upload, checkpoint):
        item = self.shelf.get(checkpoint.get("key"))
        if item and str(upload.generation) >= str(item.generation):
            item.generation = 0
        return await super().resume(upload, checkpoint)


@broken("resumes_late", "raise NotResumable, or return a writer whose write.. fails")
class MistakesALateOneForAnError(ShelfSink):
    async def resume(self, upload, checkpoint):
        item = self.shelf.get(checkpoint.get("key"))
        if item and upload.generation < item.generation:
            raise SinkError(f"{upload.key} goes on elsewhere")
        return await super().resume(upload, checkpoint)


@broken("resume_and_abort", "only then does the application begin the upload again")
class MistakesWhatIsGoneForAnError(DepotSink):
    async def resume(self, upload, checkpoint):
        try:
            return await super().resume(upload, checkpoint)
        except NotResumable as exc:
            raise SinkError(str(exc)) from exc


@broken("resume_at_every", "start where the stored bytes end")
class ResumesBeyondTheEnd(DepotSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        writer.offset += 1
        return writer


@broken("no_checkpoint", "without its 'parts' must raise NotResumable, not KeyError")
class ReadsCheckpointsBlindly(DepotSink):
    async def resume(self, upload, checkpoint):
        if "key" in checkpoint:
            checkpoint["parts"]
        return await super().resume(upload, checkpoint)


@broken("after_release", "clear its buffers in it")
class RemembersWhatItSent(DepotWriter):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.sent = []

    async def write(self, chunk):
        self.sent.append(bytes(chunk))
        await super().write(chunk)


@broken("resume_twice", "raised NotResumable")
class TakesCheckpointsOnce(DepotSink):
    taken = set()

    async def resume(self, upload, checkpoint):
        if checkpoint.get("parts") and upload.key in self.taken:
            raise NotResumable("it was resumed before")
        self.taken.add(upload.key)
        return await super().resume(upload, checkpoint)


@broken("any_order", "raised NotResumable")
class ResumesTwiceAtMost(DepotSink):
    async def resume(self, upload, checkpoint):
        if upload.generation > 2 and checkpoint.get("parts"):
            raise NotResumable("enough")
        return await super().resume(upload, checkpoint)


@broken("what_was_finished and after", "leave what is finished where it is")
class MovesWhatIsFinished(DepotSink):
    async def resume(self, upload, checkpoint):
        writer = await super().resume(upload, checkpoint)
        if writer.file:
            writer.file.key = f"{upload.key}-resumed"
            for things in (self.depot.parts, self.depot.files, self.depot.born):
                things[writer.file.key] = things.pop(upload.key)
        return writer


@broken("checkpoint_is_a_copy", "return a new dict with new lists each time")
class SharesItsParts(DepotWriter):
    async def checkpoint(self):
        return {"key": self.key, "parts": self.parts}


@broken("many_parts", "and its bytes are there")
class LooksAtOnePageOfParts(DepotSink):
    async def ask(self, function, *arguments):
        answer = await super().ask(function, *arguments)
        if function == self.depot.look:
            sizes, sealed = answer
            return dict(list(sizes.items())[:4]), sealed
        return answer


@broken("finishes_last", "change no file that is finished")
class SealsAgain(DepotWriter):
    async def finish(self):
        if self.file is None:
            self.depot.files.pop(self.key, None)
        return await super().finish()


# Damage


@broken("found_by_the_writer", "become shorter in the store: compare what the store has")
class TrustsItsOffset(DepotWriter):
    checks_size = False


@broken("found_by_resume", "NotResumable, as it has become shorter in the store")
class TrustsItsCheckpoint(DepotSink):
    async def resume(self, upload, checkpoint):
        for name, size in checkpoint.get("parts", []):
            parts = self.depot.parts.get(upload.key, {})
            if name in parts:
                parts[name] = parts[name].ljust(size)
        return await super().resume(upload, checkpoint)


@broken("found_by_resume", "NotResumable, as it has become longer in the store")
class ResumesWhatIsTooLong(ShelfSink):
    async def resume(self, upload, checkpoint):
        if item := self.shelf.get(checkpoint.get("key")):
            item.content = item.content[: upload.size]
            item.content = item.content[:-1] + item.content[-1:].upper()
        return await super().resume(upload, checkpoint)


@broken("found_by_resume and finished", "NotResumable, as it has become")
class TrustsWhatIsFinished(DepotSink):
    async def resume(self, upload, checkpoint):
        if upload.key in self.depot.files:
            checkpoint = {"key": upload.key}
        return await super().resume(upload, checkpoint)


# Sweeps


@broken("was_swept", "when it was swept before its finish..: ask the store")
class FinishesWhatIsGone(DepotWriter):
    async def finish(self):
        await self.flush()
        if self.key in self.depot.deleted:
            return self.sink.file_class(self.sink, self.upload)
        return await super().finish()


@broken("sweep_takes", "older_than.*it takes older_than and dry_run by their names")
class HasOtherNames(DepotSink):
    async def sweep(self, age, *, dry_run=False):
        return await super().sweep(age, dry_run=dry_run)


@broken("more_than_a_page", "the store's next page")
class SweepsOnePage(DepotSink):
    async def sweep(self, older_than, *, dry_run=False):
        page = await self.ask(self.depot.page, "")
        old = [key for key, age in page.items() if age >= older_than.total_seconds()]
        for key in [] if dry_run else old:
            await self.ask(self.depot.delete, key)
        return old


class _Sweeps(DepotSink):
    """The sweep in one function: ``wanted`` says what to take."""

    async def sweep(self, older_than, *, dry_run=False):
        names = [key for key in self.all_names() if self.wanted(key, older_than)]
        for key in [] if dry_run else names:
            await self.ask(self.depot.delete, key)
        return names

    def all_names(self):
        return list(self.depot.born)

    def wanted(self, key, older_than):
        return older_than.total_seconds() == 0


@broken("from_another_process", "not in the sink's memory")
class SweepsWhatItRemembers(_Sweeps):
    def __init__(self, depot=None):
        super().__init__(depot)
        self.opened = set()

    async def open(self, upload):
        self.opened.add(upload.key)
        return await super().open(upload)

    def all_names(self):
        return [key for key in self.depot.born if key in self.opened]


@broken("compares_ages", "compare ages in seconds")
class SweepsByMilliseconds(_Sweeps):
    def wanted(self, key, older_than):
        return time.time() - self.depot.born[key] >= older_than.total_seconds() * 1000


@broken("page_of_files", "the store's next page")
class SweepsOnePageOfFiles(_Sweeps):
    def all_names(self):
        files = [key for key in self.depot.born if key in self.depot.files]
        return [key for key in self.depot.born if key not in files[4:]]


@broken("old_enough", "deleted something")
class DeletesFilesOnADryRun(_Sweeps):
    async def sweep(self, older_than, *, dry_run=False):
        names = await super().sweep(older_than, dry_run=dry_run)
        for key in {*names} & {*self.depot.files}:
            await self.ask(self.depot.delete, key)
        return names


@broken("never_consumed", "did not name a file that nobody consumed")
class NamesNoFiles(_Sweeps):
    async def sweep(self, older_than, *, dry_run=False):
        files = {*self.depot.files}
        names = await super().sweep(older_than, dry_run=dry_run)
        return [key for key in names if key not in files]


@broken("store_fails and sweep", "left unfinished, or raise")
class SkipsWhatItCannotLookAt(_Sweeps):
    async def sweep(self, older_than, *, dry_run=False):
        names = await super().sweep(older_than, dry_run=True)
        for key in [] if dry_run else names:
            with contextlib.suppress(SinkUnavailable):
                await self.ask(self.depot.look, key)
                await self.ask(self.depot.delete, key)
        return names


@broken("old_enough", "what is a minute old took")
class SweepsInAnotherTimeZone(_Sweeps):
    def wanted(self, key, older_than):
        return older_than.total_seconds() <= 1800


@broken("old_enough", "which is new: compare the age")
class SweepsByTheSecondsOfADay(_Sweeps):
    def wanted(self, key, older_than):
        return older_than.seconds == 0


@broken("old_enough", "what is an hour old took")
class SweepsByDays(_Sweeps):
    def wanted(self, key, older_than):
        return older_than.days == 0


@broken("abort_of_all_bytes or abort_twice", "abort.. must delete all that the writer stored")
class AbortsWithoutItsTasks(EagerWriter):
    async def abort(self):
        await self.sink.ask(self.depot.delete, self.key)
        self.depot.deleted.discard(self.key)

    async def put(self, at):
        await asyncio.sleep(0.005)
        await super().put(at)


@broken("what_others_stored", "which is no upload")
class SweepsWhatItDoesNotKnow(_Sweeps):
    def all_names(self):
        return list({*self.depot.born, *self.depot.files})


@broken("what_is_kept", "a file that was consumed")
class SweepsAllFiles(_Sweeps):
    def all_names(self):
        return [key for key in {*self.depot.born, *self.depot.files} if key != "a report"]


@broken("what_is_new", "sweep.. must leave alone what is new|compare the age")
class SweepsWhatIsOnItsWay(_Sweeps):
    def wanted(self, key, older_than):
        return super().wanted(key, older_than) or key not in self.depot.files


@broken("two_sweeps", "what is gone is no error")
class CollidesWithOtherSweeps(_Sweeps):
    async def sweep(self, older_than, *, dry_run=False):
        names = await super().sweep(older_than, dry_run=True)
        for key in [] if dry_run else names:
            await self.ask(self.delete_existing, key)
        return names

    def delete_existing(self, key):
        if key not in self.depot.born:
            raise Gone(key)
        self.depot.delete(key)


@broken("old_enough", "named nothing")
class SaysNothingOnADryRun(DepotSink):
    async def sweep(self, older_than, *, dry_run=False):
        return [] if dry_run else await super().sweep(older_than)


# Faults


@broken("store_fails and resume", "only when the store says that they are gone")
class ForgetsUploadsInAnOutage(DepotSink):
    async def resume(self, upload, checkpoint):
        try:
            return await super().resume(upload, checkpoint)
        except SinkError as error:
            raise NotResumable(str(error)) from error


@broken("store_fails and adelete", "delete all that finish.. stored, or raise")
class SaysNothingInDelete(DepotFile):
    async def adelete(self):
        with contextlib.suppress(SinkUnavailable):
            await super().adelete()


@broken("store_fails and akeep", "take the mark away in it, or raise")
class SaysNothingInKeep(DepotFile):
    async def akeep(self):
        with contextlib.suppress(SinkUnavailable):
            await super().akeep()


@broken("store_fails and sweep", "left unfinished, or raise")
class SaysNothingInSweep(DepotSink):
    async def sweep(self, older_than, *, dry_run=False):
        try:
            return await super().sweep(older_than, dry_run=dry_run)
        except SinkUnavailable:
            return []


@broken("store_fails and abort", "stored, or raise")
class SaysNothingInAbort(DepotWriter):
    async def abort(self):
        with contextlib.suppress(SinkUnavailable):
            await super().abort()


@broken("the_same_failure", "adelete.. raised .*only one of them is 'retryable'")
class MistakesAnOutage(DepotFile):
    async def adelete(self):
        try:
            await super().adelete()
        except SinkUnavailable as exc:
            raise SinkMisconfigured("no access") from exc


@broken("refusal", "raise SinkMisconfigured, which is not tried again")
class TriesRefusalsAgain(DepotSink):
    async def ask(self, function, *arguments):
        try:
            return await super().ask(function, *arguments)
        except SinkMisconfigured as exc:
            raise SinkUnavailable("refused") from exc


@broken("takes_nothing", "without its cause")
class HidesTheCause(DepotSink):
    async def ask(self, function, *arguments):
        try:
            return await super().ask(function, *arguments)
        except SinkUnavailable as exc:
            hidden = exc.__cause__
        try:
            raise hidden
        except DepotDown:
            raise SinkUnavailable("down") from None


@broken("refuses and sweep", "sweep.. raised SinkUnavailable.* when the store refused it")
class SweepsLaterWhenRefused(DepotSink):
    async def sweep(self, older_than, *, dry_run=False):
        try:
            return await super().sweep(older_than, dry_run=dry_run)
        except SinkMisconfigured as exc:
            raise SinkUnavailable("refused") from exc


@broken("refuses and resume", "resume.. raised NotResumable.* when the store refused it")
class ForgetsUploadsWhenRefused(DepotSink):
    async def resume(self, upload, checkpoint):
        try:
            return await super().resume(upload, checkpoint)
        except SinkMisconfigured as exc:
            raise NotResumable("refused") from exc


@broken("refuses and adelete", "adelete.. raised SinkError.* when the store refused it")
class SaysLittleWhenRefused(DepotFile):
    async def adelete(self):
        try:
            await super().adelete()
        except SinkMisconfigured as exc:
            raise SinkError("it did not work") from exc


class _Raw(DepotSink):
    async def raw(self, function, *arguments):
        await asyncio.sleep(0)
        return function(*arguments)


@broken("store_fails and sweep", "sweep.. raised the store's own DepotDown")
class RaisesForeignErrorsInSweep(_Raw):
    async def sweep(self, older_than, *, dry_run=False):
        await self.raw(self.depot.page, "")
        return await super().sweep(older_than, dry_run=dry_run)


@broken("store_fails and resume", "resume.. raised the store's own DepotDown")
class RaisesForeignErrorsInResume(_Raw):
    async def resume(self, upload, checkpoint):
        with contextlib.suppress(Gone):
            await self.raw(self.depot.look, upload.key)
        return await super().resume(upload, checkpoint)


@broken("store_fails and adelete", "adelete.. raised the store's own DepotDown")
class RaisesForeignErrorsInDelete(DepotFile):
    async def adelete(self):
        await asyncio.sleep(0)
        self.sink.depot.delete(self.key)


@broken("store_fails and akeep", "akeep.. raised the store's own DepotDown")
class RaisesForeignErrorsInKeep(DepotFile):
    async def akeep(self):
        await asyncio.sleep(0)
        self.sink.depot.keep(self.key)


@broken("store_fails and finish", "go on where it failed|drop nothing before")
class DropsPartsBeforeTheAnswer(DepotWriter):
    async def send(self):
        part, name = bytes(self.buffer[:PART]), f"{self.word}-{self.offset}"
        del self.buffer[:PART]
        await self.sink.ask(self.depot.put, self.key, name, part)
        self.parts.append([name, len(part)])
        self.offset += len(part)


@broken("takes_nothing", "offset is 1000 though the store took nothing")
class CountsPartsBeforeTheAnswer(DepotWriter):
    async def send(self):
        part, name = bytes(self.buffer[:PART]), f"{self.word}-{self.offset}"
        self.offset += len(part)
        await self.sink.ask(self.depot.put, self.key, name, part)
        self.parts.append([name, len(part)])
        del self.buffer[: len(part)]


@broken("lost and finish", "is left in the store after")
class SealsUnderANewNameEachTime(DepotWriter):
    attempts = 0

    async def finish(self):
        if self.file is None:
            self.attempts += 1
            await self.flush()
            copy = f"{self.key}-{self.attempts}"
            await self.sink.ask(self.depot.put, copy, "content", b"")
            if self.attempts == 1:
                await self.sink.ask(self.depot.delete, copy)
        return await super().finish()


@broken("lost and finish", "called again|raised|is wrong")
class CannotSealTwice(DepotWriter):
    async def finish(self):
        if self.file is None and self.key in self.depot.files:
            raise SinkError("409: it is sealed already")
        return await super().finish()


@broken("finishes_first", "refuse that one's finish.., or take its file")
class RefusesTheFileOfAnother(CannotSealTwice):
    pass


@broken("store_fails and abort", "is left in the store after")
class AbortsInItsHeadOnly(DepotWriter):
    aborted = False

    async def abort(self):
        if not self.aborted:
            self.aborted = True
            await super().abort()


@broken("cancel_during and write", "turned CancelledError into")
class TurnsCancellationsIntoErrors(DepotSink):
    async def ask(self, function, *arguments):
        try:
            return await super().ask(function, *arguments)
        except asyncio.CancelledError as exc:
            raise SinkUnavailable("too slow") from exc


@broken("cancel_during and adelete", "delete all that finish.. stored")
class TakesCancellationsForSuccess(DepotFile):
    async def adelete(self):
        with contextlib.suppress(asyncio.CancelledError):
            await super().adelete()


# What never ends


@broken("cancel_during and write", "did not end in 2.*Release a lock or a permit")
class KeepsPermitsWhenCancelled(DepotSink):
    time_limit = 2.0

    def __init__(self, depot=None):
        super().__init__(depot)
        self.permits = asyncio.Semaphore(3)

    async def ask(self, function, *arguments):
        await self.permits.acquire()
        answer = await super().ask(function, *arguments)
        self.permits.release()
        return answer


@broken("takes_nothing", "did not end in 2.*wake who waits")
class WaitsForADeadWorker(WorkerWriter):
    time_limit = 2.0

    async def drain(self, length):
        await super().drain(len(self.queue))
        if len(self.queue) > length:
            await asyncio.Event().wait()

    def worked(self, worker):
        worker.cancelled() or worker.exception()


@broken("takes_nothing", "could not be cancelled: it blocks the event loop")
class TriesForEver(DepotSink):
    time_limit = 2.0

    async def ask(self, function, *arguments):
        while True:
            with contextlib.suppress(SinkUnavailable, asyncio.CancelledError):
                return await super().ask(function, *arguments)


# Resources


@broken("in_the_process and release", "20 tasks behind")
class LeavesItsWorker(DepotWriter):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.worker = asyncio.create_task(self.wait_for_ever())

    async def wait_for_ever(self):
        await asyncio.Event().wait()

    async def finish(self):
        self.worker.cancel()
        return await super().finish()


@broken("in_the_process and abort", "10 threads behind")
class LeavesItsThread(DepotWriter):
    def __init__(self, sink, upload):
        super().__init__(sink, upload)
        self.pool = ThreadPoolExecutor(1)
        self.pools.append(self.pool)

    pools = []

    async def write(self, chunk):
        await asyncio.wrap_future(self.pool.submit(len, chunk))
        await super().write(chunk)


@broken("in_the_process and finish", "10 writers behind: keep no list of them")
class RemembersItsWriters(DepotSink):
    def __init__(self, depot=None):
        super().__init__(depot)
        self.writers = []

    async def open(self, upload):
        self.writers.append(await super().open(upload))
        return self.writers[-1]


@broken("in_the_process and finish", "10 descriptors behind")
class LeavesItsFileOpen(DepotWriter):
    files = []

    async def finish(self):
        self.files.append(io.FileIO(os.devnull))
        return await super().finish()


@broken("aclose_leaves", "close in it what the uploads shared")
class ClosesNothing(DepotSink):
    files = []

    async def open(self, upload):
        if len(self.files) < 10:
            self.files.append(io.FileIO(os.devnull))
        return await super().open(upload)


@broken("aclose_leaves", "left 9 descriptors behind.*let them make it once")
class ForgetsAllClientsButOne(ClosesNothing):
    files = []

    async def aclose(self):
        self.files[-1].close()


@broken("memory_does_not_grow", "let write.. wait until the store has taken a part")
class HoldsTheWholeFile(DepotWriter):
    async def write(self, chunk):
        self.buffer += chunk


@broken("memory_does_not_grow", "let write.. wait until the store has taken a part")
class SendsAPartOfEachChunk(DepotWriter):
    async def write(self, chunk):
        self.buffer += chunk
        if len(self.buffer) >= PART:
            await self.send()


@broken("memory_does_not_grow", "let write.. wait until the store has taken a part")
class QueuesWithoutEnd(WorkerWriter):
    LENGTH = 1_000_000


@broken("memory_does_not_grow", "let write.. wait until the store has taken a part")
class SendsEverythingAtOnce(EagerWriter):
    AT_ONCE = 1_000_000


@broken("second_event_loop", "second event loop")
class BelongsToOneEventLoop(DepotSink):
    def __init__(self, depot=None):
        super().__init__(depot)
        self.lock = asyncio.Lock()

    async def ask(self, function, *arguments):
        async with self.lock:
            return await super().ask(function, *arguments)


@broken("second_event_loop", "did not end in 3|second event loop")
class KeepsTheTaskOfAnEventLoop(DepotSink):
    time_limit = 3.0
    queue = None

    async def ask(self, function, *arguments):
        if self.queue is None:
            self.queue = asyncio.Queue()
            self.worker = asyncio.create_task(self.work())
        done = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((done, function, arguments))
        if self.worker.done():
            raise RuntimeError("the worker has ended with its event loop")
        return await done

    async def work(self):
        while True:
            done, function, arguments = await self.queue.get()
            try:
                result = await super().ask(function, *arguments)
                done.cancelled() or done.set_result(result)
            except Exception as exc:
                done.cancelled() or done.set_exception(exc)
