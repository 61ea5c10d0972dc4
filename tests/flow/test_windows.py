"""Windows and the budget through real servers: long links, many uploads, clients that heed nothing.

The machine may be busy. Where a time is asserted, it is the best of a few rounds, and compared with
another of the same round where that can be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from djust_uploads.wire import FrameType
from tests.support import servers
from tests.support.link import Link
from tests.support.load import load
from tests.support.servers import Server, serve, wait_until


@pytest.fixture(autouse=True, scope="module")
def started_afresh():
    """Measure servers that have imported only what they need: memory and pauses are compared."""
    preloaded, servers.preloaded = servers.preloaded, None
    yield
    servers.preloaded = preloaded


CHUNK = 64 * 1024
MIB = 1024 * 1024
MB = 1_000_000
ROUNDS = 3

pytestmark = pytest.mark.alone


@contextlib.contextmanager
def loaded_site(tmp_path, server: str = "uvicorn", budget: int = 256 * MIB):
    uploads = tmp_path / "uploads"
    environ = {"MAX_BUFFERED_BYTES": str(budget)}
    with serve("tests.sites.loaded:application", uploads, server=server, **environ) as site:
        yield site


@contextlib.asynccontextmanager
async def connected(site: Server | Link):
    async with UploadClient(site.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def timed(page: UploadClient, slot: str, data: bytes) -> float:
    start = time.perf_counter()
    await page.upload(slot, "data.bin", data)
    return time.perf_counter() - start


async def acknowledged_one_by_one(page: UploadClient, count: int) -> float:
    """Bytes a second of a client that waits for word of each chunk."""
    ref = await page.register("fast", "data.bin", count * CHUNK)
    start = time.perf_counter()
    for index in range(count):
        await page.send_frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
        # What one connection is told comes in the order in which it asked.
        await page.event("ping")
    return count * CHUNK / (time.perf_counter() - start)


async def best_of(rounds: int, enough: Callable[[float], bool], measure) -> float:
    """The first measurement that is enough, or else the last."""
    for _ in range(rounds):
        if enough(measured := await measure()):
            break
    return measured


# Long links


async def bare_rate(size: int, **link: float) -> float:
    """Bytes a second that such a link carries without us, on this machine now."""
    times: list[float] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(CHUNK):
            times.append(time.perf_counter())
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, Link([server.sockets[0].getsockname()[1]], **link) as bare:
        reader, writer = await asyncio.open_connection("127.0.0.1", bare.port)
        writer.write(bytes(size))
        writer.write_eof()
        await reader.read()
        writer.close()
    return size / (times[-1] - times[0])


async def test_link_of_100_ms_and_100_mbit_is_full(tmp_path):
    far = {"delay": 0.05, "rate": 100 * MB / 8}
    data = os.urandom(48 * MB)
    with loaded_site(tmp_path) as site:
        async with Link([site.port], **far) as link:

            async def share() -> float:
                rate = min(far["rate"], await bare_rate(8 * MB, **far))
                async with connected(link) as page:
                    return len(data) / await timed(page, "fast", data) / rate

            assert await best_of(ROUNDS, lambda share: share >= 0.8, share) >= 0.8


async def test_twenty_times_what_a_chunk_in_each_round_trip_makes(tmp_path):
    """Over a faster link: one of 100 Mbit/s carries 19 times as much at most."""
    data = os.urandom(64 * MB)
    with loaded_site(tmp_path) as site:
        async with Link([site.port], delay=0.05) as link:

            async def times() -> float:
                async with connected(link) as page:
                    slow = await acknowledged_one_by_one(page, 8)
                    return len(data) / await timed(page, "fast", data) / slow

            assert await best_of(ROUNDS, lambda times: times >= 20, times) >= 20


# Many uploads


async def ping(page: UploadClient) -> float:
    """The seconds that the server's event loop has run."""
    page.messages.clear()
    await page.event("ping")
    return (await page.wait_for(event="ran"))["payload"]["seconds"]


