"""How the client resumes, with the test for a server: what it says, whatever comes in between."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def statuses(page):
    events = await page.evaluate("recorded.progress")
    return [(event["status"], event["progress"]) for event in events]


async def test_an_upload_goes_on_where_the_server_stands(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        const {ref} = upload;
        socket.lose();
        await drawn();
        const row = document.querySelector("[data-upload-ref]");
        const waiting = [
          row.dataset.uploadRef === ref, row.dataset.status,
          row.querySelector(".upload-progress-text").textContent,
          row.querySelector(".upload-progress-bar").ariaValueNow,
        ];
        const second = page.connect();
        const [asked] = await second.wait("upload_resume");
        page.resumed(upload, "resumed", {bytes_received: 47, progress: 47});
        await second.wait("complete");
        page.progress(upload, "complete", 100);
        const chunks = second.of("chunk").map(({index, text}) => [index, text]);
        return {
          waiting, chunks, sameRef: asked.ref === ref,
          asked: [asked.upload_name, asked.client_name, asked.client_size],
          sent: second.sent.map(({type}) => type), status: upload.status,
        };
        """,
    )
    assert told["waiting"] == [True, "waiting", "Waiting for the connection", "60"]
    assert told["sameRef"]
    assert told["asked"] == ["files", "notes.txt", 100]
    # From byte 47 on, in chunks counted from 47 // 10.
    letters = "".join(chr(97 + at % 26) for at in range(100))
    rest = letters[47:]
    assert told["chunks"] == [
        [4 + number, rest[10 * number : 10 * number + 10]] for number in range(6)
    ]
    assert told["sent"] == ["upload_resume", *["chunk"] * 6, "complete"]
    assert told["status"] == "complete"


async def test_progress_never_goes_back(fake_page):
    await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.connect();
        // A server that was killed has less than it had told of.
        page.resumed(upload, "resumed", {bytes_received: 20, progress: 20, limit: 40});
        page.progress(upload, "uploading", 40, {limit: 1000});
        page.progress(upload, "uploading", 80, {limit: 1000});
        """,
    )
    shown = [progress for _, progress in await statuses(fake_page)]
    assert shown == sorted(shown)
    assert ("waiting", 60) in await statuses(fake_page)
    assert shown[-1] == 80


async def test_what_the_server_lost_starts_over_under_a_new_ref(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        const {ref} = upload;
        socket.lose();
        const second = page.connect();
        page.resumed(upload, "not_found");
        const [register] = await second.wait("upload_register");
        return {
          fresh: register.ref !== ref, same: register.ref === upload.ref,
          resumable: register.resumable, progress: upload.progress,
          records: records().map(({ref}) => ref), resumes: resumes(second),
          ends: recorded.progress.filter((event) => event.ref === ref).at(-1).status,
        };
        """,
    )
    assert told == {
        "ends": "cancelled",
        "fresh": True,
        "same": True,
        "resumable": True,
        "progress": 0,
        "records": [],
        "resumes": [1],
    }


async def test_a_lock_is_waited_for(fake_page):
    await fake_page.clock.install()
    await run(
        fake_page,
        """
        window.upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.connect();
        page.resumed(upload, "locked");
        """,
    )
    assert await run(fake_page, "return [upload.status, ...resumes(socket)]") == ["waiting", 1]
    await fake_page.clock.run_for(1000)
    told = await run(
        fake_page,
        """
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await socket.wait("complete");
        return [upload.status, ...resumes(socket)];
        """,
    )
    assert told == ["uploading", 2]


async def test_a_lock_is_not_asked_after_more_often_because_of_other_files(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        const next = page.connect();
        page.resumed(upload, "locked");
        for (const name of "bcdef") page.uploads.add("files", [textFile(9, name)]);
        return [upload.status, ...resumes(next)];
        """,
    )
    assert told == ["waiting", 1]


async def test_a_lock_that_lasts_ends_it_and_it_is_not_resumed_again(fake_page):
    await fake_page.clock.install()
    await run(
        fake_page,
        """
        window.upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.connect();
        """,
    )
    for pause in (1, 2, 4, 8, 0):
        assert await run(fake_page, "return upload.status") == "resuming"
        await run(fake_page, "page.resumed(upload, 'locked')")
        await fake_page.clock.run_for(1000 * pause)
    told = await run(
        fake_page,
        """
        await drawn();
        const error = document.querySelector(".upload-error").textContent;
        socket.lose();
        return {error, code: upload.code, sent: page.connect().sent, records: records().length};
        """,
    )
    assert told == {
        "error": "This upload goes on in another window.",
        "code": "locked",
        "sent": [],
        "records": 1,  # it is the other window's
    }


async def test_after_a_new_login_it_goes_on_where_it_was(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        const { ref } = upload;
        page.fail(upload, "session_ended", "Please log in again to go on.");
        socket.lose();
        const second = page.connect();
        await drawn();
        document.querySelector(".upload-retry").click();
        const [resume] = await second.wait("upload_resume");
        return [upload.status, resume.ref === ref];
        """,
    )
    assert told == ["resuming", True]


