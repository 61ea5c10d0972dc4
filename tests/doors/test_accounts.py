"""Users, their permissions and their sessions: by every door, in two processes."""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import time

import httpx
import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.caches import KINDS, running
from tests.support.http import OCTETS, TUS, begun, metadata
from tests.support.servers import serve, wait_until

DATA = b"a film" * 50_000
SLOTS = ("films", "judged")
#: How many uploads each of the slots of single quotas has room for, and the bytes of one.
ROOM, SIZE = 3, 1000


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Two processes of ``tests.sites.accounts``."""
    directory = tmp_path_factory.mktemp("accounts")
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(running(KINDS[0], directory))
        yield [
            stack.enter_context(
                serve("tests.sites.accounts:application", directory / "uploads", **cache)
            )
            for _ in range(2)
        ]


class User:
    """A user with a session: one browser, whose requests go to either process.

    A user with a name has logged in.
    """

    def __init__(self, sites, name=""):
        self.name, self._sites = name, sites
        self.http = [
            httpx.AsyncClient(base_url=site.http(""), headers={"Origin": site.http("")}, timeout=30)
            for site in sites
        ]

    async def __aenter__(self):
        self.key = (await self.get("/login/{name}/" if self.name else "/session/")).text
        for client in self.http:
            client.cookies.set("sessionid", self.key)
        return self

    async def __aexit__(self, *exc_info):
        for client in self.http:
            await client.aclose()

    async def get(self, path, site=1, **options):
        return await self.http[site].get(path.format(name=self.name), **options)

    async def let(self, may):
        assert (await self.get(f"/let/{{name}}/{int(may)}/")).status_code == 200

    @contextlib.asynccontextmanager
    async def page(self, site=0):
        url, cookies = self._sites[site].ws("/ws/"), {"sessionid": self.key}
        async with UploadClient(url, cookies=cookies) as page:
            await page.mounted()
            yield page

    async def create(self, url, site=0, size=None):
        size = len(DATA) if size is None else size
        headers = {**TUS, "Upload-Length": str(size), **metadata(name="film.txt")}
        return await self.http[site].post(url, headers=headers)

    async def patch(self, url, site=0, data=DATA, offset=0):
        headers = {**TUS, **OCTETS, "Upload-Offset": str(offset)}
        return await self.http[site].patch(url, headers=headers, content=data)


@pytest.fixture
async def users(sites):
    """Alice, who may upload, and Bob, who may not."""
    async with User(sites, "alice") as alice, User(sites, "bob") as bob:
        await alice.let(True)
        await bob.let(False)
        yield alice, bob


async def refused(uploading):
    with pytest.raises(UploadFailed) as info:
        await uploading
    return info.value.code


async def report(page, handler, slot):
    before = len(page.messages)
    await page.event(handler, slot=slot)
    return [m["payload"]["ref"] for m in page.messages[before:] if m.get("event") == "consumed"]


@pytest.mark.parametrize("slot", SLOTS)
async def test_sockets(users, sites, slot):
    alice, bob = users
    async with alice.page() as page, bob.page() as other, alice.page(site=1) as elsewhere:
        ref, code = await asyncio.gather(
            page.upload(slot, "film.txt", DATA), refused(other.upload(slot, "film.txt", DATA))
        )
        assert code == "forbidden"
        assert len(sites[0].temporary_files()) == 1
        assert await report(page, "report", slot) == [ref]

        # A permission that is taken away counts at once: for what is complete, and what is not.
        ref = await page.upload(slot, "film.txt", DATA)
        half = await elsewhere.register(slot, "film.txt", len(DATA), resumable=True)
        await elsewhere.send_chunks(half, DATA, until=70_000)
        await elsewhere.drop()
        await alice.let(False)
        assert await report(page, "areport", slot) == []
        assert (await page.ended(ref))["status"] == "complete"
        told = await page.wait_for(ref=ref, status="error")
        assert (told["code"], told["error"]) == (
            "forbidden",
            "You are not allowed to upload files here.",
        )
        assert await refused(page.resume(half)) == "forbidden"
        assert await refused(page.register(slot, "film.txt", 5)) == "forbidden"
        await alice.let(True)
        await elsewhere.reconnect()
        assert (await elsewhere.resume(half))["status"] == "resumed"
        await elsewhere.send_chunks(half, DATA)
        await elsewhere.complete(half)
        assert await report(elsewhere, "report", slot) == [half]
    assert await sites[0].no_temporary_files(20)


@pytest.mark.parametrize("slot", SLOTS)
async def test_http_and_receipts(users, sites, slot):
    alice, bob = users
    mine, other = await asyncio.gather(
        alice.create(f"/uploads/{slot}/"), bob.create(f"/uploads/{slot}/", site=1)
    )
    assert (mine.status_code, other.status_code) == (201, 403)
    assert other.json()["code"] == "forbidden"
    url = mine.headers["location"]
    await alice.let(False)
    assert (await alice.patch(url)).status_code == 403
    await alice.let(True)
    receipt = (await alice.patch(url, site=1)).headers["upload-receipt"]
    await alice.let(False)
    answer = await alice.get("/consume/", site=0, params={"receipt": receipt})
    assert answer.json()["code"] == "forbidden"
    await alice.let(True)
    answer = await alice.get("/consume/", site=0, params={"receipt": receipt})
    assert answer.json() == {"size": len(DATA)}
    assert await sites[0].no_temporary_files(20)


async def test_forms(users, sites):
    alice, bob = users
    page = (await alice.get("/form/")).text
    [url] = map(html.unescape, re.findall(r'data-upload-url="([^"]+)"', page))
    assert (await bob.create(url)).status_code == 403
    url = (await alice.create(url)).headers["location"]
    receipt = (await alice.patch(url)).headers["upload-receipt"]
    await alice.let(False)
    for sent in ({"data": {"film": receipt}}, {"files": {"film": ("film.txt", DATA)}}):
        answer = await alice.http[1].post("/form/", **sent)
        assert answer.json()["film"][0]["code"] == "forbidden", answer.text
    await alice.let(True)
    for sent in ({"data": {"film": receipt}}, {"files": {"film": ("film.txt", DATA)}}):
        answer = await alice.http[1].post("/form/", **sent)
        assert answer.json() == {"size": len(DATA)}
    assert await sites[0].no_temporary_files(20)


@pytest.mark.parametrize("site", [0, 1], ids=["this process", "the other process"])
async def test_logging_out(users, sites, site):
    """Both pages are told and closed, whichever process answers the request that logs out."""
    alice, _ = users
    async with alice.page() as page, alice.page(site=1) as idle:
        ref = await page.register("open", "film.txt", len(DATA), resumable=True)
        await page.send_chunks(ref, DATA, until=70_000)
        passing = await page.register("passing", "film.txt", len(DATA))
        await page.send_chunks(passing, DATA, until=70_000)
        assert await wait_until(lambda: len(sites[0].temporary_files()) == 2, 20)
        await alice.get("/logout/", site=site)
        for lost in (ref, passing):
            with pytest.raises(UploadFailed) as info:
                await page.ended(lost)
            assert info.value.code == "session_ended"
            assert info.value.message == "Your session has ended. Please log in again to go on."
        assert (await page.wait_for(type="error"))["code"] == "session_ended"
        assert await page.closed() == 4401
        if site == 1:
            assert await idle.closed() == 4401
        else:
            assert await refused(idle.register("open", "a.txt", 5)) == "session_ended"
            assert await idle.closed() == 4401
    # What can go on waits for its owner.
    async with User([*sites], "alice") as again, again.page(site=1) as page:
        assert await wait_until(lambda: len(sites[0].temporary_files()) == 1, 20)
        assert (await page.resume(ref))["status"] == "resumed"
        await page.send_chunks(ref, DATA)
        await page.complete(ref)
        assert await report(page, "report", "open") == [ref]
    assert await sites[0].no_temporary_files(20)


async def test_logging_out_while_a_request_runs(users, sites):
    alice, _ = users
    url = (await alice.create("/uploads/open/")).headers["location"]
    head = (
        f"PATCH {url} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        "Content-Type: application/offset+octet-stream\r\n"
        f"Origin: {sites[0].http('')}\r\nCookie: sessionid={alice.key}"
    )
    async with begun(sites[0], head, len(DATA), DATA[:70_000]) as patching:
        assert await wait_until(sites[0].temporary_files, 20)
        await alice.get("/logout/")
        status, headers = await patching.interim()
        assert status.startswith(b"HTTP/1.1 401")
        assert headers["content-type"] == "application/problem+json"
    async with User(sites, "alice") as again:
        answer = await again.http[0].head(url, headers=TUS)
        assert int(answer.headers["upload-offset"]) > 0
        assert (await again.http[0].delete(url, headers=TUS)).status_code == 204
    assert await sites[0].no_temporary_files(20)


async def test_quotas(users, sites):
    """Two users at once, over two processes: each gets what there is, and not more."""
    size = len(DATA)
    async with contextlib.AsyncExitStack() as stack:
        pages = {
            user: [await stack.enter_async_context(user.page(site=site)) for site in (0, 1)]
            for user in users
        }

        async def register(page):
            try:
                return await page.register("few", "film.txt", size, resumable=True)
            except UploadFailed as failed:
                assert failed.code == "quota_exceeded"
                return None

        async def fill(user):
            refs = await asyncio.gather(*map(register, pages[user] * 4))
            return [(pages[user][n % 2], ref) for n, ref in enumerate(refs) if ref]

        for admitted in await asyncio.gather(*map(fill, users)):
            assert len(admitted) == 3
        alice, _ = users
        here, there = pages[alice]
        told = next(m for m in here.messages + there.messages if m.get("code"))
        assert told["error"] == (
            "Too many uploads at once. Please wait until some of them are done."
        )
        assert told["retry_after"] == 10
        full = await alice.create("/uploads/few/")
        assert (full.status_code, full.headers["retry-after"]) == (429, "10")
        assert full.json()["code"] == "quota_exceeded"

        # One goes on in the other process, which counts it no second time.
        page, ref = admitted_of(pages[alice])
        other = there if page is here else here
        await page.send_chunks(ref, DATA, until=70_000)
        await page.drop()
        # Until the process has saved it, another one does not know it.
        for _ in range(100):
            if (await other.resume(ref))["status"] == "resumed":
                break
            await asyncio.sleep(0.05)
        await page.reconnect()
        assert await register(page) is None
        await other.send_chunks(ref, DATA)
        await other.complete(ref)
        for _ in range(100):
            if again := await register(page):
                break
            await asyncio.sleep(0.05)
        assert again
        assert await register(other) is None


@pytest.mark.parametrize("limit", ["uploads", "bytes_per_day", "registrations_per_minute"])
@pytest.mark.parametrize("kind", ["user", "session", "address", "slot"])
async def test_each_quota(sites, kind, limit):
    """Two users at once, each by a socket to one process and by HTTP to the other one."""
    slot, names = f"{kind}_{limit}", ("", "") if kind == "session" else ("alice", "bob")
    # A minute is one of the clock. Another one would have room again.
    if limit == "registrations_per_minute" and (second := time.time() % 60) > 50:
        await asyncio.sleep(60 - second)
    async with contextlib.AsyncExitStack() as stack:
        users = [await stack.enter_async_context(User(sites, name)) for name in names]
        pages = [await stack.enter_async_context(user.page()) for user in users]

        async def by_socket(user, page):
            try:
                return await page.register(slot, "film.txt", SIZE)
            except UploadFailed as failed:
                assert failed.code == "quota_exceeded"
                return None

        async def by_http(user, page):
            answer = await user.create(f"/uploads/{slot}/", site=1, size=SIZE)
            if answer.status_code == 201:
                return stack.push_async_callback(
                    user.http[1].delete, answer.headers["location"], headers=TUS
                )
            assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
            assert int(answer.headers["retry-after"]) > 0
            return None

        ways = [by_socket, by_http] * ROOM
        admitted = await asyncio.gather(
            *(way(*each) for way in ways for each in zip(users, pages, strict=True))
        )
    of_first, of_second = (sum(each is not None for each in admitted[n::2]) for n in range(2))
    if kind in ("user", "session"):
        assert (of_first, of_second) == (ROOM, ROOM)
    else:
        assert of_first + of_second == ROOM


def admitted_of(pages):
    """A page, and a ref that it may send."""
    return next(
        (page, message["ref"])
        for page in pages
        for message in page.messages
        if message["type"] == "upload_registered"
    )


async def test_quotas_of_forms(users):
    alice, _ = users
    page = (await alice.get("/small-form/")).text
    [url] = map(html.unescape, re.findall(r'data-upload-url="([^"]+)"', page))
    answer = await alice.create(url)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 24 * 3600
    answer = await alice.http[1].post("/small-form/", files={"film": ("film.txt", DATA)})
    [error] = answer.json()["film"]
    assert error == {
        "code": "quota_exceeded",
        "message": "No more can be uploaded today. Please try again tomorrow.",
    }
