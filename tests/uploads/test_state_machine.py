"""Uploads under every interleaving of frames, faults, resumes, deaths and cancels that hypothesis
can think of. Each ends as the file, as a typed error that is told once, or can still go on; and
nothing is left over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import tempfile
import time
import types
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from djust_uploads import MemorySink, TemporaryFileSink, UploadSlot
from djust_uploads.exceptions import SinkFull, SinkUnavailable
from djust_uploads.flow import window
from djust_uploads.sinks.temporary_file import PREFIX, TemporaryFileWriter
from djust_uploads.slots.status import Status
from djust_uploads.uploads.manager import UploadManager
from djust_uploads.wire import Frame, FrameType, serialize
from tests.support.simulation import ParkingOfThisProcess, Process, World, this_process

CHUNK = 8
SIZES = st.sampled_from([0, 1, 5, 8, 16, 17, 40, 100])
PICK = st.integers(0, 5)
CALLS = ["open", "resume", "write", "flush", "checkpoint", "finish", "abort", "release"]
FAULTS = ["full", "bug", "unavailable", "hang", "slow", "late"]
TURNS = st.integers(0, 40)
LOSSES = ["half-open", "disconnect", "cut", "vanish"]
#: Excuses for a file that is left for a sweep, and for completing or being consumed twice.
LEAVING = {"kill", "shut_down", "fault", "fails", "hangs", "forgets"}
#: Excuses for a process that believes to have what another one has: the cache did not say.
UNFENCED = {"fails", "hangs", "forgets"}
ENDS = ("complete", "error", "cancelled")


@dataclass
class Upload:
    """What is known of one file, wherever it is."""

    ref: str
    slot: str
    data: bytes
    name: str
    #: The most that any client was told to be durable.
    acknowledged: int = 0
    #: Calls of ``on_complete``.
    completions: int = 0
    consumptions: int = 0
    #: Why it may have ended, or be unknown, in other ways than by arriving.
    excuses: set[str] = field(default_factory=set)

    @property
    def resumable(self) -> bool:
        return self.slot == "disk"


@dataclass
class Tenure:
    """An upload on one connection: from the registration, or the answer to ``upload_resume``."""

    upload: Upload
    live: bool = False
    answered: bool = False
    all_sent: bool = False
    #: It wants no more of it, and will hear that it has it.
    cancelling: bool = False
    position: int = 0
    index: int = 0
    offset: int = 0
    limit: int = 0
    endings: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.endings)

    @property
    def over(self) -> bool:
        return self.ended or (self.answered and not self.live)


class FaultySink(TemporaryFileSink):
    """``faults["write"]`` befall the next writes. ``befallen``: names of the files they hit."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.faults: dict[str, deque[str]] = defaultdict(deque)
        self.befallen: set[str] = set()
        self.names: dict[str, str] = {}
        self.released = asyncio.Event()

    async def call(self, name: str, upload: Any, call: Callable[[], Any]) -> Any:
        this_process().check_alive()
        fault = self.faults[name].popleft() if self.faults[name] else ""
        if fault:
            self.befallen.add(upload.safe_client_name)
        match fault:
            case "full":
                raise SinkFull("as told")
            case "bug":
                raise RuntimeError("as told")
            case "unavailable":
                raise SinkUnavailable("as told")
            case "hang":
                await self.released.wait()
            case "slow":
                await asyncio.sleep(2)
        result = await call()
        if fault == "late" and name not in ("open", "resume"):
            raise SinkUnavailable("as told, when it was done")
        return result

    def mend(self) -> None:
        self.faults.clear()
        self.release()

    def release(self) -> None:
        self.released.set()
        self.released = asyncio.Event()

    async def open(self, upload: Any) -> Any:
        self.names[upload.key] = upload.safe_client_name
        return self.faulty(
            await self.call("open", upload, lambda: super(FaultySink, self).open(upload))
        )

    async def resume(self, upload: Any, checkpoint: Any) -> Any:
        resume = super().resume
        return self.faulty(await self.call("resume", upload, lambda: resume(upload, checkpoint)))

    def faulty(self, writer: Any) -> Any:
        writer.__class__ = FaultyWriter
        writer.sink = self
        return writer