async def test_who_is_told_that_it_goes_on_elsewhere_stops_sending(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.fail(upload, "locked", "This upload goes on in another window.");
        page.progress(upload, "uploading", 50, {limit: 1000});
        await drawn();
        return [upload.error, socket.of("chunk").length, socket.of("cancel").length];
        """,
    )
    assert told == ["This upload goes on in another window.", 3, 0]


async def test_what_failed_meanwhile_says_why(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.connect();
        page.fail(upload, "storage_full", "There is no room.");
        return [upload.status, upload.error, records().length];
        """,
    )
    assert told == ["error", "There is no room.", 0]


async def test_complete_uploads_come_back_complete(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(50), {limit: 50});
        page.progress(upload, "complete", 100);
        socket.lose();
        const lost = upload.status;
        const second = page.connect();
        page.resumed(upload, "resumed", {bytes_received: 50, progress: 100});
        page.progress(upload, "complete", 100);
        await drawn();
        return [lost, upload.status, second.sent.map(({type}) => type)];
        """,
    )
    assert told == ["waiting", "complete", ["upload_resume", "complete"]]


async def test_complete_uploads_do_not_wait_for_those_on_their_way(fake_page):
    told = await run(
        fake_page,
        """
        const uploads = [];
        for (let at = 0; at < 5; at++) {
          const upload = await page.begin(textFile(10, `${at}.txt`), {limit: 10});
          page.progress(upload, "complete", 100);
          uploads.push(upload);
        }
        socket.lose();
        const second = page.connect();
        return second.of("upload_resume").length;
        """,
    )
    assert told == 5


async def test_what_was_consumed_meanwhile_is_gone(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(50), {limit: 50});
        page.progress(upload, "complete", 100);
        socket.lose();
        const second = page.connect();
        second.hear({type: "upload_consumed", upload_name: "files", refs: [upload.ref]});
        page.resumed(upload, "not_found");
        await drawn();
        return [page.all.length, second.of("upload_register").length, records().length];
        """,
    )
    assert told == [0, 0, 0]


async def test_what_is_not_resumable_starts_over(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60, resumable: false});
        const {ref} = upload;
        socket.lose();
        const progress = upload.progress;
        const second = page.connect();
        const [register] = await second.wait("upload_register");
        const told = recorded.progress.filter((event) => event.ref === ref);
        return [
          register.ref !== ref, progress, resumes(second), records().length,
          told.at(-1).status, told.filter(({status}) => status === "cancelled").length,
        ];
        """,
    )
    assert told == [True, 0, [0], 0, "cancelled", 1]


async def test_a_registration_whose_answer_was_lost_is_asked_after(fake_page):
    told = await run(
        fake_page,
        """
        const [upload] = page.uploads.add("files", [textFile(100)]);
        socket.lose();
        const second = page.connect();
        const [asked] = second.of("upload_resume");
        page.resumed(upload, "resumed", {bytes_received: 0});
        await second.wait("complete");
        return [asked.ref === upload.ref, second.of("chunk").length];
        """,
    )
    assert told == [True, 10]


async def test_a_form_waits_for_its_interrupted_uploads(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(50), {limit: 50});
        page.progress(upload, "complete", 100);
        socket.lose();
        let settled = null;
        page.uploads.settle(["files"]).then((arrived) => { settled = arrived; });
        await drawn();
        const early = settled;
        page.connect();
        page.resumed(upload, "resumed", {bytes_received: 50, progress: 100});
        page.progress(upload, "complete", 100);
        await drawn();
        return [early, settled];
        """,
    )
    assert told == [None, True]
