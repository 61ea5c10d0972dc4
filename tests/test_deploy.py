"""``examples/deploy``: uploads reach their files while each program of a site is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
import redis
from django.core.cache.backends.redis import RedisCache
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import WebSocketException

from djust_uploads.client import Refused, upload
from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.clamd import EICAR
from tests.support.resuming import sha256
from tests.support.servers import ROOT, free_ports, wait_until

UP = str(ROOT / "examples" / "deploy" / "up.py")
WORKERS = ["worker1", "worker2"]
#: These are restarted, one after the other.
RESTARTED = [*WORKERS, "redis"]
SIZE = 1_000_000
#: Bytes that a slow client sends at once.
PIECE = 64 * 1024
#: Of 100 files, so many come over sockets. The others come over HTTP.
SOCKETS, OVER_HTTP = 80, 20
#: Uploads of one session share a worker.
SESSIONS = 10


class Site:
    """``up.py`` in a process of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.log = directory.parent / "up.log"
        environment = {**os.environ}
        del environment["DJANGO_SETTINGS_MODULE"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, UP, "--directory", str(directory), "--port", str(port)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_up(self) -> None:
        for _ in range(600):
            if "Ctrl-C ends everything." in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    async def restart(self, name: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, UP, "--directory", str(self.directory), "restart", name)
        )
        assert await process.wait() == 0

    def http(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def page(self, session: str, page: type[UploadClient] = UploadClient) -> UploadClient:
        return page(f"wss://localhost:{self.port}/ws/files/", cookies={"sessionid": session})

    async def session(self) -> str:
        async with httpx.AsyncClient() as client:
            answer = await client.get(self.http("/"))
        return answer.cookies["sessionid"]

    async def upload(self, path: Path, session: str, transport: httpx.AsyncHTTPTransport) -> None:
        """Upload a file over HTTP, as a page of the site does."""
        headers = {"Cookie": f"sessionid={session}", "Origin": self.http("")}
        async with httpx.AsyncClient(transport=transport, timeout=30) as client:
            uploaded = await upload(
                self.http("/uploads/files/"), path, headers=headers, client=client, resume=False
            )
        assert uploaded.verified

    async def scrape(self, worker: str) -> Counter[tuple[str, ...]]:
        """Our samples: the name without its prefix and the values of the labels, to the value."""
        async with httpx.AsyncClient() as client:
            port = self.port + 1 + WORKERS.index(worker)
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        return Counter(
            {
                (sample.name.removeprefix("djust_uploads_"), *sorted(sample.labels.values())): (
                    sample.value
                )
                for family in text_string_to_metric_families(answer.text)
                for sample in family.samples
                if sample.name.startswith("djust_uploads_")
            }
        )

    async def scrape_all(self) -> Counter[tuple[str, ...]]:
        found: Counter[tuple[str, ...]] = Counter()
        for worker in WORKERS:
            found.update(await self.scrape(worker))
        return found

    def stored(self) -> dict[str, str]:
        """The files that the application has, by name, each with its SHA-256."""
        files = self.directory / "media" / "files"
        return {path.name: sha256(path.read_bytes()) for path in files.glob("*")}

    def logged(self) -> str:
        logs = self.directory / "logs"
        return "".join((logs / f"{worker}.log").read_text() for worker in WORKERS)

    def consumed(self) -> Counter[str]:
        """How often each file was consumed."""
        return Counter(re.findall(r"/'([^']+)'.* is consumed", self.logged()))

    def unfinished(self) -> list[tuple[str, str]]:
        """The uploads in the cache that are not over, by name, each with its status."""
        port = self.port + 3
        cache = RedisCache(f"redis://127.0.0.1:{port}/0", {})
        with redis.Redis(port=port) as client:
            keys = [key.decode() for key in client.scan_iter(":1:djust_uploads:*")]
        found = cache.get_many([key.removeprefix(":1:") for key in keys]).values()
        records = [value for value in found if isinstance(value, dict) and "checkpoint" in value]
        # A worker that stops may note a registration of which its client never hears. The client
        # begins anew. Such a record has no bytes, and expires.
        over = ("consumed", "registered")
        return [
            (each["client_name"], each["status"]) for each in records if each["status"] not in over
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("deploy") / "run"
    running = Site(directory, free_ports(5))
    with pytest.MonkeyPatch.context() as patch:
        # Every client of these tests trusts the site's certificate.
        patch.setenv("SSL_CERT_FILE", str(directory / "tls" / "cert.pem"))
        try:
            running.wait_until_up()
            yield running
        finally:
            children = psutil.Process(running.process.pid).children(recursive=True)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(60) == 0, running.log.read_text()
            assert not any(child.is_running() for child in children)


class Line:
    """A slow line. The last piece of a file passes when ``last`` is set."""

    def __init__(self, last: asyncio.Event) -> None:
        self._last = last

    async def passes(self, *, last: bool) -> None:
        await asyncio.sleep(random.uniform(0.1, 0.3))
        if last:
            await self._last.wait()


@contextlib.asynccontextmanager
async def opened(page: UploadClient) -> AsyncIterator[UploadClient]:
    """The page, as soon as a worker has taken its handshake."""
    while True:
        try:
            await page.connect()
            break
        except (OSError, WebSocketException):
            await asyncio.sleep(0.1)
    try:
        yield page
    finally:
        await page.__aexit__(None, None, None)


def slow_page(line: Line) -> type[UploadClient]:
    class SlowPage(UploadClient):
        async def send_frame(self, frame_type, ref, index=0, data=b""):
            if data:
                end = index * self.chunk_size(ref) + len(data)
                passing = asyncio.create_task(line.passes(last=end == self.size(ref)))
                # A page notices at once that its connection is lost.
                await asyncio.wait([passing, self._reader], return_when="FIRST_COMPLETED")
                passing.cancel()
            await super().send_frame(frame_type, ref, index, data)

    return SlowPage


class SlowTransport(httpx.AsyncHTTPTransport):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    async def handle_async_request(self, request):
        if request.method == "PATCH":
            request.stream = SlowBody(request.stream, self._line)
        return await super().handle_async_request(request)


class SlowBody(httpx.AsyncByteStream):
    def __init__(self, body, line: Line) -> None:
        self._body = body
        self._line = line

    async def __aiter__(self):
        data = b"".join([piece async for piece in self._body])
        for start in range(0, len(data), PIECE):
            await self._line.passes(last=start + PIECE >= len(data))
            yield data[start : start + PIECE]


async def store(page: UploadClient, ref: str) -> None:
    """Press "Store" until the application has the file."""
    attached = True
    while not page.consumed(ref):
        try:
            if attached:
                await page.event("store")
                await wait_until(lambda: page.consumed(ref) or not page.connected, 5)
                attached = page.connected
            else:
                await page.reconnect()
                attached = await came_back(page, ref)
        except (ConnectionError, TimeoutError):
            attached = False


async def came_back(page: UploadClient, ref: str) -> bool:
    """Whether this connection has the complete upload, or need not have it any more."""
    status = (await page.resume(ref))["status"]
    if status == "resumed":
        await page.ended(ref)
    elif status == "locked":
        await asyncio.sleep(0.2)
    else:
        assert page.consumed(ref), f"{ref} is lost"
    return status != "locked"


async def test_uploads_go_on_while_everything_is_restarted(site, tmp_path):
    files = {f"{n:03}.bin": f"file {n}\n".encode() + os.urandom(SIZE) for n in range(100)}
    sessions = [await site.session() for _ in range(SESSIONS)]
    restarted = {name: asyncio.Event() for name in RESTARTED}
    on_their_way: set[str] = set()

    async def by_socket(name: str, session: str, line: Line) -> None:
        async with opened(site.page(session, slow_page(line))) as page:
            ref = await page.upload(
                "files", name, files[name], "application/octet-stream", resumable=True
            )
            on_their_way.discard(name)
            await store(page, ref)

    async def by_http(name: str, session: str, line: Line) -> None:
        path = tmp_path / name
        path.write_bytes(files[name])
        await site.upload(path, session, SlowTransport(line))
        on_their_way.discard(name)

    async def deliver(number: int, name: str) -> None:
        await asyncio.sleep(number * 0.03)
        on_their_way.add(name)
        line = Line(restarted[RESTARTED[number % len(RESTARTED)]])
        way = by_http if number % 5 == 0 else by_socket
        await way(name, sessions[number % SESSIONS], line)

    async def restart_all() -> None:
        await asyncio.sleep(2)
        for name in RESTARTED:
            assert len(on_their_way) >= 30, f"{name} would be restarted too late"
            await site.restart(name)
            restarted[name].set()

    async with asyncio.timeout(90), asyncio.TaskGroup() as all_of_them:
        all_of_them.create_task(restart_all())
        for number, name in enumerate(files):
            all_of_them.create_task(deliver(number, name))

    assert site.stored() == {name: sha256(data) for name, data in files.items()}
    assert site.consumed() == Counter(list(files))
    assert await wait_until(lambda: not any((site.directory / "uploads").iterdir()), 5)
    assert site.unfinished() == []
    assert "Traceback" not in site.logged()


async def test_a_scrape_of_each_worker_shows_what_happened(site):
    before = await site.scrape_all()
    uploads = 0
    seen = {
        worker: (await site.scrape(worker))["consumed_total", "default", "files"]
        for worker in WORKERS
    }
    reached: set[str] = set()
    while reached != set(WORKERS):
        uploads += 1
        assert uploads < 20, "all sessions reach the same worker"
        async with site.page(await site.session()) as page:
            ref = await page.upload("files", "scraped.bin", bytes(PIECE), resumable=True)
            await store(page, ref)
        for worker in WORKERS:
            if (await site.scrape(worker))["consumed_total", "default", "files"] > seen[worker]:
                reached.add(worker)
    happened = await site.scrape_all()
    happened.subtract(before)
    counted = {key: n for key, n in happened.items() if key[0].endswith("_total") and n}
    assert counted.pop(("sink_writes_total", "default")) >= uploads
    assert counted.pop(("sink_write_seconds_total", "default")) > 0
    assert counted == {
        ("started_total", "files"): uploads,
        ("completed_total", "default", "files"): uploads,
        ("consumed_total", "default", "files"): uploads,
        ("written_bytes_total", "default", "files"): uploads * PIECE,
    }
    for gauge in ("active", "parked", "unconsumed"):
        assert (await site.scrape_all())[gauge, "files"] == 0


async def test_a_virus_is_refused_by_both_doors(site, tmp_path):
    before = await site.scrape_all()
    session = await site.session()
    async with site.page(session) as page:
        with pytest.raises(UploadFailed) as failed:
            await page.upload("files", "eicar.txt", EICAR, "text/plain", resumable=True)
    assert failed.value.code == "infected"
    path = tmp_path / "eicar.txt"
    path.write_bytes(EICAR)
    with pytest.raises(Refused):
        await site.upload(path, session, httpx.AsyncHTTPTransport())
    happened = await site.scrape_all()
    assert (
        happened["failed_total", "default", "files", "infected"]
        == 2 + (before["failed_total", "default", "files", "infected"])
    )
    assert "eicar.txt" not in site.stored()
    assert not any((site.directory / "uploads").iterdir())


async def test_nginx_serves_files_and_hides_what_is_for_operators(site):
    async with httpx.AsyncClient(base_url=site.http("")) as client:
        page = await client.get("/")
        assert page.status_code == 200
        [script] = re.findall(r'src="(/static/djust_uploads/[^"]+)"', page.text)[:1]
        assert (await client.get(script)).headers["content-type"] == "application/javascript"
        for path in ("/metrics", "/ready"):
            assert (await client.get(path)).status_code == 404


async def test_a_program_that_dies_is_started_again(site):
    pid_file = site.directory / "pids" / "nginx"
    before = pid_file.read_text()
    os.kill(int(before), signal.SIGKILL)
    assert await wait_until(lambda: pid_file.exists() and pid_file.read_text() != before, 10)
    async with httpx.AsyncClient() as client:
        assert (await client.get(site.http("/"))).status_code == 200
