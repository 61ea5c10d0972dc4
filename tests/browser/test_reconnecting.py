"""Uploads over a network that fails, in Chromium, on both hosts: nothing is sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
import pytest_asyncio

from djust_uploads.flow.window import MAX_WINDOW
from tests.browser.chromium import choose, drag, open_page, recorded, rows, sha256, until
from tests.support.link import Link
from tests.support.matrix import both_hosts
from tests.support.servers import ROOT, Server, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1_000_000
SIZE = 40 * MB

#: Bytes that may have been on their way when the connection was lost, and are sent twice.
ON_THE_WAY = MAX_WINDOW


class Site:
    """An example project, behind a network that a test may spoil."""

    def __init__(self, host: str, directory: Path, link: Link) -> None:
        self.host = host
        self.directory = directory
        self.link = link
        self.server: Server
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        self.server = self._running.enter_context(
            serve(
                f"site_{self.host}.asgi:application",
                self.directory / "uploads",
                cwd=ROOT / "examples" / f"{self.host}_site",
                MEDIA_DIRECTORY=str(self.directory / "media"),
                STATE_DIRECTORY=str(self.directory / "state"),
            )
        )
        self.link.targets = [self.server.port]

    def kill(self) -> None:
        self.server.process.kill()
        self.stop()

    def stop(self) -> None:
        self._running.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.link.port}/files/"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["channels", "djust"])
async def site(request, tmp_path_factory):
    async with Link([], rate=20 * MB) as link:
        site = Site(request.param, tmp_path_factory.mktemp(request.param), link)
        site.start()
        yield site
        site.stop()


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "movie.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser, site):
    context = await browser.new_context()
    yield await opened(context, site)
    await context.close()
    site.link.flow()
    site.link.reset_after()


async def opened(context, site):
    page = await open_page(context, site.url)
    await page.wait_for_selector("[dj-upload][multiple]")
    return page


async def choose_until(page, site, movie, percent):
    """Choose the movie. Returns when the page shows so much progress; then the rest is held back
    on its way until the network flows. A busy machine would tell of the progress too late."""
    site.link.hold_after(SIZE * (percent + 20) // 100)
    await choose(page, movie)
    await reached(page, percent)


async def reached(page, percent):
    await page.wait_for_function(
        "(percent) => recorded.progress.some((event) => event.progress >= percent)", arg=percent
    )


async def complete(page):
    await page.wait_for_selector("[data-status=complete]", timeout=60_000)


async def stored(page):
    """Submit the form; the SHA-256 that the server computed."""
    await page.click("text=Store >> nth=-1")
    await page.wait_for_selector(".sha256", timeout=30_000)
    return await page.inner_text(".sha256")


async def bytes_sent(page):
    """On each socket of the page, in their order."""
    return await page.evaluate("sockets.map((socket) => socket.bytesSent)")


async def shown(page):
    """Every progress that the page was told of."""
    return [event["progress"] for event in (await recorded(page))["progress"]]


async def test_without_a_network_nothing_is_attempted(page, site, movie):
    await choose_until(page, site, movie, 30)
    site.link.stall()
    await page.context.set_offline(True)
    await rows(page, "waiting")
    assert await page.inner_text(".upload-progress-text") == "Waiting for the connection"
    assert int(await page.get_attribute(".upload-progress-bar", "aria-valuenow")) >= 30
    connections = site.link.connections
    # The first attempt would come within a second, and the next two within five.
    await asyncio.sleep(5)
    assert site.link.connections == connections, "no attempts without a network"
    site.link.flow()
    await page.context.set_offline(False)
    await complete(page)
    assert await shown(page) == sorted(await shown(page))
    assert sum(await bytes_sent(page)) < SIZE + ON_THE_WAY
    assert len({event["ref"] for event in (await recorded(page))["progress"]}) == 1
    assert await stored(page) == sha256(movie)


@both_hosts
async def test_a_connection_that_dies_without_a_word(page, site, movie):
    await choose_until(page, site, movie, 30)
    site.link.stall()
    await page.wait_for_selector("[data-status=waiting]", timeout=20_000)
    site.link.flow()
    await complete(page)
    assert sum(await bytes_sent(page)) < SIZE + ON_THE_WAY
    assert await stored(page) == sha256(movie)


async def test_a_connection_that_is_cut_again_and_again(page, site, movie):
    # By bytes: on a busy machine, the page tells of its progress when much more has been sent.
    site.link.reset_after(*[6 * MB] * 5)
    await choose(page, movie)
    await complete(page)
    assert await shown(page) == sorted(await shown(page))
    assert len(await bytes_sent(page)) >= 6
    assert await stored(page) == sha256(movie)


@both_hosts
async def test_a_server_that_is_killed_and_started_again(page, site, movie):
    await choose_until(page, site, movie, 50)
    site.link.refuse()
    site.kill()
    site.link.flow()
    await rows(page, "waiting")
    site.start()
    await site.link.accept()
    await complete(page)
    assert await shown(page) == sorted(await shown(page))
    assert sum(await bytes_sent(page)) < SIZE + 2 * ON_THE_WAY
    assert await stored(page) == sha256(movie)


async def test_what_was_complete_comes_back_complete(page, site, movie):
    await choose(page, movie)
    await complete(page)
    ref = await page.get_attribute("[data-upload-ref]", "data-upload-ref")
    await site.link.cut()
    await page.wait_for_function(
        "() => recorded.progress.filter(({status}) => status === 'complete').length === 2"
    )
    assert await page.get_attribute("[data-status=complete]", "data-upload-ref") == ref
    assert sum(await bytes_sent(page)) < SIZE + MB
    assert await stored(page) == sha256(movie)


@both_hosts
async def test_cancelled_without_a_connection(page, site, movie):
    before = site.server.temporary_files()
    await choose_until(page, site, movie, 20)
    site.link.refuse()
    await site.link.cut()
    site.link.flow()
    await rows(page, "waiting")
    await page.click("[aria-label='Remove movie.bin']")
    await page.wait_for_selector("[data-upload-ref]", state="detached")
    assert site.server.temporary_files() != before
    await site.link.accept()
    await until(lambda: site.server.temporary_files() == before, seconds=20)
    await page.wait_for_function("() => Object.keys(localStorage).length === 0")


# The page is loaded again


async def loaded_again(page, site):
    await page.reload(wait_until="commit")
    site.link.flow()
    await page.wait_for_selector("[dj-upload][multiple]")


@both_hosts
async def test_the_same_file_chosen_again_goes_on(page, site, movie):
    await choose_until(page, site, movie, 50)
    await loaded_again(page, site)
    await choose(page, movie)
    await complete(page)
    assert (await shown(page))[0] >= 50
    assert sum(await bytes_sent(page)) < SIZE / 2 + MB
    assert await stored(page) == sha256(movie)


async def test_a_dropped_file_goes_on_by_itself(page, site, movie):
    site.link.hold_after(SIZE * 7 // 10)
    zone = await page.query_selector("[dj-upload-drop]")
    for kind in ("dragEnter", "dragOver", "drop"):
        await drag(page, zone, kind, [movie])
    await reached(page, 50)
    await loaded_again(page, site)
    await complete(page)
    assert (await shown(page))[0] >= 50
    assert sum(await bytes_sent(page)) < SIZE / 2 + MB
    assert await stored(page) == sha256(movie)


async def test_what_was_complete_is_there_after_a_reload(page, site, movie):
    await page.eval_on_selector("[dj-upload]", "(input) => { input.required = true; }")
    await choose(page, movie)
    await complete(page)
    await loaded_again(page, site)
    await page.eval_on_selector("[dj-upload]", "(input) => { input.required = true; }")
    await complete(page)
    assert await page.inner_text(".upload-progress-name") == "movie.bin"
    assert sum(await bytes_sent(page)) < MB
    assert await stored(page) == sha256(movie)
    await page.wait_for_function("() => Object.keys(localStorage).length === 0")


async def test_the_tab_in_which_the_user_chooses_it_takes_it_over(page, site, movie):
    other = await opened(page.context, site)
    await choose_until(page, site, movie, 10)
    assert await other.locator("[data-upload-ref]").count() == 0
    await choose(other, movie)
    await rows(page, "error")
    assert await page.inner_text(".upload-error") == "This upload goes on in another window."
    site.link.flow()
    await complete(other)
    assert await stored(other) == sha256(movie)
    assert await page.locator("[data-status=error]").count() == 1, "and does not take it back"


@pytest_asyncio.fixture(loop_scope="module")
async def gallery(browser, site):
    context = await browser.new_context()
    page = await open_page(context, f"http://127.0.0.1:{site.link.port}/gallery/")
    await page.wait_for_selector("[dj-upload][multiple]")
    yield page
    await context.close()
    site.link.flow()


#: The sink that photos go to, as the page of either host shows it.
CHOSEN = ":is(.chosen, [aria-pressed=true])"


@both_hosts
async def test_what_is_pressed_during_an_outage_is_done_when_it_is_over(gallery, site):
    alias = await gallery.get_attribute(f".sinks button:not({CHOSEN})", "dj-value-alias")
    this = f".sinks button[dj-value-alias={alias}]"
    await site.link.cut()
    site.link.refuse()
    await gallery.wait_for_selector("body.dj-disconnected", state="attached")
    await gallery.click(this)
    await gallery.wait_for_selector(f"{this}[aria-busy=true]")
    await site.link.accept()
    await gallery.wait_for_selector(f"{this}{CHOSEN}", timeout=60_000)
    assert await gallery.locator("[aria-busy=true]").count() == 0
    # It is done once: another press of another button counts as ever.
    await gallery.click(f".sinks button:not([dj-value-alias={alias}]) >> nth=0")
    await gallery.wait_for_selector(f"{this}:not({CHOSEN})")


async def test_the_page_hears_that_the_outage_is_over(gallery, site):
    """What it said of the lost connection holds no longer."""
    await gallery.evaluate(
        """() => addEventListener("djust:recovered", () => {
          document.documentElement.dataset.recovered = "yes";
        })"""
    )
    await site.link.cut()
    await gallery.wait_for_selector("[data-recovered]", timeout=60_000)
