"""What a file holds against what it says, through a real socket, on every sink."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from djust_uploads.testing import UploadFailed
from tests.support import content

SINKS = ["default", "memory", "slow"]

REFUSED = [
    ("png", "photo.png", "image/png", content.HTML, "active_content"),
    ("png", "photo.png", "image/png", content.SVG, "active_content"),
    ("png", "photo.png", "image/png", b"\n\t <SCRIPT>alert(1)</SCRIPT>", "active_content"),
    ("png", "photo.png", "image/png", content.HTML.decode().encode("utf-16"), "active_content"),
    ("png", "photo.png", "image/png", content.JPG, "content_mismatch"),
    ("png", "photo.png", "image/png", content.TXT, "content_mismatch"),
    ("png", "photo.png", "image/png", content.PE, "content_mismatch"),
    ("png", "photo.png", "image/png", b"x", "content_mismatch"),
    ("png", "photo.png", "", bytes(15), "content_mismatch"),
    ("txt", "notes.txt", "text/plain", content.HTML, "active_content"),
    ("txt", "notes.txt", "text/plain", content.SVG, "active_content"),
    ("txt", "notes.txt", "text/plain", content.PE, "content_mismatch"),
    ("txt", "notes.txt", "text/plain", content.PNG, "content_mismatch"),
    ("jpg", "holiday.jpg", "image/jpeg", content.PE, "content_mismatch"),
    ("jpg", "holiday.jpg", "image/jpeg", content.ELF, "content_mismatch"),
    ("jpg", "holiday.jpg", "", content.PE, "content_mismatch"),
    ("image", "holiday.jpg", "image/jpeg", content.ELF, "content_mismatch"),
    ("image", "holiday.jpg", "image/jpeg", content.PDF, "content_mismatch"),
    ("", "feed.xml", "text/xml", content.SCRIPTED_XML, "active_content"),
    ("", "page", "", content.HTML, "active_content"),
]

REFUSED_AT_ONCE = [
    ("", "evil.svg", "", "active_content"),
    ("", "evil.svg ", "", "active_content"),
    ("", "evil.html.", "", "active_content"),
    ("", "evil.HTML", "text/plain", "active_content"),
    ("", "evil.txt", "text/html", "active_content"),
    ("image", "evil.svg ", "image/png", "active_content"),
    ("png", "evil.exe", "image/png", "type_not_accepted"),
    ("png", "evil.png.exe", "image/png", "type_not_accepted"),
    ("png", "photo.png", "application/pdf", "type_not_accepted"),
    ("png", "photo.jpg", "image/jpeg", "type_not_accepted"),
    ("png", "png", "image/png", "type_not_accepted"),
    ("png", "", "image/png", "type_not_accepted"),
]


def slot_name(sink, suffix):
    return f"{sink}-{suffix}" if suffix else sink


async def sink_calls(page):
    await page.event("sink_calls", sink="slow")
    message = await page.wait_for(event="sink_calls")
    page.messages.remove(message)
    return message["payload"]["calls"]


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize(
    ("suffix", "name", "claim", "data", "code"), REFUSED, ids=lambda v: str(v)[:20]
)
async def test_refused_before_the_sink_opens(
    page, plain_site, sink, suffix, name, claim, data, code
):
    await sink_calls(page)
    with pytest.raises(UploadFailed) as caught:
        await page.upload(slot_name(sink, suffix), name, data, claim)
    assert caught.value.code == code
    # Only XML, whose every byte is judged on its way, may meet the sink before the verdict.
    if data is content.SCRIPTED_XML:
        assert "finish" not in await sink_calls(page)
    else:
        assert await sink_calls(page) == []
    assert await plain_site.no_temporary_files()


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize(("suffix", "name", "claim", "code"), REFUSED_AT_ONCE)
async def test_refused_on_registration(page, sink, suffix, name, claim, code):
    with pytest.raises(UploadFailed) as caught:
        await page.register(slot_name(sink, suffix), name, 100, claim)
    assert caught.value.code == code


ACCEPTED = [
    ("png", "photo.png", "image/png", content.PNG, "image/png"),
    ("png", "photo.PNG", "", content.PNG, "image/png"),
    ("jpg", "holiday.jpg", "image/jpeg", content.JPG, "image/jpeg"),
    ("image", "holiday.webp", "image/webp", content.WEBP, "image/webp"),
    ("txt", "notes.txt", "text/plain", content.TXT, "text/plain"),
    ("txt", "notes.txt", "text/plain", b"", "text/plain"),
    ("txt", "notes.txt", "text/plain", b"x", "text/plain"),
    ("png", "empty.png", "image/png", b"", "image/png"),
    ("", "table.csv", "text/csv", content.CSV, "text/csv"),
    ("", "feed.xml", "text/xml", content.XML, None),
    ("active", "page.html", "text/html", content.HTML, "text/html"),
    ("active", "drawing.svg", "image/svg+xml", content.SVG, "image/svg+xml"),
]


@pytest.mark.parametrize("sink", ["default", "memory"])
@pytest.mark.parametrize(
    ("suffix", "name", "claim", "data", "content_type"), ACCEPTED, ids=lambda v: str(v)[:20]
)
async def test_accepted(page, sink, suffix, name, claim, data, content_type):
    ref = await page.upload(slot_name(sink, suffix), name, data, claim)
    await page.event("report", slot=slot_name(sink, suffix))
    entry = (await page.wait_for(event="consumed"))["payload"]
    assert (entry["ref"], entry["client_name"]) == (ref, name)
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert content_type is None or entry["content_type"] == content_type


@pytest.mark.parametrize("size", [0, 1, 15, 16])
async def test_short_files_reach_the_slow_sink(page, size):
    await sink_calls(page)
    await page.upload("slow", "data.bin", bytes(size))
    writes = ["write"] if size else []
    assert await sink_calls(page) == ["open", *writes, "finish"]


NAMES = [
    ("../../x.png", "x.png"),
    ("..\\..\\x.png", "x.png"),
    ("/etc/passwd", "passwd"),
    ("C:\\Users\\ada\\x.png", "x.png"),
    ("..", "upload"),
    ("a/..", "upload"),
    ("a/", "upload"),
    ("", "upload"),
    ("x\x00.png", "x.png"),
    ("photo\u202egnp.exe", "photognp.exe"),
    (" x.png ", "x.png"),
]


@pytest.mark.parametrize(("name", "clean"), NAMES)
async def test_name_is_the_last_component(page, plain_site, name, clean):
    await page.upload("default", name, content.PNG if clean.endswith("png") else b"MZ")
    await page.event("report", slot="default")
    entry = (await page.wait_for(event="consumed"))["payload"]
    assert entry["client_name"] == clean
    assert entry["path"].startswith(f"{plain_site.uploads}/djust-upload-")


async def test_content_is_judged_before_all_of_it_is_there(page, plain_site):
    """16 KiB are enough for a verdict: the rest of a refused file need not travel."""
    ref = str(uuid.uuid4())
    data = content.HTML + bytes(16 * 1024)
    await page.register("default", "data.bin", 100_000_000, ref=ref)
    await page.send_chunks(ref, data)
    with pytest.raises(UploadFailed, match="active_content"):
        await page.ended(ref)