def _faulty(name: str) -> Any:
    original = getattr(TemporaryFileWriter, name)

    async def method(self: Any, *args: Any) -> Any:
        return await self.sink.call(name, self._upload, lambda: original(self, *args))

    return method


class FaultyWriter(TemporaryFileWriter):
    sink: FaultySink
    write, finish, abort = _faulty("write"), _faulty("finish"), _faulty("abort")
    flush, checkpoint, release = _faulty("flush"), _faulty("checkpoint"), _faulty("release")


class Page:
    """A client, its connection, and what the server has of it. As a consumer does, it takes one
    message after the other."""

    def __init__(self, machine: Uploads, process: Process) -> None:
        self.machine, self.process = machine, process
        #: The last that the client asked for, and that of which the server speaks.
        self.tenures: dict[str, Tenure] = {}
        self._told_of: dict[str, Tenure] = {}
        #: Nobody reads what is sent; the server finds out when it sends.
        self.vanished = False
        self.closed = False
        self.manager = UploadManager()
        self.manager.connection.owner = "user:1"
        for slot in machine.slots:
            self.manager.configure(slot)
        self._inbox: deque[Callable[[], Any]] = deque()
        self._arrived = asyncio.Event()
        self.reader = machine.world.start(process, self._read())

    async def _read(self) -> None:
        try:
            while not (self.closed and not self._inbox):
                while self._inbox:
                    await self._inbox.popleft()()
                self._arrived.clear()
                if not self.closed:
                    await self._arrived.wait()
        finally:
            await self.manager.aclose()

    def do(self, call: Callable[[], Any]) -> None:
        self._inbox.append(call)
        self._arrived.set()

    def disconnect(self) -> None:
        self.closed = True
        self._arrived.set()

    @property
    def connected(self) -> bool:
        return not (self.closed or self.vanished or self.process.ended)

    # What the client does.

    def register(self, upload: Upload) -> None:
        message = {
            "upload_name": upload.slot,
            "ref": upload.ref,
            "client_name": upload.name,
            "client_size": len(upload.data),
            "resumable": True,
        }
        self._ask(upload, self.manager.register, message)

    def resume(self, upload: Upload) -> None:
        self._ask(upload, self.manager.resume, {"ref": upload.ref})

    def _ask(self, upload: Upload, method: Callable[..., Any], message: Any) -> None:
        self.tenures[upload.ref] = tenure = Tenure(upload)

        async def ask() -> None:
            self._told_of[upload.ref] = tenure
            await method(message, self.send)

        self.do(ask)

    def frame(self, frame_type: FrameType, ref: str, index: int = 0, data: bytes = b"") -> None:
        frame = serialize(Frame(frame_type, ref, index, data))
        self.do(lambda: self.manager.receive(frame, self.send))

    def chunk(self, tenure: Tenure, size: int = CHUNK) -> None:
        data = tenure.upload.data[tenure.position : tenure.position + size]
        self.frame(FrameType.CHUNK, tenure.upload.ref, tenure.index, data)
        tenure.position += len(data)
        tenure.index += 1

    def send_rest(self, tenure: Tenure) -> None:
        while tenure.position < len(tenure.upload.data):
            self.chunk(tenure)
        if not tenure.all_sent:
            self.frame(FrameType.COMPLETE, tenure.upload.ref)
        tenure.all_sent = True

    # What it is told.

    async def send(self, message: Any) -> None:
        this_process().check_alive()
        if self.vanished:
            raise ConnectionError("the page is gone")
        if self.closed:
            return
        if message["type"] == "upload_consumed":
            return
        tenure = self._told_of[message["ref"]]
        with self.machine.world.checking():
            getattr(self, f"_{message['type']}")(tenure, message)

    def _upload_registered(self, tenure: Tenure, message: Any) -> None:
        assert not tenure.answered
        tenure.live = tenure.answered = True
        assert message["resumable"] == (tenure.upload.slot != "plain")

    def _upload_resumed(self, tenure: Tenure, message: Any) -> None:
        upload = tenure.upload
        assert not tenure.answered, message
        tenure.answered = True
        if message["status"] == "resumed":
            tenure.live = True
            if upload.completions and not self.machine.told_complete(upload):
                # Whoever completes it has told the application, and nobody else yet.
                upload.excuses.add("overtaken")
            if upload.excuses & UNFENCED:
                # Then nothing says which of two processes has more of it.
                upload.acknowledged = 0
            assert message["offset"] >= upload.acknowledged, (message, upload)
            assert message["offset"] <= message["bytes_received"] <= len(upload.data)
            self._acknowledge(tenure, message)
            start = message["offset" if self.machine.from_offset else "bytes_received"]
            tenure.position, tenure.index = start, start // CHUNK
        elif message["status"] == "not_found":
            self.machine.not_found(upload)

    def _upload_progress(self, tenure: Tenure, message: Any) -> None:
        status = message["status"]
        ending = message.get("code", status)
        # A complete one can still be cancelled, or go on at another connection.
        may_follow = tenure.endings == ["complete"] and ending in ("locked", "cancelled")
        assert may_follow or not tenure.ended, (message, tenure)
        assert ending != "cancelled" or "cancel" in tenure.upload.excuses, tenure
        tenure.answered = True
        if status in ENDS:
            tenure.endings.append(ending)
        if status != "error":
            self._acknowledge(tenure, message)
        if status == "complete":
            self._check_complete(tenure.upload)

    def _acknowledge(self, tenure: Tenure, message: Any) -> None:
        if message["status"] == "cancelled":
            return
        assert message["offset"] >= tenure.offset and message["limit"] >= tenure.limit
        assert message["limit"] >= message["offset"]
        tenure.offset, tenure.limit = message["offset"], message["limit"]
        tenure.upload.acknowledged = max(tenure.upload.acknowledged, message["offset"])

    def _check_complete(self, upload: Upload) -> None:
        assert upload.completions, upload
        entry = self.manager.roster.entries.get(upload.ref)
        if entry is None:
            assert "cancel" in upload.excuses or "consumed" in upload.excuses
        else:
            check_file(entry, upload)


