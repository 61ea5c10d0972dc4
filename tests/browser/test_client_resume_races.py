"""What may happen at the same time while a page resumes its uploads."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def statuses(page):
    events = await page.evaluate("recorded.progress")
    return [(event["status"], event["progress"]) for event in events]


async def test_a_close_while_resuming_and_two_closes(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        socket.lose();
        const second = page.connect();
        second.lose();
        const third = page.connect();
        socket.lose();   // an abandoned socket closes when the next one is there
        second.hear({type: "upload_resumed", ref: upload.ref, status: "not_found"});
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await third.wait("complete");
        await drawn();
        return [resumes(second, third), third.sent.map(({type}) => type)];
        """,
    )
    assert told == [[1, 1], ["upload_resume", *["chunk"] * 4, "complete"]]


async def test_the_slots_told_twice_ask_once(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        const second = page.connect();
        second.hear({type: "upload_configs", upload_configs: page.uploads.slots});
        return resumes(second);
        """,
    )
    assert told == [1]


async def test_progress_before_the_answer_is_no_answer(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        const second = page.connect();
        page.progress(upload, "uploading", 60, {limit: 100});
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await second.wait("complete");
        return second.of("chunk").length;
        """,
    )
    assert told == 4


async def test_cancelled_while_disconnected(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.uploads.cancel(upload.ref);
        const gone = page.all.length;
        const second = page.connect();
        const before = second.of("cancel").length;
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        const cancels = second.of("cancel").map(({ref}) => ref === upload.ref);
        page.progress(upload, "cancelled", 0);
        second.lose();
        const third = page.connect();
        return {gone, before, cancels, chunks: second.of("chunk").length, third: third.sent,
                records: records().length};
        """,
    )
    assert told == {
        "gone": 0,
        "before": 0,
        "cancels": [True],
        "chunks": 0,
        "third": [],
        "records": 0,
    }
    assert [status for status, _ in await statuses(fake_page)].count("cancelled") == 1


async def test_cancelled_while_disconnected_and_the_page_is_left(fake_page):
    ref = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.uploads.cancel(upload.ref);
        return upload.ref;
        """,
    )
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        page.resumed({ref: argument}, "resumed", {bytes_received: 60});
        page.progress({ref: argument}, "cancelled", 0);
        return [socket.sent.map(({type, ref}) => [type, ref]), page.all.length, records().length];
        """,
        ref,
    )
    assert told == [[["upload_resume", ref], ["cancel", ref]], 0, 0]


async def test_cancelled_while_resuming(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        const second = page.connect();
        page.uploads.cancel(upload.ref);
        const before = second.of("cancel").length;
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await drawn();
        return [before, second.sent.map(({type}) => type)];
        """,
    )
    assert told == [0, ["upload_resume", "cancel"]]


async def test_a_cancel_that_nobody_confirmed_is_said_again(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        page.uploads.cancel(upload.ref);
        const first = socket.of("cancel").length;
        socket.lose();
        const second = page.connect();
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        return [first, second.of("cancel").length];
        """,
    )
    assert told == [1, 1]


async def test_only_what_can_be_resumed_is_given_up_lightly(fake_page):
    told = await run(
        fake_page,
        """
        const is = () => [page.uploads.resumable, page.uploads.fragile];
        const told = [is()];
        const upload = await page.begin(textFile(100), {limit: 60});
        told.push(is());
        const other = await page.begin(textFile(200), {limit: 90, resumable: false});
        told.push(is());
        page.uploads.cancel(other.ref);
        socket.lose();
        told.push(is());
        return told;
        """,
    )
    assert told == [[False, False], [True, False], [False, True], [True, False]]


async def test_cancelled_by_who_hears_that_it_goes_on(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        const second = page.connect();
        addEventListener("djust:upload:progress", ({detail: {ref, status}}) => {
          if (status === "uploading") page.uploads.cancel(ref);
        });
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await drawn();
        return [second.sent.map(({type}) => type), records().map(({status}) => status)];
        """,
    )
    assert told == [["upload_resume", "cancel"], ["cancelled"]]
