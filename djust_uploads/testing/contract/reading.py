"""The file is read as Django, Pillow and zipfile read files."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.base import File

from ...exceptions import UploadError
from ...files import SinkFile
from ...sinks.base import Sink
from .content import data_of, upload_info
from .harness import on_loop
from .steps import SinkTests, cause_of, in_thread, is_gone, read, read_tail

_SEEKABLE = (
    "open_stored() must return a new binary stream at 0 that can seek, as zipfile and Pillow do."
)


class Reading(SinkTests):
    # What it is

    @on_loop
    async def test_file_tells_what_it_is(self, sink: Sink) -> None:
        data = data_of(1000)
        file = await self._store(sink, data)
        self._tells_what_it_is(file, data, "")
        stored, claimed = await self._in_store(sink), upload_info(0).client_name
        assert not any(claimed in name for name in stored), (
            f"{sorted(stored)} is in the store: a client chose {claimed!r}. Name what you store by "
            "upload.key and upload.safe_client_name."
        )
        await self._delete(sink, file)

    def _tells_what_it_is(self, file: SinkFile, data: bytes, when: str) -> None:
        info = upload_info(len(data))
        assert file.size == len(data), (
            f"The file's size is {file.size!r}{when}: give SinkFile.__init__ the bytes, "
            f"{len(data)}."
        )
        assert file.content_type == info.content_type, (
            f"The file's content_type is {file.content_type!r}{when}: pass on "
            f"upload.content_type, {info.content_type!r}."
        )
        name = str(file.name)
        assert name.endswith(info.safe_client_name) and ".." not in name and name[0] != "/", (
            f"The file's name is {name!r}{when}: end it in upload.safe_client_name, and never use "
            "client_name."
        )
        try:
            restored = json.loads(json.dumps(file.metadata))
        except (TypeError, ValueError) as exc:
            raise AssertionError(
                f"The file's metadata is {file.metadata!r}{when}: give it values that JSON has, "
                "for applications save them."
            ) from exc
        assert restored == file.metadata, (
            f"The file's metadata comes out of JSON as {restored!r}, and was {file.metadata!r}"
            f"{when}: give it values that JSON has."
        )

    @on_loop
    async def test_urls(self, sink: Sink) -> None:
        files = [await self._store(sink, data_of(size)) for size in (1000, 1001)]
        urls = []
        for file in files:
            with self._expect("url", "raise ValueError if the sink has no URLs."):
                urls.append(await in_thread(functools.partial(url_of, file)))
        assert urls[0] is None or urls[0] != urls[1], (
            f"Two files have one url, {urls[0]!r}: make it of what the file is stored as."
        )
        for file in files:
            await self._remove(file)
        await self._nothing_left(sink, "adelete() of two files", "delete each file's own bytes.")

    # How it is read

    @on_loop
    async def test_file_is_read_again(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        for when in ("at first", "when it is read again"):
            await self._has(file, data, when)
        await asyncio.to_thread(file.close)
        # A thread of which asgiref knows nothing, as in a WSGI server.
        mend = "open_stored() must need no event loop."
        with self._expect("open() in a thread", mend), ThreadPoolExecutor(1) as pool:
            loop = asyncio.get_running_loop()
            again = await loop.run_in_executor(pool, lambda: file.open().read())
        assert again == data, "The file is wrong when it was closed and is opened again."
        with self._expect("chunks() or seek()", _SEEKABLE):
            chunks = await in_thread(lambda: b"".join(file.chunks(1000)))
            tail = await in_thread(lambda: read_tail(file, 10))
        assert chunks == data, (
            "chunks() gave other bytes than read(): open_stored() must return a new seekable "
            "stream, at 0."
        )
        assert tail == data[-10:], (
            "seek() from the end and read() gave other bytes: open_stored() must return a stream "
            "that can seek, as zipfile and Pillow do."
        )
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_read_in_pieces(self, sink: Sink) -> None:
        """Each step is done to the file and to a BytesIO. Both must return the same."""
        data = b"a line\nanother\r\n\n" + data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        await in_thread(lambda: self._compare(file, io.BytesIO(data)))
        await self._delete(sink, file)

    def _compare(self, file: SinkFile, expected: io.BytesIO) -> None:
        with self._expect("open_stored()", _SEEKABLE):
            stream: Any = file.open_stored()
        for name, arguments in _steps(len(expected.getvalue())):
            call = f"{name}({', '.join(map(str, arguments))}) of what open_stored() returned"
            with self._expect(call, _SEEKABLE):
                found = _read_fully(stream, arguments[0]) if name == "read" else None
                if name != "read":
                    found = getattr(stream, name)(*arguments)
            right = getattr(expected, name)(*arguments)
            assert found == right, (
                f"{call} gave {_short(found)}, where a file has {_short(right)}: {_SEEKABLE}"
            )
        stream.close()

    @on_loop
    async def test_file_is_read_line_by_line(self, sink: Sink) -> None:
        data = b"".join(b"%d,line\n" % number for number in range(20_000)) + b"the end"
        file = await self._store(sink, data)
        with self._expect("readline(), or a loop over the file,", _SEEKABLE):
            lines = await in_thread(lambda: list(file.open()))
            first = await in_thread(lambda: file.open().readline())
        assert lines == data.splitlines(keepends=True) and first == lines[0], (
            f"The file's lines are not those that were written: {_SEEKABLE}"
        )
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_a_zip_archive(self, sink: Sink) -> None:
        content = data_of(self.part_size)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writing:
            writing.writestr("first.txt", b"first")
            writing.writestr("content", content)
        file = await self._store(sink, archive.getvalue())

        def unpack() -> tuple[list[str], bytes, bytes]:
            with zipfile.ZipFile(file.open()) as reading:
                # The last one first: zipfile goes to and fro.
                last = reading.read("content")
                return reading.namelist(), last, reading.read("first.txt")

        with self._expect("zipfile", _SEEKABLE):
            unpacked = await in_thread(unpack)
        assert unpacked == (["first.txt", "content"], content, b"first"), (
            f"zipfile found other files than were written: {_SEEKABLE}"
        )
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_saved_in_a_storage(self, sink: Sink) -> None:
        """What ``default_storage.save()`` does: it reads from the beginning, whatever was read."""
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        with self._expect("chunks() after a read()", _SEEKABLE):
            saved = await in_thread(lambda: (file.open().read(10), b"".join(File(file).chunks())))
        assert saved == (data[:10], data), f"chunks() must begin at 0 again: {_SEEKABLE}"
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_read_by_async_code(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        with self._expect("aread() or achunks()", "they call open_stored() in a thread."):
            assert await file.aread() == data, "aread() gave other bytes than were written."
            chunks = [chunk async for chunk in file.achunks(1000)]
        assert b"".join(chunks) == data, "achunks() gave other bytes than were written."
        await asyncio.to_thread(file.close)
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_opened_on_the_event_loop(self, sink: Sink) -> None:
        """What an async view does that reads the file as if it were on this machine."""
        blockbuster = pytest.importorskip("blockbuster")
        file = await self._store(sink, data_of(self.part_size + 1000))
        self._doing = "open_stored() on an event loop"
        with blockbuster.blockbuster_ctx():
            try:
                file.open().read(10)
            except SynchronousOnlyOperation:
                pass
            except Exception as exc:
                blocking = cause_of(exc, blockbuster.BlockingError)
                # To read a local file takes as long as to ask a thread for it.
                assert "socket" not in str(blocking), (
                    f"{blocking} when an async view read the file, and every other socket waited: "
                    "decorate open_stored() with django.utils.asyncio.async_unsafe()."
                )
        await asyncio.to_thread(file.close)
        await self._delete(sink, file)

    # More than one reader

    @on_loop
    async def test_two_readers_of_one_file(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        mend = "open_stored() must return a new stream each time, with a position of its own."

        def read_in_turns() -> bytes:
            first, second = file.open_stored(), file.open_stored()
            second.seek(len(data) // 2)
            content = _read_fully(first, 10)
            _read_fully(second, 10)
            content += _read_fully(first, -1)
            first.close()
            assert _read_fully(second, 10) == data[len(data) // 2 + 10 :][:10], (
                f"One reader of the file moved, or closed, another one's: {mend}"
            )
            second.close()
            return content

        with self._expect("A second reader of the file", mend):
            content = await in_thread(read_in_turns)
        assert content == data, f"Two readers of one file disturbed each other: {mend}"
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_read_while_others_come_and_go(self, sink: Sink) -> None:
        data, other_data = data_of(self.part_size + 1000), data_of(self.part_size + 999)
        file = await self._store(sink, data)
        begin = await in_thread(lambda: file.open().read(10))
        other = await self._store(sink, other_data)
        await self._has(other, other_data, "while another file is being read")
        await self._remove(other)
        mend = "the reader of a file must share nothing with uploads and other files."
        with self._expect("read(), when another file was stored and deleted meanwhile,", mend):
            rest = await in_thread(lambda: _read_fully(file, -1))
        assert begin + rest == data, (
            f"The file is wrong when it is read while another one is stored: {mend}"
        )
        await self._delete(sink, file)

    # Its end

    @on_loop
    async def test_delete(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        if type(self).leftovers is not SinkTests.leftovers:
            assert await self._in_store(sink), (
                "leftovers() named nothing when a file was stored, so it can't tell what is left: "
                "return the names of everything in the sink's store."
            )
        await self._delete(sink, file)
        assert await is_gone(file), (
            "The file can be read after adelete(): delete the stored bytes in it."
        )
        with self._expect("adelete(), called again,", "what is gone is no error."):
            await file.adelete()
        with self._expect(
            "akeep() of a deleted file", "an event handler may delete what it consumes."
        ):
            await file.akeep()
        await self._nothing_left(sink, "akeep() of a deleted file", "it is gone, so mark nothing.")

    @on_loop
    async def test_keep(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        assert sink.keeps_files or type(file).akeep is SinkFile.akeep, (
            f"{type(file).__name__} has an akeep(), which is never called: set keeps_files = True "
            "in the sink, or leave akeep() out."
        )
        with self._expect("akeep(), called twice,", "what is kept already is no error."):
            await file.akeep()
            await file.akeep()
        assert await read(file) == data, "akeep() changed the file: it must stay as it is."
        await self._delete(sink, file)


def url_of(file: SinkFile) -> str | None:
    """The file's URL, or ``None`` where the sink has none, or lacks what it takes to sign one."""
    try:
        return file.url
    except (ValueError, UploadError):
        return None


