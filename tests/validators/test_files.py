"""The validators that judge stored files: images, archives, PDF, duplicates."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import stat
import tarfile
import zipfile

import pytest
from PIL import Image

from djust_uploads import MemorySink
from djust_uploads.validators import (
    ArchiveValidator,
    DuplicateValidator,
    ImageValidator,
    PDFValidator,
)
from tests.support.connection import Connection


def without_bytes(value):
    """Name a test without its bytes: archives have the time in them."""
    return "data" if isinstance(value, bytes) else None


async def judged(validator, data, name):
    """Upload ``data``. Return the code of the error, or ``None`` for a file that is accepted."""
    async with Connection(sink=MemorySink(), validators=[validator], max_file_size=10**9) as page:
        ending = await page.upload(data, name)
        if ending["status"] == "complete":
            assert page.entries()[0].data == data
        return ending.get("code")


# Images


def picture(width, height, kind="PNG", mode="1"):
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("options", "data", "code"),
    [
        ({}, picture(300, 200), None),
        ({"max_width": 300, "max_height": 200}, picture(300, 200), None),
        ({"max_width": 299}, picture(300, 200), "image_too_large"),
        ({"max_height": 199}, picture(300, 200), "image_too_large"),
        ({"max_pixels": 59_999}, picture(300, 200), "image_too_large"),
        ({}, picture(9000, 9000), "image_too_large"),
        ({}, picture(20_000, 20_000), "image_too_large"),
        ({"max_pixels": 10**9}, picture(10_000, 10_000), None),
        ({"formats": ["JPEG"]}, picture(30, 20), "content_mismatch"),
        ({}, picture(300, 200)[:-30], "content_mismatch"),
        ({}, picture(300, 200)[:40] + bytes(300), "content_mismatch"),
    ],
    ids=without_bytes,
)
async def test_images(options, data, code):
    assert await judged(ImageValidator(**options), data, "a.png") == code


async def test_an_image_that_is_too_large_is_refused_before_the_sink_opens():
    class NeverOpened(MemorySink):
        async def open(self, upload):
            raise AssertionError("opened")

    validator = ImageValidator(max_width=299)
    async with Connection(sink=NeverOpened(), validators=[validator]) as page:
        ending = await page.upload(picture(300, 200), "a.png")
    assert ending["code"] == "image_too_large"


async def test_an_image_whose_sizes_are_behind_its_first_bytes_is_judged_when_it_is_stored():
    stream = io.BytesIO()
    noise = Image.effect_noise((300, 200), 50)
    noise.save(stream, "JPEG", exif=b"Exif\0\0" + bytes(60_000))
    assert await judged(ImageValidator(max_width=299), stream.getvalue(), "a.jpg") == (
        "image_too_large"
    )
    assert await judged(ImageValidator(max_width=300), stream.getvalue(), "a.jpg") is None


async def test_each_frame_of_a_moving_picture_counts():
    frames = [Image.new("RGB", (100, 100), (20 * n, 0, 0)) for n in range(10)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert await judged(ImageValidator(max_pixels=99_999), stream.getvalue(), "a.gif") == (
        "image_too_large"
    )
    assert await judged(ImageValidator(max_pixels=100_000), stream.getvalue(), "a.gif") is None


# Archives


def zipped(*members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def zipped_link():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((info, "/etc/passwd"))


def zipped_with_a_lie():
    """A member that declares fewer bytes than come out of it."""
    data = zipped(("a", bytes(1_000_000)))
    size = (1_000_000).to_bytes(4, "little")
    assert data.count(size) == 2
    return data.replace(size, (10).to_bytes(4, "little"))


def zipped_with_shared_bytes():
    """Two members of the central directory that lie in the same place."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", bytes(100))
        first = archive.infolist()[0]
        archive.filelist.append(first)
    return stream.getvalue()


def tarred(*members, pack=lambda data: data, **attributes):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return pack(stream.getvalue())


