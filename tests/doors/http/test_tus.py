"""tus 1.0 as clients see it, through each ASGI server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random

import pytest

from tests.support.http import OCTETS, TUS, Client, begun_patch, metadata, slowly
from tests.support.resuming import new_session

DATA = random.Random(1).randbytes(300_000)


async def test_options_tell_what_is_spoken(client):
    answer = await client.http.options("/uploads/default/")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    extensions = answer.headers["tus-extension"].split(",")
    assert {"creation", "creation-with-upload", "expiration", "checksum", "termination"} <= set(
        extensions
    )
    assert answer.headers["tus-max-size"] == "2000000000"
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")
    assert "application/partial-upload" in answer.headers["accept-patch"]


async def test_created_sent_and_complete(client):
    path = await client.create(len(DATA), **metadata(filename="höhe.bin"))
    assert await client.offset(path) == 0
    answer = await client.patch(path, 0, DATA[:100_000])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "100000")
    assert answer.headers["upload-expires"].endswith("GMT")
    answer = await client.head(path)
    assert answer.headers["upload-length"] == str(len(DATA))
    assert answer.headers["upload-metadata"] == metadata(filename="höhe.bin")["Upload-Metadata"]
    assert answer.headers["cache-control"] == "no-store"
    answer = await client.patch(path, 100_000, slowly(DATA[100_000:]))
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(DATA)))
    assert answer.headers["upload-receipt"]
    assert await client.content(path) == DATA


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1])
async def test_each_size_by_creation_with_upload(client, size):
    answer = await client.http.post(
        "/uploads/default/",
        headers={**TUS, **(OCTETS if size else {}), "Upload-Length": str(size)},
        content=DATA[:size],
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(size))
    assert answer.headers["upload-receipt"]
    assert await client.content(answer.headers["location"]) == DATA[:size]


async def test_what_the_application_returns_goes_to_the_client(client):
    answer = await client.upload(DATA, **metadata(describe="yes", name="a.bin"))
    assert answer.status_code == 200
    assert answer.json()["result"]["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert answer.json()["result"]["client_name"] == "a.bin"
    assert answer.headers["repr-digest"].startswith("sha-256=:")


async def test_terminated(client):
    path = await client.create(len(DATA))
    await client.patch(path, 0, DATA[:200_000])
    assert (await client.delete(path)).status_code == 204
    for answer in [
        await client.head(path),
        await client.delete(path),
        await client.http.get(path),
        await client.patch(path, 200_000, b"more"),
    ]:
        assert answer.status_code == 404


async def test_a_complete_upload_is_terminated(client, site):
    answer = await client.upload(DATA)
    assert (await client.delete(answer.path)).status_code == 204
    assert (await client.http.get(answer.path)).status_code == 404


@pytest.mark.parametrize("offset", [0, 99_999, 100_001, 10**14])
async def test_a_wrong_offset_is_told_the_right_one(client, offset):
    path = await client.create(len(DATA))
    await client.patch(path, 0, DATA[:100_000])
    answer = await client.patch(path, offset, DATA[100_000:])
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_offset")
    assert answer.headers["upload-offset"] == "100000"
    answer = await client.patch(path, 100_000, DATA[100_000:])
    assert answer.status_code == 204
    assert await client.content(path) == DATA


async def test_more_than_the_length_is_refused_before_a_byte_is_stored(client):
    path = await client.create(1000)
    answer = await client.patch(path, 0, DATA[:1001])
    assert (answer.status_code, answer.json()["code"]) == (413, "inconsistent_length")
    assert await client.offset(path) == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "crc32c"])
async def test_checksums(client, algorithm):
    from djust_uploads.doors.http.digests import CHECKSUMS

    value = base64.b64encode(CHECKSUMS[algorithm](DATA)).decode()
    path = await client.create(2 * len(DATA))
    wrong = await client.patch(path, 0, DATA[:-1] + b"!", Upload_Checksum=f"{algorithm} {value}")
    assert (wrong.status_code, wrong.json()["code"]) == (460, "digest_mismatch")
    assert await client.offset(path) == 0
    right = await client.patch(path, 0, DATA, Upload_Checksum=f"{algorithm} {value}")
    assert (right.status_code, right.headers["upload-offset"]) == (204, str(len(DATA)))


@pytest.mark.parametrize("value", ["md5 eHg=", "sha1 ?", "sha1"])
async def test_checksums_that_are_none(client, value):
    path = await client.create(len(DATA))
    answer = await client.patch(path, 0, DATA, Upload_Checksum=value)
    assert answer.status_code in (400, 460)
    assert await client.offset(path) == 0


async def test_method_override(client):
    path = await client.create(len(DATA))
    headers = {**TUS, **OCTETS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = await client.http.post(path, headers=headers, content=DATA)
    assert answer.status_code == 204
    assert await client.content(path) == DATA


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "+1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Length": "9" * 16}, 400),
        ({}, 400),
        ({"Upload-Defer-Length": "1"}, 411),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "1", "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Length": "3000000000"}, 413),
        ({"Upload-Length": "1", "Upload-Metadata": "name ?"}, 400),
        ({"Upload-Length": "1", "Upload-Metadata": "name eA==,name eA=="}, 400),
        ({"Upload-Length": "1", "Upload-Metadata": "name " + "A" * 9000}, 431),
        ({"Upload-Length": "1", "Tus-Resumable": "0.2.2"}, 412),
    ],
)
async def test_wrong_creations(client, headers, status):
    answer = await client.http.post("/uploads/default/", headers={**TUS, **headers})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"].endswith(".")
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"


async def test_wrong_patches(client):
    path = await client.create(10)
    for headers, status in [
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Upload-Offset": "x"}, 400),
        ({"Upload-Offset": ""}, 400),
        ({"Tus-Resumable": "2.0.0"}, 412),
        ({"Upload-Length": "11"}, 413),
    ]:
        answer = await client.patch(path, 0, b"x" * 10, **headers)
        assert answer.status_code == status, headers
    assert await client.offset(path) == 0


async def test_refused_by_the_slot(client):
    answer = await client.http.post(
        "/uploads/png/", headers={**TUS, "Upload-Length": "10", **metadata(filename="a.exe")}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "type_not_accepted")
    path = await client.create(len(DATA), "png", **metadata(filename="a.png"))
    answer = await client.patch(path, 0, b"MZ" + DATA[2:])
    assert (answer.status_code, answer.json()["code"]) == (422, "content_mismatch")
    assert (await client.head(path)).status_code in (404, 410, 422)


async def test_unknown_slots_and_addresses(client):
    for path in ["/uploads/nothing/", "/uploads/default/x/y", "/uploads/"]:
        answer = await client.http.post(path, headers={**TUS, "Upload-Length": "1"})
        assert answer.status_code == 404


async def test_another_owner_finds_nothing(client, site):
    path = await client.create(len(DATA))
    await client.patch(path, 0, DATA[:1000])
    origin = {"Origin": site.http("")}
    async with Client(site, cookies=new_session(), headers=origin) as other, Client(site) as nobody:
        for stranger in (other, nobody):
            assert (await stranger.head(path)).status_code == 404
            assert (await stranger.patch(path, 1000, DATA[1000:])).status_code == 404
            assert (await stranger.delete(path)).status_code == 404
    assert await client.offset(path) == 1000


async def test_an_anonymous_client_is_known_by_its_url(anonymous):
    path = await anonymous.create(len(DATA))
    bare, _, secret = path.rpartition(".")
    assert len(secret) >= 32
    await anonymous.patch(path, 0, DATA)
    assert await anonymous.content(path) == DATA
    for guess in (bare, f"{bare}.{secret[::-1]}"):
        assert (await anonymous.head(guess)).status_code == 404


async def test_looking_at_an_upload_leaves_it_where_it_is(anonymous, site):
    path = await anonymous.create(len(DATA))
    async with begun_patch(site, path, 0, len(DATA), DATA[:100_000]) as sending:
        await asyncio.sleep(0.3)
        answer = await anonymous.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_complete")
        await sending.send(DATA[100_000:])
        status, _ = await sending.interim()
        assert status.startswith(b"HTTP/1.1 204")
    assert await anonymous.content(path) == DATA


async def test_the_later_request_wins(anonymous, site):
    path = await anonymous.create(len(DATA))
    # daphne passes a request on when all of it is there.
    streams = site.server != "daphne"
    async with begun_patch(site, path, 0, len(DATA), DATA[:100_000]) as earlier:
        await asyncio.sleep(0.3)
        assert await anonymous.offset(path) == (100_000 if streams else 0)
        if streams:
            answer = await earlier.answer()
            assert answer.startswith(b"HTTP/1.1 400")
            assert b'"code": "locked"' in answer
        offset = await anonymous.offset(path)
        assert (await anonymous.patch(path, offset, DATA[offset:])).status_code == 204
    assert await anonymous.content(path) == DATA


async def test_the_connection_is_lost_in_the_middle(anonymous, site):
    path = await anonymous.create(len(DATA))
    for end in range(30_000, len(DATA), 60_000):
        offset = await anonymous.offset(path)
        async with begun_patch(site, path, offset, len(DATA) - offset, DATA[offset:end]):
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
        expected = offset if site.server == "daphne" else end
        assert await anonymous.offset(path) == expected
    offset = await anonymous.offset(path)
    assert (await anonymous.patch(path, offset, DATA[offset:])).status_code == 204
    assert await anonymous.content(path) == DATA
