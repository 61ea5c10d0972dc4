"""tus' concatenation: a file in several uploads at once, judged by the slot as a whole."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.support.http import TUS, Client, http_site, metadata
from tests.support.resuming import new_session

DATA = random.Random(6).randbytes(1_000_000)
#: What an image of 1 by 1 pixel begins with, and bytes that nobody looks at.
PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d494844520000000100000001080200000090")
PNG += DATA[:200_000]


@pytest.fixture
async def client(uvicorn_site):
    async with Client(uvicorn_site) as client:
        yield client


async def parts_of(client, data: bytes, slot: str, number: int = 3) -> list[str]:
    """Send the parts of a file at once, and return their URLs."""
    size = -(-len(data) // number)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    answers = await asyncio.gather(
        *(client.upload(piece, slot, Upload_Concat="partial") for piece in pieces)
    )
    for answer in answers:
        assert answer.status_code == 204
        assert "upload-receipt" not in answer.headers
    return [answer.path for answer in answers]


async def put_together(client, parts, slot: str, **headers: str):
    concat = {"Upload-Concat": f"final;{' '.join(parts)}"}
    return await client.http.post(f"/uploads/{slot}/", headers={**TUS, **concat, **headers})


async def test_put_together_in_the_order_of_the_list(client, uvicorn_site):
    before = uvicorn_site.temporary_files()
    parts = await parts_of(client, DATA, "default")
    answer = await put_together(client, parts, "default", **metadata(name="a.bin"))
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(DATA)))
    assert answer.headers["upload-receipt"]
    path = answer.headers["location"]
    assert await client.content(path) == DATA
    # The parts are gone, and the file is there once.
    for part in parts:
        assert (await client.head(part)).status_code == 404
    assert len(uvicorn_site.temporary_files()) == len(before) + 1
    assert (await client.delete(path)).status_code == 204


async def test_the_slot_judges_the_whole(client, uvicorn_site):
    before = uvicorn_site.temporary_files()
    parts = await parts_of(client, PNG, "png")
    for headers, code in [
        (metadata(name="a.exe"), "type_not_accepted"),
        (metadata(name="a.jpg"), "type_not_accepted"),
    ]:
        answer = await put_together(client, parts, "png", **headers)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    # In another order it is no image.
    answer = await put_together(client, parts[::-1], "png", **metadata(name="a.png"))
    assert (answer.status_code, answer.json()["code"]) == (422, "content_mismatch")
    answer = await put_together(client, parts, "png", **metadata(name="a.png"))
    assert answer.status_code == 201
    await client.delete(answer.headers["location"])
    assert uvicorn_site.temporary_files() == before


async def test_together_they_are_too_large(client):
    parts = await parts_of(client, bytes(1500), "small", 2)
    answer = await put_together(client, parts, "small")
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    for part in parts:
        assert (await client.delete(part)).status_code == 204


async def test_what_is_not_a_complete_part_of_this_owner(client, uvicorn_site):
    [part] = await parts_of(client, bytes(100), "default", 1)
    whole = (await client.upload(bytes(100))).path
    unfinished = await client.create(100, Upload_Concat="partial")
    in_other_slot = (await parts_of(client, bytes(100), "small", 1))[0]
    origin = {"Origin": uvicorn_site.http("")}
    async with Client(uvicorn_site, cookies=new_session(), headers=origin) as other:
        [of_other] = await parts_of(other, bytes(100), "default", 1)
    for wrong in (
        whole,
        unfinished,
        in_other_slot,
        of_other,
        "/",
        "http://evil.example/",
        part[:-1],
    ):
        answer = await put_together(client, [part, wrong], "default")
        assert answer.status_code == 400, wrong
    answer = await put_together(client, [part], "default")
    assert answer.status_code == 201
    for path in (whole, unfinished, in_other_slot, answer.headers["location"]):
        assert (await client.delete(path)).status_code == 204


async def test_parts_of_another_process(tmp_path, cache):
    with http_site(tmp_path, **cache) as one, http_site(tmp_path, **cache) as two:
        async with Client(one) as here, Client(two) as there:
            parts = await parts_of(here, DATA, "default")
            answer = await put_together(there, parts, "default")
            assert answer.status_code == 201
            assert await here.content(answer.headers["location"]) == DATA
