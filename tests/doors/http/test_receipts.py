"""Receipts: what a client gets for a complete upload, turned into the entry by views."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys

import pytest
from django.core import signing

from djust_uploads import receipts
from tests.support.http import Client, http_site, metadata
from tests.support.resuming import new_session
from tests.support.servers import ROOT, wait_until

DATA = random.Random(2).randbytes(200_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def client(uvicorn_site):
    origin = {"Origin": uvicorn_site.http("")}
    async with Client(uvicorn_site, cookies=new_session(), headers=origin) as client:
        yield client


async def ask(client, view, receipt, slot="default"):
    answer = await client.http.get(f"/{view}/", params={"receipt": receipt, "slot": slot})
    return answer.status_code, answer.json()


async def receipt_for(client, slot="default"):
    answer = await client.upload(DATA, slot, **metadata(name="a.bin"))
    return answer.headers["upload-receipt"]


@pytest.mark.parametrize("view", ["consume", "consume-sync"])
async def test_consumed_once(client, view, uvicorn_site):
    before = uvicorn_site.temporary_files()
    receipt = await receipt_for(client)
    assert (await ask(client, "peek", receipt))[1]["client_name"] == "a.bin"
    status, entry = await ask(client, view, receipt)
    assert (status, entry["sha256"], entry["client_name"]) == (200, SHA256, "a.bin")
    # The view has not saved the file, so it goes with the last reference to it.
    assert await wait_until(lambda: uvicorn_site.temporary_files() == before)
    for again in ("consume", "consume-sync", "peek"):
        assert (await ask(client, again, receipt))[1]["code"] == "receipt_used"


async def test_the_client_hears_that_a_consumed_upload_is_complete(client):
    answer = await client.upload(DATA, **metadata(describe="yes"))
    await ask(client, "consume", answer.headers["upload-receipt"])
    head = await client.head(answer.path)
    assert (head.status_code, head.headers["upload-offset"]) == (200, str(len(DATA)))
    assert "upload-receipt" not in head.headers
    assert (await client.http.get(answer.path)).status_code == 410


async def test_of_many_at_once_one_consumes(client):
    receipt = await receipt_for(client)
    answers = await asyncio.gather(*(ask(client, "consume", receipt) for _ in range(8)))
    codes = [answer.get("code", "taken") for _, answer in answers]
    assert codes.count("taken") == 1
    assert set(codes) <= {"taken", "receipt_used", "locked"}


async def test_what_is_looked_at_waits_on(client):
    receipt = await receipt_for(client)
    status, entry = await ask(client, "refuse", receipt)
    assert (status, entry["sha256"]) == (200, SHA256)
    assert (await ask(client, "consume", entry["receipt"]))[1]["sha256"] == SHA256
    assert (await ask(client, "consume", receipt))[1]["code"] == "receipt_used"


async def test_another_owner_is_refused(client, uvicorn_site):
    receipt = await receipt_for(client)
    async with Client(uvicorn_site, cookies=new_session()) as other, Client(uvicorn_site) as nobody:
        for stranger in (other, nobody):
            for view in ("consume", "peek", "consume-sync"):
                assert (await ask(stranger, view, receipt))[1]["code"] == "receipt_foreign"
    assert (await ask(client, "consume", receipt))[0] == 200


async def test_another_slot_is_refused(client):
    receipt = await receipt_for(client)
    assert (await ask(client, "consume", receipt, "png"))[1]["code"] == "receipt_foreign"


async def test_of_an_anonymous_client_the_bearer_is_the_owner(uvicorn_site):
    async with Client(uvicorn_site) as client, Client(uvicorn_site, cookies=new_session()) as other:
        receipt = await receipt_for(client)
        assert (await ask(other, "consume", receipt))[1]["sha256"] == SHA256
        assert (await ask(client, "consume", receipt))[1]["code"] == "receipt_used"


@pytest.mark.parametrize("change", ["x", "signature", "other-salt", "not-a-receipt"])
async def test_forged(client, change):
    receipt = await receipt_for(client)
    forged = {
        "x": "x",
        "signature": receipt[:-3] + ("aaa" if receipt[-3:] != "aaa" else "bbb"),
        "other-salt": signing.dumps({"slot": "default"}, salt="another"),
        "not-a-receipt": signing.dumps(["default"], salt=receipts._SALT),
    }[change]
    for view in ("consume", "peek", "consume-sync"):
        assert (await ask(client, view, forged))[1]["code"] == "receipt_forged"


async def test_a_deleted_upload(client):
    answer = await client.upload(DATA)
    await client.delete(answer.path)
    status, answer = await ask(client, "consume", answer.headers["upload-receipt"])
    assert (status, answer["code"]) == (400, "receipt_expired")


async def test_expired(tmp_path):
    with http_site(tmp_path, settings={"RESUME_TTL": 2}) as site:
        async with Client(site, cookies=new_session(), headers={"Origin": site.http("")}) as client:
            receipt = await receipt_for(client)
            assert site.temporary_files()
            assert await site.no_temporary_files(4)
            await asyncio.sleep(1.1)
            for view in ("consume", "peek", "consume-sync"):
                assert (await ask(client, view, receipt))[1]["code"] == "receipt_expired"


async def test_in_memory_only_this_process_has_it(tmp_path):
    sinks = '{"memory": {"BACKEND": "djust_uploads.sinks.MemorySink"}}'
    with http_site(tmp_path, SINKS=sinks, settings={}) as site:
        async with Client(site) as client:
            receipt = await receipt_for(client, "memory")
            assert (await ask(client, "consume", receipt, "memory"))[1]["sha256"] == SHA256
            assert (await ask(client, "consume", receipt, "memory"))[0] == 400


async def test_consumed_in_another_process(tmp_path, cache):
    with http_site(tmp_path, **cache) as one, http_site(tmp_path, **cache) as two:
        cookies = new_session()
        async with (
            Client(one, cookies=cookies, headers={"Origin": one.http("")}) as here,
            Client(two, cookies=cookies) as there,
        ):
            for view in ("consume", "consume-sync"):
                receipt = await receipt_for(here)
                assert (await ask(there, view, receipt))[1]["sha256"] == SHA256
                for client in (here, there):
                    assert (await ask(client, view, receipt))[1]["code"] == "receipt_used"
                assert await one.no_temporary_files()
            # Looked at there, consumed here.
            receipt = await receipt_for(here)
            assert (await ask(there, "refuse", receipt))[1]["sha256"] == SHA256
            assert (await ask(here, "consume", receipt))[1]["sha256"] == SHA256
            assert (await ask(there, "consume", receipt))[1]["code"] == "receipt_used"


async def test_consumed_after_the_process_was_killed(tmp_path, cache):
    with http_site(tmp_path, **cache) as site:
        async with Client(site, cookies=new_session(), headers={"Origin": site.http("")}) as client:
            receipt = await receipt_for(client)
            await asyncio.to_thread(site.kill)
            await asyncio.to_thread(site.start)
            assert (await ask(client, "consume", receipt))[1]["sha256"] == SHA256
            assert await site.no_temporary_files()


async def test_of_two_processes_one_consumes(tmp_path, cache):
    with http_site(tmp_path, **cache) as one, http_site(tmp_path, **cache) as two:
        async with Client(one) as here, Client(two) as there:
            for _ in range(5):
                receipt = await receipt_for(here)
                answers = await asyncio.gather(
                    *(ask(client, "consume", receipt) for client in (here, there) * 3)
                )
                codes = [answer.get("code", "taken") for _, answer in answers]
                assert codes.count("taken") == 1, codes
                assert set(codes) <= {"taken", "receipt_used", "locked"}


def test_a_receipt_says_nothing_about_its_owner():
    receipt = receipts.issue(an_entry(), "user:4711")
    assert "4711" not in str(signing.loads(receipt, salt=receipts._SALT))
    assert receipts.read(receipt, {"user": _User(4711)}).client_name == "a.bin"


class _User:
    is_authenticated = True

    def __init__(self, pk):
        self.pk = pk


def an_entry():
    from djust_uploads import UploadEntry
    from djust_uploads.wire import Registration

    registration = Registration("files", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a.bin", "", 5)
    return UploadEntry(registration, 1000)


#: What a WSGI worker does: there is no event loop.
WORKER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.resume_settings"
import django
django.setup()
from django.http import HttpRequest
from djust_uploads import UploadError, receipts
request = HttpRequest()
print(receipts.peek_sync(sys.argv[1], request).client_name)
entry = receipts.consume_sync(sys.argv[1], request)
path = entry.file.temporary_file_path()
print(entry.client_name, entry.file.size, os.path.exists(path))
try:
    receipts.consume_sync(sys.argv[1], request)
except UploadError as error:
    print(error.code)
del entry
for _ in range(100):
    if not os.path.exists(path):
        break
    import time
    time.sleep(0.05)
print(os.path.exists(path))
"""


async def test_consumed_by_a_worker_without_an_event_loop(tmp_path, cache):
    with http_site(tmp_path, **cache) as site:
        async with Client(site) as client:
            receipt = await receipt_for(client)
        environ = {**os.environ, **cache, "UPLOAD_DIRECTORY": str(site.uploads)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WORKER, receipt),
            cwd=ROOT,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        expected = ["a.bin", f"a.bin {len(DATA)} True", "receipt_used", "False"]
        assert output.decode().splitlines() == expected
