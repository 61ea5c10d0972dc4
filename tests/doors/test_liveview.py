"""The djust host, through a real socket: djust's mount, events and state, our uploads."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import subprocess
import sys

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from djust_uploads.wire import FrameType
from tests.support.servers import ROOT, serve

VIEWS = "tests.sites.live."


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def live_site(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"live-{request.param}")
    with serve(
        "tests.sites.live:application",
        directory / "uploads",
        server=request.param,
        DJANGO_SETTINGS_MODULE="tests.live_settings",
        SESSION_DIRECTORY=str(directory),
    ) as server:
        yield server


class LivePage(UploadClient):
    """A client that mounts a djust view."""

    async def mount(self, view, **extra):
        await self.wait_for(type="connect")
        await self.send({"type": "mount", "view": VIEWS + view, "params": {}, "url": "/", **extra})
        return await self.wait_for(type="mount")

    async def html_after(self, event):
        """The page's HTML, or the patches to it, after an event."""
        answer = await self.event(event)
        return str(answer.get("html") or answer.get("patches"))


@pytest.fixture
async def page(live_site):
    async with LivePage(live_site.ws("/ws/live/")) as client:
        yield client


@pytest.mark.parametrize("view", ["MixinFirst", "MixinLast"])
@pytest.mark.parametrize("handler", ["report", "areport"])
async def test_both_base_orders_and_both_kinds_of_handlers(page, view, handler):
    mounted = await page.mount(view)
    assert mounted["upload_configs"]["files"]["chunk_size"] == 64 * 1024
    data = os.urandom(300_000)
    await page.upload("files", "a.bin", data)
    assert hashlib.sha256(data).hexdigest() in await page.html_after(handler)


async def test_a_stock_client_sends_all_at_once_and_nothing_is_lost(page, live_site):
    """As djust's script does: chunks follow the registration at once and no limit is heeded; far
    more frames than djust's limiter lets pass, each longer than its max_message_size."""
    await page.mount("MixinFirst")
    data = os.urandom(60_000_000)
    await page.upload("files", "a.bin", data, honour_limit=False)
    assert hashlib.sha256(data).hexdigest() in await page.html_after("report")
    assert not [m for m in page.messages if m["type"] in ("error", "rate_limit_exceeded")]


async def test_registrations_are_not_rate_limited(page):
    await page.mount("MixinFirst")
    for number in range(60):
        ref = await page.upload("files", f"{number}.txt", b"x")
        await page.cancel(ref)
        await page.wait_for(ref=ref, status="cancelled")


async def test_uploads_are_in_the_context(page):
    await page.mount("MixinLast")
    await page.upload("files", "seen.txt", b"x")
    ref = await page.upload("files", "dropped.txt", b"x")
    answer = await page.event("drop", ref=ref)
    html = str(answer.get("html") or answer.get("patches"))
    assert "seen.txt complete" in html
    assert "dropped.txt" not in html


async def test_what_a_raising_handler_had_in_hand_stays(page):
    await page.mount("MixinFirst")
    await page.upload("files", "a.txt", b"stays")
    await page.send({"type": "event", "event": "report_then_raise", "params": {}})
    await page.wait_for(type="error")
    assert hashlib.sha256(b"stays").hexdigest() in await page.html_after("report")


async def test_the_page_hears_of_slots_that_a_handler_changed(page):
    await page.mount("MixinFirst")
    await page.event("report")
    assert not [m for m in page.messages if m["type"] == "upload_configs"]
    await page.event("shrink")
    message = await page.wait_for(type="upload_configs")
    assert message["upload_configs"]["files"]["max_file_size"] == 123


async def test_post_only_rules_refuse_uploads(page):
    await page.mount("Guarded")
    with pytest.raises(UploadFailed) as failed:
        await page.register("files", "a.txt", 1)
    assert failed.value.code == "forbidden"


async def test_upload_writers_work(page, live_site):
    await page.mount("Written")
    data = os.urandom(500_000)
    await page.upload("files", "a.bin", data)
    assert hashlib.sha256(data).hexdigest() in await page.html_after("report")
    (live_site.uploads / "writer.part").unlink()


async def test_an_upload_writer_that_fails_is_aborted(page, live_site):
    await page.mount("Written")
    data = os.urandom(100_000) + b"write_chunk must fail"
    with pytest.raises(UploadFailed) as failed:
        await page.upload("files", "a.bin", data)
    assert failed.value.code == "storage_error"
    assert live_site.temporary_files() == []


async def test_an_upload_writer_is_aborted_when_the_page_goes(live_site):
    async with LivePage(live_site.ws("/ws/live/")) as page:
        await page.mount("Written")
        ref = await page.register("files", "a.bin", 200_000)
        await page.send_chunks(ref, os.urandom(100_000))
        await until(lambda: live_site.temporary_files() == ["writer.part"])
    await until(lambda: live_site.temporary_files() == [])


async def test_views_with_djusts_own_uploads_are_left_to_djust(page):
    await page.mount("Stock")
    ref = "11111111-1111-4111-8111-111111111111"
    await page.send(
        {"type": "upload_register", "upload_name": "files", "ref": ref, "client_size": 2}
        | {"client_name": "a.txt", "client_type": "text/plain"}
    )
    await page.wait_for(type="upload_registered", ref=ref)
    await page.send_frame(FrameType.CHUNK, ref, 0, b"hi")
    await page.send_frame(FrameType.COMPLETE, ref)
    await page.wait_for(ref=ref, status="complete")
    assert "hi" in await page.html_after("report")


