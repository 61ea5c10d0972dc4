"""An application's validators: what they are asked, when, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from djust_uploads import MemorySink, TemporaryFileSink, ValidationFailed, Validator
from djust_uploads.resuming.parking import Parking
from djust_uploads.sinks import temporary_file
from djust_uploads.slots.acceptance import HEAD_SIZE
from djust_uploads.testing import RecordingSink
from djust_uploads.uploads import process
from tests.support.connection import Connection
from tests.support.servers import wait_until

CHUNK = 64 * 1024
DATA = bytes(100) + bytes(range(256)) * 800


class Notes(Validator):
    """Notes what it is asked; raises where it is told to."""

    def __init__(self, refuse=""):
        self.refuse = refuse
        self.notes = []
        self.passed = []

    def note(self, name):
        self.notes.append((name, threading.current_thread() is threading.main_thread()))
        if name == self.refuse:
            raise ValidationFailed(f"refused by {name}", message="Not this one.")

    def check_content(self, entry, head):
        self.note("content")
        assert head == DATA[:HEAD_SIZE]
        assert entry.content_type == "application/octet-stream"

    def check_chunk(self, entry, chunk):
        self.note("chunk")
        self.passed.append(bytes(chunk))

    def check_end(self, entry):
        self.note("end")
        assert b"".join(self.passed) == DATA

    def check_file(self, entry, file):
        self.note("file")
        assert file.read() == DATA

    def ended(self, entry):
        self.note("ended")


class AsyncNotes(Notes):
    async def check_content(self, entry, head):
        super().check_content(entry, head)

    async def check_chunk(self, entry, chunk):
        await asyncio.sleep(0)
        super().check_chunk(entry, chunk)

    async def check_end(self, entry):
        super().check_end(entry)

    async def check_file(self, entry, file):
        self.note("file")
        assert b"".join([chunk async for chunk in file.achunks()]) == DATA

    async def ended(self, entry):
        super().ended(entry)


@pytest.mark.parametrize("kind", [Notes, AsyncNotes])
async def test_order_and_threads(kind):
    # Two of them: the second one finds the file at its begin, too.
    validators = [kind(), kind()]
    async with Connection(sink=MemorySink(), validators=validators) as page:
        assert (await page.upload(DATA))["status"] == "complete"
        for validator in validators:
            names = [name for name, _ in validator.notes]
            assert names == ["content", *["chunk"] * 4, "end", "file", "ended"]
            assert all(on_loop == (kind is AsyncNotes) for _, on_loop in validator.notes)


@pytest.mark.parametrize("kind", [Notes, AsyncNotes])
@pytest.mark.parametrize("refuse", ["content", "chunk", "end", "file"])
async def test_refusals(kind, refuse):
    validator, sink = kind(refuse), RecordingSink()
    async with Connection(sink=sink, validators=[validator]) as page:
        ending = await page.upload(DATA)
        assert (ending["code"], ending["error"]) == ("invalid_file", "Not this one.")
        calls = [call[0] for call in sink.calls]
        assert ("finish" in calls) == (refuse == "file")
        assert ("abort" in calls) == (refuse in ("chunk", "end"))
        assert ("open" in calls) == (refuse != "content")
        assert [name for name, _ in validator.notes].count("ended") == 1
        [entry] = page.entries()
        assert not entry.complete


async def test_each_upload_has_its_own_copy():
    class Counts(Validator):
        count = 0

        def check_chunk(self, entry, chunk):
            self.count += 1

        def check_end(self, entry):
            entry.findings["chunks"] = self.count

    async with Connection(sink=MemorySink(), validators=[Counts()]) as page:
        await page.upload(DATA)
        await page.upload(DATA)
        assert [entry.findings for entry in page.entries()] == [{"chunks": 4}, {"chunks": 4}]


async def test_mistake_is_an_error_of_the_upload(caplog):
    class Mistaken(Validator):
        async def check_end(self, entry):
            raise KeyError("a mistake")

    async with Connection(sink=MemorySink(), validators=[Mistaken()]) as page:
        assert (await page.upload(DATA))["code"] == "upload_failed"
    assert "Mistaken raised KeyError('a mistake')" in caplog.text


async def test_ended_that_raises_is_only_logged(caplog):
    async with Connection(sink=MemorySink(), validators=[Notes("ended")]) as page:
        assert (await page.upload(DATA))["status"] == "complete"
    assert "Notes.ended() raised" in caplog.text


# What another process began


SCRIPT = b"<?xml version='1.0'?><r>" + b" " * 40 * CHUNK + b"<s xmlns='%s'/></r>"
SCRIPTED = SCRIPT % b"http://www.w3.org/2000/svg"
HARMLESS = SCRIPT % b"urn:other"


@pytest.fixture
def other_process(monkeypatch):
    """From the call on, the parking is another process's."""
    monkeypatch.setattr(process, "parking", Parking())
    return lambda: monkeypatch.setattr(process, "parking", Parking())


@pytest.mark.parametrize(
    ("data", "name", "validators", "code"),
    [
        (HARMLESS, "a.xml", [], None),
        (SCRIPTED, "a.xml", [], "active_content"),
        (bytes(40 * CHUNK) + b"bad", "a.bin", ["bad"], "invalid_file"),
        (b"bad" + bytes(40 * CHUNK), "a.bin", ["bad"], "invalid_file"),
        (bytes(40 * CHUNK) + b"bad", "a.bin", ["good"], None),
    ],
    ids=["xml", "scripted xml", "bad end", "bad begin", "good"],
)
async def test_file_is_read_once_more(
    tmp_path, monkeypatch, other_process, data, name, validators, code
):
    class Forbids(Validator):
        def __init__(self, word):
            self.word = word

        def check_chunk(self, entry, chunk):
            # The begin passes in the first process: only the second one sees all of the file.
            if self.word == b"bad" and self.word in chunk and process_number == 2:
                raise ValidationFailed("a bad word")

    monkeypatch.setattr(temporary_file, "GATHER", CHUNK)
    process_number = 1
    options = {
        "owner": "user:1",
        "sink": TemporaryFileSink(tmp_path),
        "resumable": True,
        "validators": [Forbids(word.encode()) for word in validators],
    }
    async with Connection(**options) as page:
        ref = await page.register(len(data), name)
        await page.chunks(ref, data[: 10 * CHUNK])
        [entry] = page.entries()
        assert await wait_until(lambda: entry.taken == 10 * CHUNK)
    other_process()
    process_number = 2
    async with Connection(**options) as page:
        answer = await page.resume(ref)
        assert (answer["status"], answer["bytes_received"]) == ("resumed", 10 * CHUNK)
        ending = await page.go_on(answer, data)
        assert ending.get("code") == code
        assert len(list(tmp_path.glob("*"))) == (0 if code else 1)