def check_file(entry: Any, upload: Upload) -> None:
    path = Path(getattr(entry.file, "_path", __file__))
    if upload.excuses & UNFENCED and not path.exists():
        return
    with entry.file.open_stored() as stored:
        assert stored.read() == upload.data
    assert entry.file.size == len(upload.data)
    assert entry.sha256 == hashlib.sha256(upload.data).hexdigest()


def _call_in_thread(_threads: Any, future: Any, function: Any, args: Any) -> Any:
    """As the simulated loop knows how to."""
    return future.get_loop().run_in_executor(None, function, *args)


class Uploads(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.world = World()
        self.from_offset = False
        self._patch()
        # What an example that failed has left.
        vars(window.budget).update(vars(window.Budget()))
        self.sink = FaultySink(self.directory)
        self.slots = [
            UploadSlot(name, sink=sink, **self._options(resumable))
            for name, sink, resumable in [
                ("disk", self.sink, True),
                ("memory", MemorySink(), True),
                ("plain", self.sink, False),
            ]
        ]
        self.processes = [self.world.new_process(), self.world.new_process()]
        self.all_pages: list[Page] = []
        self.all_uploads: dict[str, Upload] = {}

    def _options(self, resumable: bool) -> dict[str, Any]:
        return {
            "max_entries": 10,
            "chunk_size": CHUNK,
            "resumable": resumable,
            "on_complete": self._on_complete,
        }

    def _patch(self) -> None:
        self.patch = pytest.MonkeyPatch()
        clock = self.world.loop.time
        parking = ParkingOfThisProcess()
        for name, value in {
            "uploads.process.parking": parking,
            "transfer.client_side.time": types.SimpleNamespace(monotonic=clock),
            "transfer.transfer.Window": partial(window.Window, clock=clock),
            "transfer.transfer.HEAD_SIZE": 4,
            "flow.window.START_WINDOW": 16,
            "sinks.temporary_file.GATHER": 20,
            "sinks.temporary_file.time": types.SimpleNamespace(monotonic=clock, time=time.time),
            "flow.threads._Threads.call": _call_in_thread,
        }.items():
            self.patch.setattr(f"djust_uploads.{name}", value)
        self.settings = override_settings(
            CACHES={"default": {"BACKEND": "tests.support.simulation.SharedCache"}},
            # What quotas count is given back by tasks that look at the machine's clock.
            DJUST_UPLOADS={"SHA256": True, "QUOTAS": None},
        )
        self.settings.enable()

    async def _on_complete(self, entry: Any) -> None:
        this_process().check_alive()
        self.all_uploads[entry.ref].completions += 1
        with self.world.checking():
            check_file(entry, self.all_uploads[entry.ref])
        await asyncio.sleep(0)

    def told_complete(self, upload: Upload) -> bool:
        return any("complete" in tenure.endings for tenure in self.tenures_of(upload))

    def not_found(self, upload: Upload) -> None:
        if upload.resumable and upload.acknowledged:
            assert self.excuses(upload), upload

    def excuses(self, upload: Upload) -> set[str]:
        if upload.name in self.sink.befallen:
            upload.excuses.add("fault")
        return upload.excuses

    def excuse_all(self, excuse: str) -> None:
        for upload in self.all_uploads.values():
            upload.excuses.add(excuse)

    # Rules

    def page(self, pick: int) -> Page:
        pages = [page for page in self.all_pages if not (page.closed or page.process.ended)]
        return pages[pick % len(pages)] if pages else self.connect(pick % 2)

    def upload(self, pick: int) -> Upload:
        return list(self.all_uploads.values())[pick % len(self.all_uploads)]

    def tenure(self, pick: int) -> tuple[Page, Tenure]:
        """One of those on connections that are there, the latest first."""
        tenures = [
            (page, tenure)
            for page in self.all_pages
            if not (page.closed or page.process.ended)
            for tenure in page.tenures.values()
        ]
        if tenures:
            return tenures[-1 - pick % len(tenures)]
        page = self.page(pick)
        self.register(pick, 40, "disk")
        return page, next(iter(page.tenures.values()))

    @initialize()
    def begin(self) -> None:
        self.connect(0)
        self.register(0, 40, "disk")

    def connect(self, process: int) -> Page:
        page = Page(self, self.processes[process])
        self.all_pages.append(page)
        return page

    @rule(pick=PICK, size=SIZES, slot=st.sampled_from(["disk", "disk", "memory", "plain"]))
    def register(self, pick: int, size: int, slot: str) -> None:
        number = len(self.all_uploads)
        data = random.Random(number).choices(b"abcdefghijklmnopqrstuvwxyz", k=size)
        upload = Upload(str(uuid.UUID(int=number + 1)), slot, bytes(data), f"{number}.bin")
        self.all_uploads[upload.ref] = upload
        if self.world.cache_fails or self.world.cache_hangs:
            upload.excuses.add("fails")
        self.page(pick).register(upload)

    @rule(pick=PICK, chunks=st.integers(1, 6), size=st.sampled_from([CHUNK, CHUNK, 3]))
    def send(self, pick: int, chunks: int, size: int) -> None:
        page, tenure = self.tenure(pick)
        for _ in range(chunks):
            if tenure.live and tenure.position < len(tenure.upload.data):
                page.chunk(tenure, size)

    @rule(pick=PICK)
    def complete(self, pick: int) -> None:
        page, tenure = self.tenure(pick)
        if tenure.live:
            page.send_rest(tenure)

    @rule(
        pick=PICK,
        kind=st.sampled_from(["gap", "again", "long", "beyond", "end", "early", "cancel"]),
    )
    def misbehave(self, pick: int, kind: str) -> None:
        page, tenure = self.tenure(pick)
        ref, data, start = tenure.upload.ref, tenure.upload.data, tenure.position
        tenure.upload.excuses.add(kind)
        match kind:
            case "gap":
                start += 2 * CHUNK
                page.frame(FrameType.CHUNK, ref, tenure.index + 2, data[start : start + CHUNK])
            case "again":
                start = max(0, start - CHUNK)
                index = max(0, tenure.index - 1)
                page.frame(FrameType.CHUNK, ref, index, data[start : start + CHUNK])
            case "long":
                page.frame(FrameType.CHUNK, ref, tenure.index, bytes(CHUNK + 1))
            case "beyond":
                while tenure.position < len(data):
                    page.chunk(tenure)
                page.frame(FrameType.CHUNK, ref, tenure.index, b"x" * CHUNK)
            case "early":
                page.frame(FrameType.CHUNK, ref, 0, data[:CHUNK])
            case "end":
                page.frame(FrameType.COMPLETE, ref)
            case "cancel":
                tenure.cancelling = True
                page.frame(FrameType.CANCEL, ref)

    @rule(pick=PICK, other=PICK)
    def resume(self, pick: int, other: int) -> None:
        page, upload = self.page(pick), self.upload(other)
        tenure = page.tenures.get(upload.ref)
        if tenure is None or (tenure.over and not tenure.cancelling):
            page.resume(upload)

    @rule(pick=PICK, process=st.integers(0, 1), how=st.sampled_from(LOSSES), turns=TURNS)
    def come_back(self, pick: int, process: int, how: str, turns: int) -> None:
        """On another connection, whatever became of the one before."""
        page, tenure = self.tenure(pick)
        self.lose(page, how)
        self.turn(turns, 0)
        self.connect(process).resume(tenure.upload)

    @rule(pick=PICK, how=st.sampled_from(LOSSES))
    def lose_page(self, pick: int, how: str) -> None:
        self.lose(self.page(pick), how)

    def lose(self, page: Page, how: str) -> None:
        match how:
            case "disconnect":
                page.disconnect()
            case "vanish":
                page.vanished = True
            case "cut":
                # The server ends the connection's task.
                page.disconnect()
                page.reader.cancel()

    @rule(pick=PICK, raises=st.booleans(), pause=st.sampled_from([0, 0, 3]))
    def consume(self, pick: int, raises: bool, pause: int) -> None:
        page, tenure = self.tenure(pick)
        page.do(lambda: self._handler(page, tenure.upload.slot, raises, pause))

    async def _handler(self, page: Page, slot: str, raises: bool, pause: int) -> None:
        taken = []
        try:
            with page.manager.turn():
                for entry in page.manager.consume(slot):
                    upload = self.all_uploads[entry.ref]
                    check_file(entry, upload)
                    upload.excuses.add("consumed")
                    taken.append((entry, upload))
                    await asyncio.sleep(pause)
                if raises:
                    raise ValueError("as told")
        except ValueError:
            pass
        for entry, upload in taken:
            upload.consumptions += entry.status is Status.CONSUMED

    @rule(number=st.integers(0, 1), how=st.sampled_from(["kill", "shut_down"]))
    def end_process(self, number: int, how: str) -> None:
        process, self.processes[number] = self.processes[number], self.world.new_process()
        self.excuse_all(how)
        getattr(self.world, how)(process)

    @rule(call=st.sampled_from(CALLS), fault=st.sampled_from(FAULTS), times=st.integers(1, 3))
    def break_sink(self, call: str, fault: str, times: int) -> None:
        self.sink.faults[call].extend([fault] * times)

    @rule(how=st.sampled_from(["works", "works", "fails", "hangs", "forgets"]))
    def change_cache(self, how: str) -> None:
        self.world.cache_fails, self.world.cache_hangs = how == "fails", how == "hangs"
        if how != "works":
            self.excuse_all(how)
        if how == "forgets":
            self.world.cached.clear()

    @rule(from_offset=st.booleans())
    def choose_start(self, from_offset: bool) -> None:
        self.from_offset = from_offset

    @rule(turns=TURNS, which=st.integers(0, 3))
    def turn(self, turns: int, which: int) -> None:
        for _ in range(turns):
            self.world.turn(which)

    @rule()
    def settle(self) -> None:
        self.world.settle()

    @rule(seconds=st.sampled_from([0.3, 1.5, 6, 70, 400]))
    def wait(self, seconds: float) -> None:
        self.sink.release()
        if seconds == 400:
            # Longer than a client may send nothing.
            self.excuse_all("idle")
        self.world.wait(seconds)

    # The end

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.world.close()
            self.settings.disable()
            self.patch.undo()
            shutil.rmtree(self.directory)

    def finish(self) -> None:
        self.mend()
        for upload in self.all_uploads.values():
            self.check_upload(upload)
        for page in self.all_pages:
            page.disconnect()
        self.world.wait(400)
        self.world.wait(2 * 86400)
        assert self.unexplained_files() == []
        for process in self.processes:
            assert not process.parking._transfers and not process.parking._timers
            assert not process.tasks, process.tasks
        budget = window.budget
        assert (budget.uploads, budget.wanted, budget.buffered, budget.sending) == (0, 0, 0, 0)
        self.sweep()
        assert list(self.directory.iterdir()) == []

    def sweep(self) -> None:
        process = self.world.new_process()
        self.world.start(process, self.sink.sweep(timedelta(seconds=-86400)))
        self.world.settle()

    def mend(self) -> None:
        self.world.cache_fails = self.world.cache_hangs = False
        self.sink.mend()
        self.world.wait(12)

    def check_upload(self, upload: Upload) -> None:
        for page in self.all_pages:
            tenure = page.tenures.get(upload.ref)
            if tenure and page.connected:
                self.check_tenure(page, tenure)
        assert upload.completions or not self.told_complete(upload)
        if not self.excuses(upload) & {*LEAVING, "overtaken"}:
            assert upload.completions <= 1, upload
            assert upload.consumptions <= 1, upload
        if upload.resumable:
            self.check_resumes(upload)

    def tenures_of(self, upload: Upload) -> list[Tenure]:
        return [
            tenure
            for p in self.all_pages
            for tenure in p.tenures.values()
            if tenure.upload is upload
        ]

    def check_tenure(self, page: Page, tenure: Tenure) -> None:
        """Its client knows how it stands, and it goes on if it can."""
        assert tenure.answered, tenure
        if tenure.live and not tenure.ended:
            page.send_rest(tenure)
            self.world.wait(12)
            assert tenure.ended, tenure

    def check_resumes(self, upload: Upload) -> None:
        page = self.connect(0)
        page.resume(upload)
        self.world.settle()
        tenure = page.tenures[upload.ref]
        assert tenure.answered
        if tenure.live and not tenure.ended:
            page.send_rest(tenure)
            self.world.wait(12)
            assert tenure.ended
            if not self.excuses(upload):
                assert tenure.endings == ["complete"]

    def unexplained_files(self) -> list[Upload]:
        """Those that only a sweep finds, though nothing happened that excuses it."""
        left = {self.sink.names[key_of(path)] for path in self.directory.iterdir()}
        return [
            upload
            for upload in self.all_uploads.values()
            if upload.name in left and not self.excuses(upload) & LEAVING
        ]


def key_of(path: Path) -> str:
    return path.name.removeprefix(PREFIX)[:32]


# The suite runs the same ones each time; EXAMPLES=5000 looks for others.
Uploads.TestCase.settings = settings(
    max_examples=int(os.environ.get("EXAMPLES", "50")),
    derandomize="EXAMPLES" not in os.environ,
    database=None,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
TestUploads = Uploads.TestCase
