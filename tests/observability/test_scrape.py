"""Uploads to real server processes, and what operators see of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from djust_uploads.testing import UploadClient, UploadFailed
from tests.resuming.conftest import cache, caches
from tests.support.http import Client, http_site
from tests.support.resuming import new_session
from tests.support.servers import ROOT

__all__ = ["cache", "caches"]

PROMETHEUS = "djust_uploads.observability.PrometheusMetrics"
REPORTS = "djust_uploads.observability.ProcessReports"
DATA = os.urandom(300_000)


async def scrape(site):
    """Our samples: the name without its prefix and the values of the labels, to the value."""
    async with httpx.AsyncClient(base_url=site.http("")) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name.removeprefix("djust_uploads_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith("djust_uploads_") and not sample.name.endswith("_created")
    }


@contextlib.asynccontextmanager
async def use(site):
    """One upload of each kind, by socket and by HTTP."""
    cookies = new_session()
    async with UploadClient(site.ws("/ws/"), cookies=cookies) as page:
        await page.mounted()
        await page.upload("default", "a.bin", DATA, resumable=True)
        await page.event("report", slot="default")
        with pytest.raises(UploadFailed):
            await page.upload("small", "b.bin", bytes(1001))
        ref = await page.register("default", "c.bin", len(DATA))
        await page.cancel(ref)
        ref = await page.register("default", "d.bin", len(DATA))
        await page.hostile.complete_early(ref)
        with pytest.raises(UploadFailed, match="size_mismatch"):
            await page.ended(ref)
        # This one stays on its way.
        ref = await page.register("png", "e.png", 5000)
        async with Client(site, cookies=cookies, headers={"Origin": site.http("")}) as client:
            await client.upload(DATA)
            path = await client.create(len(DATA))
            await client.patch(path, 0, DATA[:100_000])
            yield


async def test_a_scrape_shows_what_happened(tmp_path):
    with http_site(tmp_path, settings={"OBSERVERS": [PROMETHEUS]}) as site:
        before = await scrape(site)
        assert before["buffered_bytes",] == 0
        assert before["buffer_limit_bytes",] == 256 * 1024 * 1024
        async with use(site):
            found = await scrape(site)
    calls = {key: n for key, n in found.items() if key[0].startswith(("sink_", "duration"))}
    assert {key: n for key, n in found.items() if key not in calls} == {
        ("active", "default"): 0,
        ("active", "png"): 1,
        ("parked", "default"): 1,
        ("parked", "png"): 0,
        ("unconsumed", "default"): 1,
        ("unconsumed", "png"): 0,
        ("buffered_bytes",): 0,
        ("sending_bytes",): 0,
        ("buffer_limit_bytes",): 256 * 1024 * 1024,
        ("started_total", "default"): 5,
        ("started_total", "png"): 1,
        ("refused_total", "file_too_large", "small"): 1,
        # Each request over HTTP goes on with what the request before has parked.
        ("resumed_total", "default"): 2,
        ("completed_total", "default", "default"): 2,
        ("consumed_total", "default", "default"): 1,
        ("cancelled_total", "", "default"): 1,
        ("failed_total", "", "default", "size_mismatch"): 1,
        ("written_bytes_total", "default", "default"): 2 * len(DATA) + 100_000,
    }
    assert calls["duration_seconds_count", "default"] == 2
    assert 0 < calls["duration_seconds_sum", "default"] < 60
    assert calls["sink_call_seconds_count", "default", "open"] == 3
    assert calls["sink_call_seconds_count", "default", "finish"] == 2
    assert calls["sink_writes_total", "default"] >= 3
    assert calls["sink_write_seconds_total", "default"] > 0


async def seen(look, condition):
    """What ``look()`` returns as soon as ``condition()`` accepts it."""
    for _ in range(50):
        if condition(found := await look()):
            break
        await asyncio.sleep(0.2)
    return found


async def test_two_processes(tmp_path, cache):
    """``manage.py uploads`` and a scrape show both, until one of them is killed."""
    (tmp_path / "metrics").mkdir()
    environ = {**cache, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    settings = {"OBSERVERS": [PROMETHEUS, REPORTS]}

    async def command(*options):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "django", "uploads", *options),
            env={**os.environ, **site._environment, "DJANGO_SETTINGS_MODULE": SETTINGS},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()

    with (
        http_site(tmp_path, settings=settings, **environ) as site,
        http_site(tmp_path, settings=settings, **environ) as other,
    ):
        async with UploadClient(site.ws("/ws/"), cookies=new_session()) as page:
            await page.mounted()
            ref = await page.register("default", "holiday.mp4", len(DATA))
            await page.send_chunks(ref, DATA, until=200_000)
            async with Client(other, headers={"Origin": other.http("")}) as client:
                path = await client.create(len(DATA))
                await client.patch(path, 0, DATA[:100_000])

            async def reported():
                return json.loads(await command("--json"))

            def whole(reports):
                received = {one["received"] for report in reports for one in report["uploads"]}
                return len(received) == 2 and min(received) == 100_000

            reports = await seen(reported, whole)
            [active] = [report for report in reports if report["counts"] == {"active": 1}]
            assert {"parked": 1} in [report["counts"] for report in reports]
            [upload] = active["uploads"]
            assert (upload["id"], upload["slot"], upload["sink"]) == (ref, "default", "default")
            assert (upload["client_name"], upload["size"]) == ("holiday.mp4", len(DATA))
            assert upload["received"] >= 196_608
            text = await command()
            assert f"{ref}  active" in text and "holiday.mp4" in text and "parked" in text

            def summed(found):
                return found.get(("written_bytes_total", "default", "default"), 0) >= 100_000

            found = await seen(lambda: scrape(site), summed)
            assert (found["active", "default"], found["parked", "default"]) == (1, 1)
            assert found["started_total", "default"] == 2
            other.kill()
            found = await scrape(site)
            assert (found["active", "default"], found["parked", "default"]) == (1, 0)
            assert found["started_total", "default"] == 2


SETTINGS = "tests.resume_settings"


async def test_the_command_says_what_is_missing():
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match=r"Add 'djust_uploads.observability.ProcessReports' to"):
        call_command("uploads")
