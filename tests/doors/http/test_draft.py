"""The IETF's resumable uploads, in the versions that clients speak."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random

import pytest

from tests.support.http import PARTIAL, Client, begun, http_site, metadata, slowly

DATA = random.Random(3).randbytes(300_000)
VERSIONS = ["5", "6", "7", "8", None]
WHOLE = {"Upload-Complete": "?1"}
MORE = {"Upload-Complete": "?0"}


@pytest.fixture(params=VERSIONS)
def version(request):
    """The header with the interop version of a draft; none for the latest."""
    return {"Upload-Draft-Interop-Version": request.param} if request.param else {}


async def test_optimistic_creation(anonymous, version):
    answer = await anonymous.http.post(
        "/uploads/default/",
        headers={**version, **WHOLE, "Content-Disposition": 'inline; filename="a b.bin"'},
        content=DATA,
    )
    assert answer.status_code == 201
    assert answer.headers["upload-complete"] == "?1"
    assert answer.json()["receipt"] == answer.headers["upload-receipt"]
    assert answer.headers.get("upload-draft-interop-version") == version.get(
        "Upload-Draft-Interop-Version"
    )
    assert await anonymous.content(answer.headers["location"]) == DATA


async def test_careful_creation_and_appends(anonymous, version):
    answer = await anonymous.http.post(
        "/uploads/default/", headers={**version, **MORE, "Upload-Length": str(len(DATA))}
    )
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?0")
    url = answer.headers["location"]
    assert url.startswith("http://127.0.0.1")
    for start, end, complete in [
        (0, 100_000, "?0"),
        (100_000, 250_000, "?0"),
        (250_000, None, "?1"),
    ]:
        head = await anonymous.http.head(url, headers=version)
        assert (head.status_code, head.headers["upload-offset"]) == (204, str(start))
        assert head.headers["upload-complete"] == "?0"
        assert head.headers["upload-length"] == str(len(DATA))
        assert head.headers["cache-control"] == "no-store"
        answer = await anonymous.http.patch(
            url,
            headers={
                **version,
                **PARTIAL,
                "Upload-Offset": str(start),
                "Upload-Complete": complete,
            },
            content=DATA[start:end],
        )
        assert answer.status_code == (200 if complete == "?1" else 204)
        assert answer.headers["upload-complete"] == complete
    assert await anonymous.content(url) == DATA
    head = await anonymous.http.head(url, headers=version)
    assert (head.headers["upload-complete"], head.headers["upload-offset"]) == ("?1", "300000")
    assert head.headers["upload-receipt"]


async def test_complete_by_an_empty_append(anonymous):
    answer = await anonymous.http.post(
        "/uploads/default/", headers={**MORE, "Upload-Length": "1000"}, content=DATA[:1000]
    )
    url = answer.headers["location"]
    # The offset matches the length, and the client has not said that this is all.
    head = await anonymous.http.head(url)
    assert (head.headers["upload-offset"], head.headers["upload-complete"]) == ("1000", "?0")
    end = {**PARTIAL, **WHOLE, "Upload-Offset": "1000"}
    answer = await anonymous.http.patch(url, headers=end)
    assert (answer.status_code, answer.headers["upload-complete"]) == (200, "?1")
    again = await anonymous.http.patch(url, headers=end)
    assert (again.status_code, again.headers["upload-complete"]) == (200, "?1")
    assert again.json()["receipt"]
    more = await anonymous.http.patch(url, headers=end, content=b"more")
    assert more.status_code == 400
    assert more.json()["type"].endswith("#inconsistent-upload-length")


@pytest.mark.parametrize("old", ["5", "6"])
async def test_an_empty_file_of_tus_js_client(anonymous, old):
    headers = {
        "Upload-Draft-Interop-Version": old,
        **MORE,
        "Upload-Length": "0",
        **metadata(filename="empty.bin"),
    }
    answer = await anonymous.http.post("/uploads/default/", headers=headers)
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
    assert await anonymous.content(answer.headers["location"]) == b""


async def test_a_wrong_offset(anonymous):
    answer = await anonymous.http.post(
        "/uploads/default/", headers={**MORE, "Upload-Length": "1000"}, content=DATA[:100]
    )
    url = answer.headers["location"]
    answer = await anonymous.http.patch(
        url, headers={**PARTIAL, **MORE, "Upload-Offset": "200"}, content=DATA[200:300]
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "100")
    problem = answer.json()
    assert problem["type"].endswith("#mismatching-upload-offset")
    assert (problem["expected-offset"], problem["provided-offset"]) == (100, 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Complete": "?2"}, 400),
        ({"Upload-Complete": "true"}, 400),
        ({"Upload-Complete": "?0"}, 411),
        ({"Upload-Complete": "?1", "Upload-Length": "7"}, 400),
        ({"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "99"}, 412),
        ({"Upload-Complete": "?1", "Repr-Digest": "sha-256=abc"}, 400),
        ({"Upload-Complete": "?1", "Repr-Digest": "sha-256=:abc:"}, 400),
        ({"Upload-Complete": "?0", "Upload-Length": "3000000000"}, 413),
    ],
)
async def test_wrong_creations(anonymous, headers, status):
    answer = await anonymous.http.post("/uploads/default/", headers=headers, content=b"12345")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_media_type_of_an_append(anonymous):
    answer = await anonymous.http.post("/uploads/default/", headers={**MORE, "Upload-Length": "5"})
    answer = await anonymous.http.patch(
        answer.headers["location"],
        headers={**WHOLE, "Upload-Offset": "0", "Content-Type": "text/plain"},
        content=b"12345",
    )
    assert answer.status_code == 415


async def test_limits(anonymous, site):
    answer = await anonymous.http.options("/uploads/small/")
    limits = dict(item.split("=") for item in answer.headers["upload-limit"].split(", "))
    assert limits["max-size"] == "1000"
    assert int(limits["max-age"]) == 86400
    assert ("max-append-size" in limits) == (site.server == "daphne")
    answer = await anonymous.http.post("/uploads/small/", headers=WHOLE, content=DATA[:1001])
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


async def test_cancelled(anonymous):
    answer = await anonymous.http.post("/uploads/default/", headers={**MORE, "Upload-Length": "5"})
    url = answer.headers["location"]
    assert (await anonymous.http.delete(url)).status_code == 204
    assert (await anonymous.http.head(url)).status_code == 404


def digest(data: bytes, algorithm: str = "sha256") -> str:
    value = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    return f"{algorithm[:3]}-{algorithm[3:]}=:{value}:"


async def test_repr_digest(anonymous, site):
    right = {**WHOLE, "Repr-Digest": digest(DATA)}
    answer = await anonymous.http.post("/uploads/default/", headers=right, content=slowly(DATA))
    assert answer.status_code == 411
    answer = await anonymous.http.post("/uploads/default/", headers=right, content=DATA)
    assert (answer.status_code, answer.headers["repr-digest"]) == (201, digest(DATA))
    wrong = {**WHOLE, "Repr-Digest": f"md5=:xx==:, {digest(DATA[1:])}"}
    before = site.temporary_files()
    answer = await anonymous.http.post("/uploads/default/", headers=wrong, content=DATA)
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert site.temporary_files() == before


async def test_repr_digest_of_an_upload_in_pieces(anonymous):
    headers = {**MORE, "Upload-Length": str(len(DATA)), "Repr-Digest": digest(DATA)}
    answer = await anonymous.http.post("/uploads/default/", headers=headers, content=DATA[:70_000])
    answer = await anonymous.http.patch(
        answer.headers["location"],
        headers={**PARTIAL, **WHOLE, "Upload-Offset": "70000"},
        content=DATA[70_001:] + b"!",
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    # There is nothing left with which the client could go on.
    assert "upload-offset" not in answer.headers


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_content_digest(anonymous, algorithm):
    answer = await anonymous.http.post(
        "/uploads/default/", headers={**MORE, "Upload-Length": "1000"}
    )
    url = answer.headers["location"]
    headers = {
        **PARTIAL,
        **MORE,
        "Upload-Offset": "0",
        "Content-Digest": digest(DATA[:500], algorithm),
    }
    answer = await anonymous.http.patch(url, headers=headers, content=DATA[1:501])
    assert (answer.status_code, answer.headers["upload-offset"]) == (400, "0")
    answer = await anonymous.http.patch(url, headers=headers, content=DATA[:500])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "500")


# Interim responses


@pytest.fixture(scope="module", params=["HttpToolsProtocol", "H11Protocol"])
def interim_site(request, tmp_path_factory):
    options = ["--http", f"djust_uploads.uvicorn:{request.param}"]
    with http_site(tmp_path_factory.mktemp(request.param), options=options) as site:
        yield site


async def test_the_address_is_told_before_the_body_has_ended(interim_site):
    head = (
        "POST /uploads/default/ HTTP/1.1\r\nUpload-Draft-Interop-Version: 6\r\nUpload-Complete: ?1"
    )
    async with begun(interim_site, head, len(DATA), DATA[:150_000]) as request:
        status, headers = await request.interim()
        assert status == b"HTTP/1.1 104 Upload Resumption Supported"
        assert headers["upload-draft-interop-version"] == "6"
        assert headers["upload-limit"].startswith("max-size=2000000000")
        url = headers["location"]
        # A new request ends the one that is on its way.
        async with Client(interim_site) as client:
            answer = await client.http.head(url)
            offset = int(answer.headers["upload-offset"])
            assert offset == 150_000
            assert b"HTTP/1.1 400" in await request.answer()
            headers = {**PARTIAL, **WHOLE, "Upload-Offset": str(offset)}
            answer = await client.http.patch(url, headers=headers, content=DATA[offset:])
            assert answer.status_code == 200
            assert await client.content(url) == DATA


async def test_progress_is_told_while_the_body_arrives(interim_site):
    head = "POST /uploads/default/ HTTP/1.1\r\nUpload-Complete: ?1"
    size = 12_000_000
    async with begun(interim_site, head, size, b"") as request:
        await request.interim()
        for _ in range(60):
            await request.send(bytes(size // 60))
            await asyncio.sleep(0.04)
        offsets = []
        while True:
            status, headers = await request.interim()
            if not status.startswith(b"HTTP/1.1 104"):
                break
            offsets.append(int(headers["upload-offset"]))
            assert "location" not in headers
        assert status.startswith(b"HTTP/1.1 201")
        assert offsets == sorted(offsets)
        assert offsets[-1] > 0


async def test_the_last_bytes_of_a_lost_connection_are_kept(interim_site):
    """uvicorn by itself drops what was not received yet."""
    async with Client(interim_site) as client:
        path = await client.create(len(DATA))
        for offset in range(0, 250_000, 50_000):
            head = (
                f"PATCH {path} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
                "Content-Type: application/offset+octet-stream"
            )
            rest = len(DATA) - offset
            async with begun(interim_site, head, rest, DATA[offset : offset + 50_000]):
                pass
            await asyncio.sleep(0.3)
            assert await client.offset(path) == offset + 50_000