async def test_leaving_the_page_deletes_what_was_not_consumed(live_site):
    async with LivePage(live_site.ws("/ws/live/")) as page:
        await page.mount("MixinFirst")
        await page.upload("files", "a.bin", os.urandom(10_000))
        ref = await page.register("files", "b.bin", 9_000_000)
        await page.send_chunks(ref, os.urandom(2_000_000))
        await until(lambda: len(live_site.temporary_files()) == 2)
        await page.drop()
    await until(lambda: live_site.temporary_files() == [])


async def test_another_view_on_the_same_socket_starts_empty(page, live_site):
    await page.mount("MixinFirst")
    await page.upload("files", "a.bin", b"x" * 10_000)
    page.messages.clear()
    await page.send(
        {"type": "live_redirect_mount", "view": VIEWS + "MixinLast", "params": {}, "url": "/ours/"}
    )
    await page.wait_for(type="mount")
    await until(lambda: live_site.temporary_files() == [])
    await page.upload("files", "b.bin", b"y")


def session_cookie(site):
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request("GET", "/restored/")
    cookies = connection.getresponse().headers.get_all("Set-Cookie")
    connection.close()
    return "; ".join(cookie.split(";")[0] for cookie in cookies)


async def check_restored(page, mounted):
    """The slot is there, with its options and its sink; returns the page after a report."""
    assert mounted["upload_configs"]["files"]["accept"] == ".txt"
    with pytest.raises(UploadFailed) as failed:
        await page.register("files", "a.bin", 1)
    assert failed.value.code == "type_not_accepted"
    await page.upload("files", "a.txt", b"hello")
    html = await page.html_after("report")
    assert hashlib.sha256(b"hello").hexdigest() in html
    return html


async def test_slots_survive_djusts_session_restore(live_site):
    headers = {"Cookie": session_cookie(live_site)}
    async with LivePage(live_site.ws("/ws/live/"), headers=headers) as page:
        first = await page.mount("Restored", url="/restored/")
        await page.upload("files", "a.txt", b"first")
        await page.event("report")
    async with LivePage(live_site.ws("/ws/live/"), headers=headers) as page:
        mounted = await page.mount("Restored", url="/restored/")
        html = await check_restored(page, mounted)
        assert hashlib.sha256(b"first").hexdigest() in html
        assert token(first["html"]) in html


async def test_slots_survive_djusts_signed_snapshot(live_site):
    headers = {"Cookie": session_cookie(live_site)}
    async with LivePage(live_site.ws("/ws/live/"), headers=headers) as page:
        first = await page.mount("Restored", url="/other/")
        signed = first["state_snapshot_signed"]
    async with LivePage(live_site.ws("/ws/live/"), headers=headers) as page:
        mounted = await page.mount(
            "Restored",
            url="/another/",
            state_snapshot={"view_slug": VIEWS + "Restored", "state_json": signed},
        )
        assert token(first["html"]) in await check_restored(page, mounted)


async def test_who_may_upload(live_site):
    """A view is asked about each file. When its session has ended, the page is told and closed."""
    headers = {"Cookie": session_cookie(live_site)}
    async with LivePage(live_site.ws("/ws/live/"), headers=headers) as page:
        await page.mount("Judging")
        with pytest.raises(UploadFailed) as failed:
            await page.register("files", "refused", 1)
        assert failed.value.message == "You are not allowed to upload files here."
        data = os.urandom(100_000)
        await page.upload("files", "a.bin", data)
        assert hashlib.sha256(data).hexdigest() in await page.html_after("report")
        for path in live_site.uploads.parent.glob("sessionid*"):
            path.unlink()
        with pytest.raises(UploadFailed) as failed:
            await page.register("files", "a.bin", 1)
        assert failed.value.code == "session_ended"
        assert failed.value.message == "Your session has ended. Please reload the page."
        assert await page.closed() == 4401


def token(html):
    """What only ``mount()`` sets, so that the same one again proves that it did not run."""
    return re.search(r"mounted-\w+", html).group()


#: Run where djust is installed and routed: tests.settings has no djust.
E004 = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
from django.conf import settings
settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "djust"]
settings.ASGI_APPLICATION = "__main__.application"
import django
django.setup()
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.checks import run_checks
from django.urls import path
from djust.websocket import LiveViewConsumer as Stock
from djust_uploads.liveview import LiveViewConsumer as Ours
consumer = {"stock": Stock, "ours": Ours}[sys.argv[1]]
application = ProtocolTypeRouter({"websocket": URLRouter([path("ws/", consumer.as_asgi())])})
print(*(message.id for message in run_checks(tags=["djust_uploads"])))
"""


@pytest.mark.parametrize(("consumer", "ids"), [("stock", "djust_uploads.E004"), ("ours", "")])
def test_e004_djusts_own_consumer_is_routed(consumer, ids):
    done = subprocess.run(
        [sys.executable, "-c", E004, consumer],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ids


async def until(condition, seconds=1.0):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    assert condition()
