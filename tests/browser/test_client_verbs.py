"""What a page can do with its uploads: pause, go on, try again; and what it can show of them."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_paused_upload_sends_nothing_until_it_goes_on(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.uploads.pause(upload.ref);
        page.progress(upload, "uploading", 30, {limit: 1000});
        await drawn();
        const paused = [upload.status, upload.progress, socket.of("chunk").length];
        page.uploads.resume(upload.ref);
        await socket.wait("complete");
        return {paused, chunks: socket.of("chunk").length, status: upload.status};
        """,
    )
    assert told == {"paused": ["paused", 30, 3], "chunks": 10, "status": "uploading"}


async def test_paused_before_the_server_has_answered(fake_page):
    told = await run(
        fake_page,
        """
        const [upload] = page.uploads.add("files", [textFile(20)]);
        page.uploads.pause(upload.ref);
        socket.hear({
          type: "upload_registered", ref: upload.ref, upload_name: "files", offset: 0, limit: 20,
          chunk_size: 10, resumable: true,
        });
        await drawn();
        const before = socket.of("chunk").length;
        page.uploads.resume(upload.ref);
        await socket.wait("complete");
        return [before, socket.of("chunk").length];
        """,
    )
    assert told == [0, 2]


async def test_a_pause_makes_room_for_the_next_file(fake_page):
    told = await run(
        fake_page,
        """
        const files = [1, 2, 3, 4].map((at) => textFile(100, `${at}.txt`));
        const uploads = page.uploads.add("files", files);
        const before = uploads.map(({status}) => status);
        page.uploads.pause(uploads[0].ref);
        page.uploads.pauseAll("files");
        const paused = uploads.map(({status}) => status);
        page.uploads.resumeAll("files");
        return {before, paused, after: uploads.map(({status}) => status)};
        """,
    )
    assert told["before"] == ["uploading", "uploading", "uploading", "queued"]
    assert told["paused"] == ["paused"] * 4
    assert told["after"] == ["uploading"] * 4


async def test_a_queued_file_that_was_paused_waits_in_line_again(fake_page):
    told = await run(
        fake_page,
        """
        const files = [1, 2, 3, 4, 5].map((at) => textFile(100, `${at}.txt`));
        const uploads = page.uploads.add("files", files);
        page.uploads.pause(uploads[3].ref);
        page.uploads.resume(uploads[3].ref);
        return uploads.map(({status}) => status);
        """,
    )
    assert told == ["uploading", "uploading", "uploading", "queued", "queued"]


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_pause_outlasts_the_connection(fake_page, resumable):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30, resumable: argument});
        page.uploads.pause(upload.ref);
        socket.lose();
        const second = page.connect();
        const waiting = [upload.status, second.sent.length];
        page.uploads.resume(upload.ref);
        return {waiting, asked: second.sent.map(({type}) => type)};
        """,
        resumable,
    )
    assert told["waiting"] == ["paused", 0]
    assert told["asked"] == ["upload_resume" if resumable else "upload_register"]


async def test_the_server_hears_that_a_pause_is_no_end(fake_page):
    await fake_page.clock.install()
    ref = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.uploads.pause(upload.ref);
        return upload.ref;
        """,
    )
    await fake_page.clock.run_for(61_000)
    kept = await run(fake_page, "return socket.of('upload_keep').map(({refs}) => refs)")
    assert kept == [[ref]]
    await run(fake_page, "page.uploads.resume(page.all[0].ref)")
    await fake_page.clock.run_for(61_000)
    assert len(await run(fake_page, "return socket.of('upload_keep')")) == 1


async def test_a_cancel_of_a_paused_upload_reaches_the_server(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.uploads.pause(upload.ref);
        page.uploads.cancelAll("files");
        return [socket.of("cancel").map(({ref}) => ref === upload.ref), page.all.length];
        """,
    )
    assert told == [[True], 0]


async def test_a_failed_file_is_sent_again_from_its_beginning(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        const {ref} = upload;
        page.fail(upload, "storage_unavailable", "Please try again.");
        const failed = [upload.status, upload.error];
        page.uploads.retry(ref);
        const [, register] = await socket.wait("upload_register", 2);
        return {
          failed, fresh: register.ref !== ref, now: [upload.status, upload.error, upload.loaded],
        };
        """,
    )
    assert told["failed"] == ["error", "Please try again."]
    assert told["fresh"]
    assert told["now"] == ["uploading", None, 0]


async def test_a_total_of_what_is_there_and_how_long_the_rest_takes(fake_page):
    await fake_page.clock.install()
    await run(
        fake_page,
        """
        window.first = await page.begin(textFile(100, "a.txt"), {limit: 10});
        window.second = await page.begin(textFile(300, "b.txt"), {limit: 10});
        """,
    )
    assert (await run(fake_page, "return page.uploads.total('files')"))["secondsLeft"] is None
    for second in range(1, 5):
        await fake_page.clock.run_for(1000)
        taken = 10 + 20 * second
        await run(
            fake_page,
            "page.progress(first, 'uploading', argument, {taken: argument})",
            taken,
        )
    told = await run(
        fake_page,
        "return [page.uploads.total('files'), first.loaded, first.rate, first.secondsLeft]",
    )
    total, loaded, rate, seconds_left = told
    assert (total["files"], total["complete"], total["failed"]) == (2, 0, 0)
    assert (total["size"], total["loaded"]) == (400, 90 + 9)
    assert loaded == 90
    assert rate == pytest.approx(20, rel=0.3)
    assert seconds_left == pytest.approx(10 / rate, rel=0.01)
    assert total["secondsLeft"] == pytest.approx(301 / total["rate"], rel=0.01)
