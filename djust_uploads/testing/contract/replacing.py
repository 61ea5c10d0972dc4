"""Once another process goes on with an upload, nobody else can change its file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ...exceptions import NotResumable, UploadError
from ...files import SinkFile
from ...sinks.base import Sink, SinkWriter, UploadInfo
from .content import CHUNK_SIZE, chunks_of, data_of, upload_info
from .harness import on_loop
from .resuming import Resuming


class Replacing(Resuming):
    # Who was replaced

    @pytest.mark.parametrize("bytes_of", ["the file", "another file"])
    @on_loop
    async def test_who_was_replaced_writes_on(self, sink: Sink, bytes_of: str) -> None:
        """It doesn't know yet that the upload goes on elsewhere. What its socket brings is the same
        file; or it is not, when somebody tries to slip in other bytes than are looked at."""
        data = data_of(6 * self.part_size + 7)
        others = data if bytes_of == "the file" else data[::-1]
        replaced, resumed = await self._taken_over(sink, data, others, self._first_bytes)
        other = self._others[-1]
        try:
            file = await self._contend(resumed, replaced, data)
        except UploadError as exc:
            assert bytes_of == "another file", (
                f"An upload failed, {exc!r}, as the writer that it was resumed from went on to "
                "write the same bytes: refuse that one's, or take them."
            )
            await self._abort(other, resumed, "a write() of another writer")
        else:
            await self._has(
                file,
                data,
                f"when the writer that it was resumed from goes on to write {bytes_of}: let nobody "
                "write to it any more, from resume() on",
            )
            await self._delete(other, file)
        await replaced.release()

    @on_loop
    async def test_who_was_replaced_finishes_first(self, sink: Sink) -> None:
        """It has got the rest of the bytes, too, and does not know yet that it is too late."""
        data = data_of(2 * self.part_size + 7)
        replaced, resumed = await self._taken_over(sink, data, data, self._first_bytes)
        await replaced.write(self._first_bytes, len(data))
        start = resumed.offset
        await replaced.finish()
        mend = (
            "when the writer that it was resumed from has finished it, of the same bytes: refuse "
            "that one's finish(), or take its file"
        )
        with self._expect("write() or finish()", f"it must work {mend}."):
            await self._write_raw(resumed, data[start:])
            file = await resumed.finish()
        await self._has(file, data, mend)
        await self._delete(self._others[-1], file)
        await replaced.release()

    @pytest.mark.parametrize("begun", [False, True], ids=["before a byte", "after a part"])
    @on_loop
    async def test_who_was_replaced_finishes_last(self, sink: Sink, begun: bool) -> None:
        """By then, the file was looked at, and may be in use."""
        data = data_of(2 * self.part_size + 7)
        first_bytes = self._first_bytes if begun else 0
        replaced, resumed = await self._taken_over(sink, data, data[::-1], first_bytes)
        await self._write(resumed, [data[resumed.offset :]], resumed.offset)
        file = await self._finish(resumed, data)
        await replaced.write(first_bytes, len(data))
        await replaced.finish()
        await self._has(
            file,
            data,
            "when the writer that it was resumed from finishes, too, and has other bytes: change "
            "no file that is finished",
        )
        await self._remove(file)
        await replaced.release()
        # Who does not know that it was replaced may have begun anew. A sweep finds that.
        await self._sweep(self._others[-1])
        await self._nothing_left(sink, "adelete() and sweep()", "delete what an upload stored.")

    @property
    def _first_bytes(self) -> int:
        """How many bytes are written before the upload goes on elsewhere."""
        return self.part_size + 1

    async def _begun(
        self, sink: Sink, info: UploadInfo, first: bytes
    ) -> tuple[SinkWriter, dict[str, Any], int]:
        """Return a writer that has the first bytes, its checkpoint, and its offset then."""
        writer = await self._open_info(sink, info)
        await self._write(writer, [first] if first else [])
        return writer, await self._checkpoint(sink, writer), writer.offset

    async def _taken_over(
        self, sink: Sink, data: bytes, others: bytes, written: int
    ) -> tuple[Replaced, SinkWriter]:
        """Return the writer that began the upload with so many bytes and would go on with those of
        ``others``, and the writer that has taken it over in another process."""
        info = upload_info(len(data))
        writer, checkpoint, durable = await self._begun(sink, info, data[:written])
        resumed = await self._resumed(
            self._other(sink), replace(info, generation=1), checkpoint, durable, written
        )
        return Replaced(self, writer, others), resumed

    async def _contend(self, resumed: SinkWriter, replaced: Replaced, data: bytes) -> SinkFile:
        """Who was replaced is first, then second, then after the end."""
        first, second = 3 * self.part_size + 2, 5 * self.part_size + 3
        await replaced.write(self._first_bytes, first)
        await self._write_raw(resumed, data[resumed.offset : second])
        await resumed.flush()
        await replaced.write(first, second)
        await self._write_raw(resumed, data[second:])
        self._doing = "finish()"
        file = await resumed.finish()
        await replaced.write(second, len(data))
        return file

    async def _write_raw(self, writer: SinkWriter, data: bytes) -> None:
        """What it raises is for the caller to judge."""
        self._doing = "write() or flush()"
        for chunk in chunks_of(data, CHUNK_SIZE):
            await writer.write(chunk)

    # Whose turn it is

    @on_loop
    async def test_who_resumes_late_takes_nothing(self, sink: Sink) -> None:
        """Two resumed at the same time. The one with the lower generation has lost the upload
        already, and comes after the other one."""
        data = data_of(4 * self.part_size + 7)
        info = upload_info(len(data))
        first = data[: self._first_bytes]
        writer, checkpoint, durable = await self._begun(sink, info, first)
        winner, loser = self._other(sink), self._other(sink)
        won = await self._resumed(
            winner, replace(info, generation=10), checkpoint, durable, self._first_bytes
        )
        late: Replaced | None = None
        try:
            lost = await loser.resume(replace(info, generation=9), dict(checkpoint))
            late, start = Replaced(self, lost, data), lost.offset
        except NotResumable:
            start = 0
        except Exception as exc:
            raise AssertionError(
                f"resume() raised {exc!r} when another process had resumed the upload with a "
                "higher upload.generation: raise NotResumable, or return a writer whose write() "
                "fails."
            ) from exc
        start_of_winner, middle = won.offset, 2 * self.part_size
        mend = (
            "refuse a resume() whose upload.generation is lower than the one that has the upload, "
            "or let it not take the upload away."
        )
        await self._write_on(won, data[start_of_winner:middle], mend)
        if late:
            await late.write(start, 3 * self.part_size)
        await self._write_on(won, data[middle:], mend)
        file = await self._finish(won, data, mend)
        await self._has(file, data, f"when a late process resumed it, too: {mend}")
        if late:
            await late.release()
        await self._let_go(writer)
        await self._delete(winner, file)

    async def _write_on(self, writer: SinkWriter, data: bytes, mend: str) -> None:
        with self._expect("write(), when a late process had resumed the upload, too,", mend):
            await self._write_raw(writer, data)


class Replaced:
    """A writer that writes until it fails."""

    def __init__(self, test: Replacing, writer: SinkWriter, data: bytes) -> None:
        self._test = test
        self._writer = writer
        self._data = data
        self._failed = False

    async def write(self, start: int, end: int) -> None:
        try:
            for chunk in [] if self._failed else chunks_of(self._data[start:end], CHUNK_SIZE):
                await self._writer.write(chunk)
            await self._writer.flush()
        except Exception as exc:
            self._failed = True
            self._test._is_ours(exc, "write() of an upload that goes on elsewhere")

    async def finish(self) -> None:
        self._test._doing = "finish() of an upload that goes on elsewhere"
        try:
            await self._writer.finish()
        except Exception as exc:
            self._test._is_ours(exc, "finish() of an upload that goes on elsewhere")

    async def release(self) -> None:
        await self._test._let_go(self._writer)