async def round_trips(page: UploadClient, until: Callable[[], object]) -> list[float]:
    """Seconds that each event took, until ``until()``. Where the machine was busy with others, only
    those in which the server ran."""
    seconds = []
    ran_before = await ping(page)
    while not until():
        start = time.perf_counter()
        ran = await ping(page)
        seconds.append(min(time.perf_counter() - start, ran - ran_before))
        ran_before = ran
    return seconds


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
async def test_200_uploads_at_once_share_the_budget(tmp_path, server):
    """And events on another socket do not wait for the uploads, which take some five seconds."""
    # A hundredth of the events is the machine's. The others took 30 to 130 ms on uvicorn and 60 to
    # 280 on daphne, as in the versions before.
    bound = 0.1 if server == "uvicorn" else 0.3
    budget = 96 * MIB
    with loaded_site(tmp_path, server, budget) as site:
        idle = site.memory()

        async def long_round_trip() -> float:
            url = site.ws("/ws/")
            async with connected(site) as page, load(url, 200, "megabyte", 3 * MB) as clients:
                done = asyncio.create_task(clients.stdout.readline())
                seconds = await round_trips(page, done.done)
                assert await done == b"done\n"
                assert len(seconds) > 10
                return sorted(seconds)[int(len(seconds) * 0.99)]

        assert await best_of(ROUNDS, lambda seconds: seconds < bound, long_round_trip) < bound
        assert site.peak_memory() - idle < budget + 60 * MB


async def test_50_clients_that_dribble_do_not_slow_down_a_fast_one(tmp_path):
    data = os.urandom(MB) * 200
    with loaded_site(tmp_path) as site:
        alone, beside = [], []
        for _ in range(ROUNDS):
            async with connected(site) as page:
                alone.append(await timed(page, "fast", data))
            async with (
                load(site.ws("/ws/"), 50, "fast", 1000, "dribble"),
                connected(site) as page,
            ):
                beside.append(await timed(page, "fast", data))
            if min(beside) < 1.2 * min(alone):
                break
        assert min(beside) < 1.2 * min(alone)


# Clients that heed no limit, as djust's own script


async def test_client_that_heeds_no_limit_is_slowed_down_where_the_server_can(tmp_path):
    with loaded_site(tmp_path) as site:
        async with connected(site) as page, connected(site) as other:
            before = site.memory()
            ref = await page.register("megabyte", "data.bin", 100 * MB)
            sending = asyncio.create_task(
                page.send_chunks(ref, bytes(100 * MB), honour_limit=False)
            )
            assert await wait_until(lambda: taken(page, ref) > 3 * MB, 20)
            assert not sending.done()
            await other.event("ping")
            assert site.peak_memory() < before + 30 * MB
            assert page.endings(ref) == []
            sending.cancel()
            page.socket.transport.abort()


def taken(page: UploadClient, ref: str) -> int:
    return max((m.get("offset", 0) for m in page.messages if m.get("ref") == ref), default=0)


async def test_client_that_oversteps_while_its_limit_stands_still_fails(tmp_path):
    with loaded_site(tmp_path) as site:
        async with connected(site) as page:
            ref = await page.register("stuck", "data.bin", 20 * MB)
            sending = asyncio.create_task(page.send_chunks(ref, bytes(20 * MB), honour_limit=False))
            with pytest.raises(UploadFailed) as failed:
                await page.ended(ref)
            assert failed.value.code == "limit_exceeded"
            # The rest is read and dropped, so the socket is free again.
            await sending
            await page.event("ping")
            assert len(page.endings(ref)) == 1


async def test_client_that_heeds_no_limit_has_at_most_the_budget_where_the_server_buffers(tmp_path):
    budget = 64 * MIB
    with loaded_site(tmp_path, "daphne", budget) as site:
        async with connected(site) as page, connected(site) as modest:
            idle = site.memory()
            kept = asyncio.create_task(modest.upload("megabyte", "data.bin", bytes(2 * MB)))
            ref = await page.register("megabyte", "data.bin", 400 * MB)
            await page.send_chunks(ref, bytes(400 * MB), honour_limit=False)
            with pytest.raises(UploadFailed) as failed:
                await page.ended(ref)
            assert failed.value.code == "limit_exceeded"
            await kept
            # daphne queues what it has read until the consumer takes it, and the budget can't
            # count that.
            assert site.peak_memory() - idle < budget + 60 * MB