def _steps(size: int) -> list[tuple[str, tuple[int, ...]]]:
    """What readers do, in an order that finds a wrong position."""
    return [
        ("read", (1,)),
        ("tell", ()),
        ("readline", ()),
        ("tell", ()),
        ("read", (0,)),
        ("read", (size // 2,)),
        ("tell", ()),
        ("seek", (5, io.SEEK_SET)),
        ("read", (3,)),
        ("seek", (-2, io.SEEK_CUR)),
        ("tell", ()),
        ("read", (5,)),
        ("seek", (7, io.SEEK_CUR)),
        ("read", (5,)),
        ("seek", (-9, io.SEEK_END)),
        ("tell", ()),
        ("read", (4,)),
        ("read", (100,)),
        ("read", (1,)),
        ("seek", (0, io.SEEK_END)),
        ("read", (-1,)),
        ("seek", (0,)),
        ("readline", (3,)),
        ("read", (-1,)),
        ("tell", ()),
    ]


def _read_fully(stream: Any, size: int) -> bytes:
    """Read ``size`` bytes, or all with -1: ``read()`` may return less than it was asked for."""
    pieces: list[bytes] = []
    missing = size
    while size < 0 or missing > 0:
        piece = stream.read(missing if size >= 0 else -1)
        assert size < 0 or len(piece) <= missing, (
            f"read({missing}) returned {len(piece)} bytes: {_SEEKABLE}"
        )
        if not piece:
            break
        pieces.append(bytes(piece))
        missing -= len(piece)
    return b"".join(pieces)


def _short(value: object) -> str:
    return f"{len(value)} bytes, {value[:20]!r}…" if isinstance(value, bytes) else repr(value)