GOOD = [("a.txt", b"hello " * 10), ("b/c.txt", b"world")]
BIG = [("a", bytes(3_000_000))]
OPTIONS = {"max_size": 2_000_000, "max_ratio": 10_000}


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.zip", zipped(*GOOD), None),
        ("a.zip", zipped(), None),
        ("a.zip", zipped(("../a", b"x")), "unsafe_archive"),
        ("a.zip", zipped(("/etc/passwd", b"x")), "unsafe_archive"),
        ("a.zip", zipped(("a\\..\\..\\b", b"x")), "unsafe_archive"),
        ("a.zip", zipped(("C:evil", b"x")), "unsafe_archive"),
        ("a.zip", zipped(*BIG), "unsafe_archive"),
        ("a.zip", zipped(*[(f"a{n}", b"") for n in range(101)]), "unsafe_archive"),
        ("a.zip", zipped_link(), "unsafe_archive"),
        ("a.zip", zipped_with_a_lie(), "unsafe_archive"),
        ("a.zip", zipped_with_shared_bytes(), "unsafe_archive"),
        ("a.zip", zipped(*GOOD)[:-30], "unsafe_archive"),
        ("a.tar", tarred(*GOOD), None),
        ("a.tar.gz", tarred(*GOOD, pack=gzip.compress), None),
        ("a.tar.bz2", tarred(*GOOD, pack=bz2.compress), None),
        ("a.tar.xz", tarred(*GOOD, pack=lzma.compress), None),
        ("a.tar", tarred(("../a", b"x")), "unsafe_archive"),
        ("a.tar", tarred(("a", b""), type=tarfile.SYMTYPE, linkname="/etc"), "unsafe_archive"),
        ("a.tar", tarred(("a", b""), type=tarfile.CHRTYPE), "unsafe_archive"),
        ("a.tar.gz", tarred(*BIG, pack=gzip.compress), "unsafe_archive"),
        ("a.tar.xz", tarred(*BIG, pack=lzma.compress), "unsafe_archive"),
        ("a.txt", b"no archive\n" * 100, None),
        ("a.txt.gz", gzip.compress(b"no archive\n" * 100), None),
    ],
    ids=without_bytes,
)
async def test_archives(name, data, code):
    assert await judged(ArchiveValidator(max_files=100, **OPTIONS), data, name) == code


async def test_ratio_of_an_archive():
    data = zipped(("a", bytes(1_000_000)))
    assert await judged(ArchiveValidator(max_ratio=100), data, "a.zip") == "unsafe_archive"
    assert await judged(ArchiveValidator(max_ratio=10_000), data, "a.zip") is None


# PDF


def document(change=lambda writer: None, **options):
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    change(writer)
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def add_script(writer):
    from pypdf.actions import JavaScript

    writer.add_open_action(JavaScript("app.alert(1)"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (document(), None),
        (document(add_script), "active_content"),
        (document(add_script).replace(b"/JavaScript", b"/J#61vaScript"), "active_content"),
        (document(lambda writer: writer.add_attachment("a.exe", b"MZ")), "active_content"),
        (document(lambda writer: writer.encrypt("secret", algorithm="RC4-128")), "active_content"),
        (document()[:200], "content_mismatch"),
    ],
    ids=["plain", "script", "escaped name", "attachment", "encrypted", "cut"],
)
async def test_pdf(data, code):
    assert await judged(PDFValidator(), data, "a.pdf") == code


async def test_pdf_with_too_many_objects():
    assert await judged(PDFValidator(max_objects=2), document(), "a.pdf") == "active_content"


# Duplicates


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
async def test_duplicates(kind):
    seen = {hashlib.sha256(b"known\n" * 20_000).hexdigest()}

    def known(sha256, entry):
        return sha256 in seen

    async def aknown(sha256, entry):
        return sha256 in seen

    validator = DuplicateValidator(known if kind == "function" else aknown)
    assert await judged(validator, b"known\n" * 20_000, "a.txt") == "duplicate_file"
    assert await judged(validator, b"other\n" * 20_000, "a.txt") is None
