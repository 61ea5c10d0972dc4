"""How djust's client is kept connecting while uploads wait, with an object in its place."""

from __future__ import annotations

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def page(fake_page):
    """Has ``client``, djust's, with what it was told to connect to, and ``uploads``."""
    await fake_page.clock.install()
    await fake_page.reload()
    await fake_page.evaluate(
        """async () => {
          const {FakeSocket} = await import("/fake_server.js");
          const {Reconnecting} = await import("/static/djust_uploads/doors/djust_reconnecting.js");
          const ws = Object.assign(new FakeSocket(), {url: "ws://there/ws/live/"});
          window.connects = [];
          window.client = {
            ws, enabled: true, reconnectAttempts: 0, lastEventName: null,
            connect(url) { if (this.enabled) connects.push(url); },
          };
          window.djust = {liveViewInstance: client};
          window.uploads = {resumable: true, fragile: false};
          const reconnecting = new Reconnecting(uploads);
          reconnecting.start();
          reconnecting.watch(ws);
        }"""
    )
    return fake_page


async def closed(page):
    return await page.evaluate("client.ws.readyState === WebSocket.CLOSING")


async def test_no_attempts_without_a_network(page):
    await page.evaluate("client.reconnectAttempts = 5")
    await page.context.set_offline(True)
    await page.wait_for_function("() => !client.enabled")
    assert await closed(page)
    await page.context.set_offline(False)
    await page.wait_for_function("() => connects.length")
    assert await page.evaluate("[connects, client.reconnectAttempts]") == [
        ["ws://there/ws/live/"],
        0,
    ]


async def test_what_would_be_lost_is_left_to_tcp(page):
    await page.evaluate("Object.assign(uploads, {resumable: false, fragile: true})")
    await page.context.set_offline(True)
    await page.wait_for_function("() => !navigator.onLine")
    assert not await closed(page)
    # But when it closes, there is nothing to connect to.
    await page.evaluate("client.ws.lose()")
    assert not await page.evaluate("client.enabled")
    await page.context.set_offline(False)
    await page.wait_for_function("() => client.enabled")


async def test_a_client_that_is_disabled_stays_so(page):
    await page.evaluate("client.enabled = false")
    await page.context.set_offline(True)
    await page.wait_for_function("() => !navigator.onLine")
    await page.context.set_offline(False)
    await page.wait_for_function("() => navigator.onLine")
    assert await page.evaluate("[client.enabled, connects]") == [False, []]


async def test_attempts_go_on_while_uploads_wait(page):
    for _ in range(20):
        await page.evaluate("client.reconnectAttempts += 1")
        await page.clock.run_for(1000)
    assert await page.evaluate("client.reconnectAttempts") < 10


async def test_without_uploads_all_is_as_djust_has_it(page):
    await page.evaluate("Object.assign(uploads, {resumable: false}); client.reconnectAttempts = 9")
    await page.context.set_offline(True)
    await page.wait_for_function("() => !navigator.onLine")
    await page.clock.run_for(600_000)
    told = await page.evaluate("[client.enabled, client.reconnectAttempts, client.ws.sent]")
    assert told == [True, 9, []]
    assert not await closed(page)
    await page.context.set_offline(False)


async def test_a_running_event_may_keep_the_server_silent(page):
    await page.evaluate("client.lastEventName = 'store'")
    await page.clock.run_for(60_000)
    assert not await closed(page)
    await page.evaluate("client.lastEventName = null; client.ws.hear({type: 'pong'})")
    await page.clock.run_for(12_000)
    assert await closed(page)
