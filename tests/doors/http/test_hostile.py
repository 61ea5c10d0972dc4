"""Requests that mean harm, or that are broken: each has its status, and nothing is stored."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.support.http import OCTETS, TUS, Client, begun_patch, exchange, http_site
from tests.support.resuming import new_session


@pytest.fixture(autouse=True)
def nothing_is_stored(request):
    if "site" not in request.fixturenames:
        yield
        return
    site = request.getfixturevalue("site")
    before = site.temporary_files()
    yield
    assert set(site.temporary_files()) <= set(before)


def head(site, *lines: str, path: str = "/uploads/default/", method: str = "POST") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", *lines)
    return "\r\n".join((*lines, "", "")).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


CREATE = ("Tus-Resumable: 1.0.0", "Connection: close")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Upload-Length: 5", "Upload-Length: 6"], {400}),
        (["Upload-Length: 5, 6"], {400}),
        (["Upload-Length: ٣"], {400}),
        (["Upload-Length: 0x10"], {400}),
        (["Upload-Length: 99999999999999999999999"], {400}),
        (["Upload-Length: 5", "Content-Length: 5", "Content-Length: 6"], {400}),
        (["Upload-Length: 5", "Content-Length: -1"], {400}),
        (
            ["Upload-Length: 5", "Content-Length: 0", "Transfer-Encoding: chunked, chunked"],
            {400, 501},
        ),
        (["Upload-Length: 5", "Upload-Metadata: " + "name " + "A" * 16_000], {400, 431}),
        (["Upload-Length: 5", "Upload-Metadata: " + "name " + "A" * 1_000_000], {400, 431}),
        (["Upload-Length: 5", "Upload-Metadata: name\x00 eA=="], {400, 431}),
        (["Upload-Length: 5", "Upload-Concat: final;"], {400}),
        (["Upload-Concat: final;" + " /uploads/default/x" * 200], {400}),
        (["Upload-Concat: final;/etc/passwd http://169.254.169.254/"], {400}),
        (["Upload-Length: 5", "X-HTTP-Method-Override: TRACE"], {405}),
    ],
)
async def test_headers_that_lie(site, lines, expected):
    try:
        answer = await exchange(site, head(site, *CREATE, *lines))
    except ConnectionResetError:
        # The server has closed the connection while we sent the headers.
        return
    assert not answer or status(answer) in expected, answer[:300]


async def test_another_host(site):
    request = b"POST /uploads/default/ HTTP/1.1\r\nHost: evil.example\r\nTus-Resumable: 1.0.0\r\n"
    answer = await exchange(site, request + b"Upload-Length: 5\r\nConnection: close\r\n\r\n")
    assert status(answer) == 400


async def test_chunks_beyond_the_length(site, anonymous):
    path = await anonymous.create(10)
    chunked = ("Transfer-Encoding: chunked", "Upload-Offset: 0", "Connection: close")
    kind = "Content-Type: application/offset+octet-stream"
    request = head(site, CREATE[0], kind, *chunked, path=path, method="PATCH")
    answer = await exchange(site, request + b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n")
    assert status(answer) == 400
    assert b'"code": "size_mismatch"' in answer
    # More bytes than declared came, so it is not the file that was announced.
    assert (await anonymous.head(path)).status_code in (400, 404)


async def test_offsets_beyond(anonymous):
    path = await anonymous.create(10)
    for offset in (1, 10, 11, 999_999_999_999_999):
        answer = await anonymous.patch(path, offset, b"")
        assert answer.status_code in (409, 413), offset
    assert await anonymous.offset(path) == 0
    await anonymous.delete(path)


async def test_pipelined_garbage(site, anonymous):
    path = await anonymous.create(5)
    patch = head(
        site,
        CREATE[0],
        "Content-Type: application/offset+octet-stream",
        "Upload-Offset: 0",
        "Content-Length: 5",
        path=path,
        method="PATCH",
    )
    answer = await exchange(site, patch + b"12345" + b"\x00\xff garbage\r\n\r\n" * 100)
    # The server may look at the garbage before it answers the request.
    assert status(answer) in (204, 400)
    await anonymous.delete(path)


async def test_smuggled_request(site, anonymous):
    """The body of a request is no request, whatever is in it."""
    path = await anonymous.create(200)
    smuggled = head(site, CREATE[0], path=path, method="DELETE")
    body = smuggled + b" " * (200 - len(smuggled))
    assert len(body) == 200
    answer = await anonymous.patch(path, 0, body)
    assert answer.status_code == 204
    assert await anonymous.content(path) == body
    await anonymous.delete(path)


@pytest.mark.parametrize(
    "path",
    [
        "/uploads/default/" + str(uuid.UUID(int=0)),
        "/uploads/default/../default/x",
        "/uploads/default/%2e%2e%2fetc",
        "/uploads/default/" + "x" * 5000,
        "/uploads/default%00/",
        "/uploads//default/",
        "/uploads/default/partial/" + str(uuid.UUID(int=0)),
        "/uploads/default%2Fpartial/" + str(uuid.UUID(int=0)),
    ],
)
async def test_guessed_addresses(site, path):
    for method in ("HEAD", "PATCH", "DELETE", "GET"):
        answer = await exchange(site, head(site, *CREATE, path=path, method=method))
        assert status(answer) in (400, 404, 405, 412, 414, 415), (method, answer[:200])


async def test_a_page_of_another_site(site):
    cookies = new_session()
    length = {**TUS, "Upload-Length": "5"}
    async with Client(site, cookies=cookies) as client:
        for headers, expected in [
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": site.http("") + ".evil.example"}, 403),
            ({"Referer": "https://evil.example/"}, 403),
            ({}, 403),
            ({"X-CSRFToken": "a" * 32}, 403),
            ({"Referer": site.http("/page/")}, 201),
            ({"Origin": site.http("")}, 201),
        ]:
            answer = await client.http.post("/uploads/default/", headers={**length, **headers})
            assert answer.status_code == expected, headers
            assert "access-control-allow-origin" not in answer.headers
    token = "a" * 32
    async with Client(site, cookies={**cookies, "csrftoken": token}) as client:
        headers = {**length, "X-CSRFToken": token}
        answer = await client.http.post("/uploads/default/", headers=headers)
        assert answer.status_code == 201


async def test_cors(tmp_path):
    settings = {"CORS_ORIGINS": ["https://app.example"]}
    with http_site(tmp_path, settings=settings) as site:
        async with Client(site) as client:
            asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH"}
            answer = await client.http.options("/uploads/default/", headers=asks)
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert "PATCH" in answer.headers["access-control-allow-methods"]
            assert "Upload-Offset" in answer.headers["access-control-allow-headers"]
            answer = await client.http.post(
                "/uploads/default/",
                headers={**TUS, "Upload-Length": "5", "Origin": "https://app.example"},
            )
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert {"Location", "Upload-Offset", "Upload-Limit", "Upload-Expires"} <= set(exposed)
            assert answer.headers["vary"] == "Origin"
            answer = await client.http.options(
                "/uploads/default/", headers={**asks, "Origin": "https://evil.example"}
            )
            assert "access-control-allow-origin" not in answer.headers


async def test_a_banned_client(anonymous):
    answer = await anonymous.http.post(
        "/uploads/default/", headers={**TUS, "Upload-Length": "5", "X-Banned": "1"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_refused_before_the_body_is_read(site, anonymous):
    """The client is told at once, and may see the answer although it goes on sending."""
    if site.server == "daphne":
        return
    path = await anonymous.create(1_000_000, "png", Upload_Metadata="name YS5wbmc=")
    async with begun_patch(site, path, 0, 1_000_000, b"MZ" + bytes(100_000)) as request:
        code, headers = await request.interim()
        assert code.startswith(b"HTTP/1.1 422")
        assert headers["connection"] == "close"
        for _ in range(8):
            await request.send(bytes(100_000))
            await asyncio.sleep(0.01)


async def test_bodies_beyond_what_is_compared(anonymous):
    path = await anonymous.create(20_000_000)
    checksum = {"Upload-Checksum": "sha1 " + "A" * 27 + "="}
    headers = {**TUS, **OCTETS, "Upload-Offset": "0", **checksum}
    answer = await anonymous.http.patch(path, headers=headers, content=bytes(17_000_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    await anonymous.delete(path)


async def test_daphne_takes_small_bodies_only(site, anonymous):
    if site.server != "daphne":
        return
    path = await anonymous.create(20_000_000)
    answer = await anonymous.patch(path, 0, bytes(9_000_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    answer = await anonymous.patch(path, 0, bytes(8_000_000))
    assert answer.status_code == 204
    await anonymous.delete(path)


async def test_a_slow_body(tmp_path):
    with http_site(tmp_path, settings={"IDLE_TIMEOUT": 1}) as site:
        async with Client(site) as client:
            path = await client.create(100_000)
            async with begun_patch(site, path, 0, 100_000, b"") as request:
                dripping = asyncio.create_task(drip(request))
                # The server closes while more drips in, which resets the connection: read no more.
                answer, _ = await request.interim()
                dripping.cancel()
                assert answer.startswith(b"HTTP/1.1 408")
            # The first 16 KiB, which were not here in time, are not asked for again one by one.
            assert await client.offset(path) == 0


async def drip(request):
    while True:
        await request.send(b"x")
        await asyncio.sleep(0.05)
