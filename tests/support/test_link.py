"""The network of the tests does what it says."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.support.link import Link
from tests.support.servers import wait_until

SIZE = 1_000_000


class Echo:
    """Sends back what it gets; ``received`` counts bytes, ``ended`` the connections' ends."""

    def __init__(self):
        self.received = 0
        self.ended = []

    async def __call__(self, reader, writer):
        try:
            while data := await reader.read(64 * 1024):
                self.received += len(data)
                writer.write(data)
                await writer.drain()
            self.ended.append("closed")
        except ConnectionError:
            self.ended.append("reset")
        writer.close()


@contextlib.asynccontextmanager
async def linked(**options):
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        async with Link([server.sockets[0].getsockname()[1]], **options) as link:
            yield link, echo
    finally:
        server.close()


@contextlib.asynccontextmanager
async def connected(link):
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(reader, writer, data=b"ping"):
    writer.write(data)
    await writer.drain()
    return await reader.readexactly(len(data))


async def send(writer, data):
    writer.write(data)
    await writer.drain()


async def passes(link):
    async with connected(link) as ends:
        return await echoed(*ends) == b"ping"


async def test_bytes_pass_both_ways_and_so_does_the_end():
    async with linked() as (link, echo), connected(link) as (reader, writer):
        data = bytes(range(256)) * 10_000
        got, _ = await asyncio.gather(reader.readexactly(len(data)), send(writer, data))
        assert got == data
        writer.write_eof()
        assert await reader.read() == b""
        assert echo.ended == ["closed"]


async def test_delay_and_rate_bound_it_from_below():
    loop = asyncio.get_running_loop()
    async with (
        linked(delay=0.05, rate=5_000_000) as (link, _echo),
        connected(link) as (reader, writer),
    ):
        start = loop.time()
        await echoed(reader, writer)
        assert loop.time() - start >= 0.1
        start = loop.time()
        await asyncio.gather(reader.readexactly(SIZE), send(writer, bytes(SIZE)))
        assert loop.time() - start >= 0.1 + 0.9 * SIZE / 5_000_000


async def test_cut_resets_both_ends():
    async with linked() as (link, echo), connected(link) as (reader, writer):
        await echoed(reader, writer)
        await link.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert await wait_until(lambda: echo.ended == ["reset"])
        assert await passes(link)
        assert link.connections == 2


async def test_stalled_link_tells_neither_end_of_the_other():
    async with linked() as (link, echo):
        async with connected(link) as ends:
            await echoed(*ends)
            link.stall()
            await send(ends[1], b"late")
        async with connected(link) as (reader, writer):
            await send(writer, b"late")
            await asyncio.sleep(0.1)
            assert (echo.received, echo.ended) == (4, [])
            link.flow()
            assert await reader.readexactly(4) == b"late"
            assert await wait_until(lambda: len(echo.ended) == 1)


async def test_refused_connections():
    async with linked() as (link, _echo), connected(link) as first:
        await echoed(*first)
        link.refuse()
        with pytest.raises(ConnectionRefusedError):
            await passes(link)
        assert await echoed(*first) == b"ping"
        await link.accept()
        assert await passes(link)


@pytest.mark.parametrize("size", [1, 4, 100_000])
async def test_reset_after_so_many_bytes(size):
    async with linked() as (link, echo), connected(link) as (reader, writer):
        link.reset_after(size)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.gather(reader.readexactly(SIZE), send(writer, bytes(SIZE)))
        assert await wait_until(lambda: echo.ended == ["reset"])
        assert echo.received == size
        assert await passes(link)


async def test_reset_again_after_so_many_bytes_more():
    async with linked() as (link, echo):
        link.reset_after(100_000, 5)
        for connections in (1, 2):
            async with connected(link) as (reader, writer):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await asyncio.gather(reader.readexactly(SIZE), send(writer, bytes(SIZE)))
                assert await wait_until(lambda: len(echo.ended) == connections)  # noqa: B023
        assert echo.ended == ["reset"] * 2
        assert echo.received == 100_005
        assert await passes(link)


async def test_hold_after_so_many_bytes():
    async with linked() as (link, echo), connected(link) as (reader, writer):
        link.hold_after(200_000)
        sending = asyncio.create_task(send(writer, bytes(SIZE)))
        assert await wait_until(lambda: echo.received > 100_000)
        # Another connection is not held.
        assert await passes(link)
        assert echo.received <= 200_000 + len(b"ping")
        link.flow()
        assert await reader.readexactly(SIZE) == bytes(SIZE)
        await sending


async def test_target_that_is_down_resets():
    async with linked() as (link, _echo):
        link.targets = [1]
        async with connected(link) as (reader, _writer):
            with pytest.raises(ConnectionResetError):
                await reader.read()
