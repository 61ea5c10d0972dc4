"""How the client notices a dead connection, with a clock that the test turns."""

from __future__ import annotations

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def page(fake_page):
    """Has ``socket``, watched with ``pace``, and ``ends``, the number of its ends."""
    await fake_page.clock.install()
    await fake_page.reload()
    await fake_page.evaluate(
        """async () => {
          const {FakeSocket} = await import("/fake_server.js");
          const {CALM, URGENT, Pulse} = await import("/static/djust_uploads/wire/pulse.js");
          Object.assign(window, {CALM, URGENT, pace: URGENT});
          window.watch = () => {
            window.socket = new FakeSocket();
            window.ends = 0;
            socket.addEventListener("close", () => { ends += 1; });
            new Pulse(socket, () => pace);
          };
          watch();
        }"""
    )
    return fake_page


async def after(page, seconds):
    """How many pings were sent, and how many ends of the socket were told, so much later."""
    await page.clock.run_for(seconds * 1000)
    return await page.evaluate("[socket.of('ping').length, ends]")


async def test_silence_is_asked_about_and_then_given_up(page):
    assert await after(page, 2) == [0, 0]
    assert await after(page, 1) == [1, 0]
    assert await after(page, 6) == [1, 0]
    assert await after(page, 1) == [1, 1]
    assert await page.evaluate("socket.readyState === WebSocket.CLOSING")
    assert await after(page, 60) == [1, 1]


async def test_any_message_is_a_sign_of_life(page):
    for pings in range(1, 5):
        assert await after(page, 4) == [pings, 0]
        await page.evaluate("socket.hear({type: 'pong'})")


async def test_what_goes_out_is_a_sign_of_life(page):
    for left in range(20, 0, -1):
        await page.evaluate("(left) => { socket.bufferedAmount = left; }", left)
        assert await after(page, 2) == [0, 0]
    assert (await after(page, 20))[1] == 1


async def test_what_looked_dead_is_trusted_longer(page):
    assert await after(page, 10) == [1, 1]
    await page.evaluate("watch()")
    assert await after(page, 16) == [1, 0]
    assert await after(page, 1) == [1, 1]


async def test_without_uploads_there_is_time(page):
    await page.evaluate("pace = CALM")
    assert await after(page, 19) == [0, 0]
    assert await after(page, 60) == [1, 0]
    assert await after(page, 1) == [1, 1]


async def test_a_connection_of_somebody_else_is_left_alone(page):
    await page.evaluate("pace = null")
    assert await after(page, 600) == [0, 0]


async def test_connecting_takes_only_so_long(page):
    await page.evaluate("socket.readyState = WebSocket.CONNECTING")
    assert await after(page, 14) == [0, 0]
    assert await after(page, 1) == [0, 1]


async def test_a_hidden_tab_beats_rarely(page):
    await page.evaluate("pace = CALM")
    for pings in range(1, 4):
        await page.clock.fast_forward(60_000)
        assert await page.evaluate("[socket.of('ping').length, ends]") == [pings, 0]
        await page.evaluate("socket.hear({type: 'pong'})")
