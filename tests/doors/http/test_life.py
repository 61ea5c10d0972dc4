"""One life by every door: uploads that change the process and the door, and servers that die."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import uuid

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.http import Client, begun_patch, http_site, metadata, slowly
from tests.support.resuming import arrived, new_session, sha256

DATA = random.Random(4).randbytes(1_000_000)
SLOT = "default"


def uploaded(site) -> list[str]:
    """The refs of ``uploaded()``'s calls."""
    path = site.uploads.parent / "uploaded"
    return path.read_text().split() if path.exists() else []


def ref_of(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


@contextlib.asynccontextmanager
async def visitor(site):
    """A client and a page of one visitor."""
    cookies = new_session()
    async with (
        Client(site, cookies=cookies, headers={"Origin": site.http("")}) as client,
        UploadClient(site.ws("/ws/"), cookies=cookies) as page,
    ):
        await page.mounted()
        yield client, page


async def begun_by_page(page, until: int) -> str:
    """Register an upload, send its beginning, and return the path of its URL."""
    ref = await page.register(SLOT, "data.bin", len(DATA), resumable=True)
    await page.send_chunks(ref, DATA, until=until)
    await page.event("ping")
    return f"/uploads/{SLOT}/{ref}"


async def test_begun_by_a_page_and_finished_by_http(uvicorn_site):
    async with visitor(uvicorn_site) as (client, page):
        path = await begun_by_page(page, 300_000)
        offset = await client.offset(path)
        assert offset == 300_000
        # The page hears that it does not have the upload any more.
        with pytest.raises(UploadFailed, match="locked"):
            await page.ended(ref_of(path))
        answer = await client.patch(path, offset, slowly(DATA[offset:]))
        assert answer.status_code == 204
        assert await client.content(path) == DATA
        assert uploaded(uvicorn_site).count(ref_of(path)) == 1


async def test_begun_by_http_and_finished_by_a_page(uvicorn_site):
    async with visitor(uvicorn_site) as (client, page):
        path = await client.create(len(DATA), SLOT, **metadata(name="data.bin"))
        await client.patch(path, 0, DATA[:300_001])
        ref = ref_of(path)
        answer = await page.resume(ref)
        assert answer["status"] == "resumed"
        await page.send_chunks(ref, DATA)
        await page.complete(ref)
        assert await arrived(page, SLOT) == {ref: sha256(DATA)}


async def test_created_by_http_and_sent_by_a_page(uvicorn_site):
    async with visitor(uvicorn_site) as (client, page):
        ref = ref_of(await client.create(len(DATA), SLOT))
        answer = await page.resume(ref)
        assert (answer["status"], answer["bytes_received"]) == ("resumed", 0)
        await page.send_chunks(ref, DATA)
        await page.complete(ref)
        assert await arrived(page, SLOT) == {ref: sha256(DATA)}


async def test_complete_by_http_and_consumed_by_a_page(uvicorn_site):
    async with visitor(uvicorn_site) as (client, page):
        answer = await client.upload(DATA)
        ref = ref_of(answer.path)
        assert (await page.resume(ref))["status"] == "resumed"
        assert await arrived(page, SLOT) == {ref: sha256(DATA)}
        head = await client.head(answer.path)
        assert head.headers["upload-offset"] == str(len(DATA))
        receipt = {"receipt": answer.headers["upload-receipt"], "slot": SLOT}
        answer = await client.http.get("/consume/", params=receipt)
        assert answer.json()["code"] == "receipt_used"


async def test_back_and_forth(uvicorn_site):
    async with visitor(uvicorn_site) as (client, page):
        path = await begun_by_page(page, 100_000)
        ref = ref_of(path)
        for end in range(150_000, len(DATA), 200_003):
            offset = await client.offset(path)
            assert (await client.patch(path, offset, DATA[offset:end])).status_code == 204
            answer = await page.resume(ref)
            assert answer["bytes_received"] <= end
            await page.send_chunks(ref, DATA, until=min(end + 100_000, len(DATA)))
            await page.event("ping")
        offset = await client.offset(path)
        assert (await client.patch(path, offset, DATA[offset:])).status_code == 204
        assert await client.content(path) == DATA


async def test_another_process_goes_on(tmp_path, cache, destination):
    environ = {**cache, **destination.environ}
    with http_site(tmp_path, **environ) as one, http_site(tmp_path, **environ) as two:
        async with Client(one) as here, Client(two) as there:
            # Created here, begun there.
            path = await here.create(len(DATA), destination.alias, **metadata(name="a.bin"))
            head = await there.head(path)
            assert head.headers["upload-metadata"] == metadata(name="a.bin")["Upload-Metadata"]
            clients = [there, here]
            offset = 0
            while offset < len(DATA):
                client = clients.pop(0)
                clients.append(client)
                offset = await client.offset(path)
                end = min(len(DATA), offset + 400_000)
                if destination.alias == "s3":
                    # Less than a part is lost with the process that has it.
                    end = len(DATA)
                answer = await client.patch(path, offset, slowly(DATA[offset:end]))
                assert answer.status_code == 204, answer.text
                offset = int(answer.headers["upload-offset"])
            assert await here.content(path) == DATA
            assert await there.content(path) == DATA
            assert (await here.delete(path)).status_code == 204
            assert (await there.head(path)).status_code == 404


async def test_a_request_in_another_process_takes_over(tmp_path, cache):
    with http_site(tmp_path, **cache) as one, http_site(tmp_path, **cache) as two:
        async with Client(one) as here, Client(two) as there:
            path = await here.create(len(DATA))
            async with begun_patch(one, path, 0, len(DATA), DATA[:500_000]) as earlier:
                await asyncio.sleep(1.5)
                offset = await there.offset(path)
                assert offset <= 500_000
                await earlier.send(DATA[500_000:900_000])
                answer = await there.patch(path, offset, DATA[offset:])
                assert answer.status_code == 204
                await earlier.send(DATA[900_000:])
                assert b"HTTP/1.1 400" in await earlier.answer()
            assert await here.content(path) == DATA


@pytest.mark.parametrize(
    "method, headers, status",
    [
        ("PATCH", {"Content-Type": "text/plain", "Upload-Offset": "0"}, 415),
        ("PATCH", {"Content-Type": "application/offset+octet-stream"}, 400),
        ("PUT", {}, 405),
    ],
)
async def test_a_request_that_is_not_allowed_takes_nothing(uvicorn_site, method, headers, status):
    async with Client(uvicorn_site) as client:
        path = await client.create(len(DATA))
        async with begun_patch(uvicorn_site, path, 0, len(DATA), DATA[:500_000]) as earlier:
            await asyncio.sleep(0.1)
            headers = {"Tus-Resumable": "1.0.0", **headers}
            answer = await client.http.request(method, path, headers=headers, content=b"x")
            assert answer.status_code == status
            await earlier.send(DATA[500_000:])
            assert b"HTTP/1.1 204" in await earlier.answer()
        assert await client.content(path) == DATA


async def test_killed_in_the_middle(tmp_path, cache, destination):
    rng = random.Random(5)
    with http_site(tmp_path, **cache, **destination.environ) as site:
        async with Client(site) as client:
            paths = [await client.create(len(DATA), destination.alias) for _ in range(3)]
            for _ in range(3):
                sending = [asyncio.create_task(send_on(client, path, rng)) for path in paths]
                await asyncio.sleep(rng.uniform(0.3, 1.5))
                await asyncio.to_thread(site.kill)
                await asyncio.gather(*sending, return_exceptions=True)
                await asyncio.to_thread(site.start)
            for path in paths:
                offset = await client.offset(path)
                if offset < len(DATA):
                    answer = await client.patch(path, offset, DATA[offset:])
                    assert answer.status_code == 204, answer.text
                assert await client.content(path) == DATA


async def send_on(client, path, rng):
    offset = await client.offset(path)
    await client.patch(path, offset, slowly(DATA[offset:], 20_000, rng.uniform(0.01, 0.05)))


async def test_the_lost_final_answer_is_given_again(uvicorn_site):
    """The application consumes the file in ``uploaded()``, and is asked once."""
    async with Client(uvicorn_site) as client:
        path = await client.create(1000, "consumed", **metadata(name="a.bin"))
        answers = [await client.patch(path, 0, DATA[:1000])]
        for _ in range(2):
            head = await client.head(path)
            assert (head.status_code, head.headers["upload-offset"]) == (200, "1000")
            answers.append(await client.patch(path, 1000, b""))
        for answer in answers:
            assert answer.status_code == 200
            assert answer.json()["result"]["sha256"] == hashlib.sha256(DATA[:1000]).hexdigest()
            assert answer.json()["receipt"] is None
        assert uploaded(uvicorn_site).count(ref_of(path)) == 1


async def test_the_application_refuses_a_complete_file(uvicorn_site):
    async with Client(uvicorn_site) as client:
        before = uvicorn_site.temporary_files()
        answer = await client.upload(DATA[:1000], "refused")
        assert (answer.status_code, answer.json()["title"]) == (422, "Not this one.")
        assert (await client.head(answer.path)).status_code == 404
        assert uvicorn_site.temporary_files() == before


async def test_the_application_fails_and_is_asked_again(uvicorn_site):
    async with Client(uvicorn_site) as client:
        answer = await client.upload(DATA[:1000], "failing")
        assert answer.status_code == 500
        head = await client.head(answer.path)
        assert head.headers["upload-offset"] == "1000"
        assert head.headers["upload-receipt"]
        assert uploaded(uvicorn_site).count(ref_of(answer.path)) == 2


async def test_what_stands_still_can_go_on(tmp_path, cache):
    settings = {"IDLE_TIMEOUT": 1}
    with http_site(tmp_path, settings=settings, **cache) as site:
        async with Client(site) as client:
            path = await client.create(len(DATA))
            async with begun_patch(site, path, 0, len(DATA), DATA[:500_000]) as request:
                answer = await request.answer()
                assert answer.startswith(b"HTTP/1.1 408")
                assert b'"code": "request_timeout"' in answer
            assert await client.offset(path) == 500_000
            assert (await client.patch(path, 500_000, DATA[500_000:])).status_code == 204
            assert await client.content(path) == DATA


async def test_what_nobody_comes_back_for_is_deleted(tmp_path):
    with http_site(tmp_path, settings={"RESUME_TTL": 1}) as site:
        async with Client(site) as client:
            answer = await client.upload(DATA)
            assert site.temporary_files()
            assert await site.no_temporary_files(4)
            assert (await client.head(answer.path)).status_code in (404, 410)


async def test_a_plain_upload_that_breaks_off_leaves_nothing(uvicorn_site):
    before = uvicorn_site.temporary_files()
    from tests.support.http import begun

    head = f"PUT /uploads/default/{uuid.uuid4().hex[:8]}.bin HTTP/1.1"
    async with begun(uvicorn_site, head, len(DATA), DATA[:500_000]):
        await asyncio.sleep(0.3)
    await asyncio.sleep(0.5)
    assert uvicorn_site.temporary_files() == before


async def test_a_token_that_expires_is_renewed(uvicorn_site):
    async with Client(uvicorn_site) as client:
        first = {"Authorization": "Bearer partner:1"}
        path = await client.create(len(DATA), **first)
        assert "." not in path
        await client.patch(path, 0, DATA[:500_000], **first)
        expired = await client.head(path, Authorization="Bearer expired")
        assert expired.status_code == 401
        assert expired.headers["www-authenticate"]
        other = await client.head(path, Authorization="Bearer other:1")
        assert other.status_code == 404
        second = {"Authorization": "Bearer partner:2"}
        head = await client.head(path, **second)
        assert head.headers["upload-offset"] == "500000"
        answer = await client.patch(path, 500_000, DATA[500_000:], **second)
        assert answer.status_code == 204


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_plain_upload(anonymous, method):
    """``curl -T data.bin URL``, and ``curl --data-binary @data.bin URL``."""
    answer = await anonymous.http.request(method, "/uploads/default/d%C3%A4ta.bin", content=DATA)
    assert answer.status_code == 201
    assert answer.json()["receipt"]
    got = await anonymous.http.get(answer.headers["location"])
    assert got.content == DATA
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''d%C3%A4ta.bin"
    assert got.headers["x-content-type-options"] == "nosniff"


async def test_errors_are_in_the_clients_language(uvicorn_site):
    async with Client(uvicorn_site) as client:
        for language, sentence in [
            ("de", "Die Datei ist zu groß: Höchstens 1 kB werden angenommen."),
            ("en", "The file is too large: at most 1 kB are accepted."),
        ]:
            answer = await client.http.post(
                "/uploads/small/",
                headers={
                    "Tus-Resumable": "1.0.0",
                    "Upload-Length": "1001",
                    "Accept-Language": language,
                },
            )
            assert answer.status_code == 413
            assert answer.json()["title"] == sentence
