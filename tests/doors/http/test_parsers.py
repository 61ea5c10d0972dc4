"""Whatever is in a request, its parsers return something or raise a typed error, and soon.

``tests/test_wire.py`` has the frames and the messages.
"""

from __future__ import annotations

import time

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from djust_uploads import MemorySink, UploadEndpoint, UploadMixin
from djust_uploads.doors.http.addresses import Address
from djust_uploads.doors.http.digests import Digest, parse_checksum, parse_digests
from djust_uploads.doors.http.draft import parse_filename
from djust_uploads.doors.http.problems import BadRequest, HeadersTooLarge, UnsupportedChecksum
from djust_uploads.doors.http.request import Request
from djust_uploads.doors.http.tus import parse_metadata
from djust_uploads.exceptions import UnknownSlot
from djust_uploads.resuming.parking import Parking
from djust_uploads.uploads import process

#: Of these, right values consist, and wrong ones that look right.
PIECES = [
    *("filename", "name", " ", ",", ";", "=", ":", '"', "\\", "'", "*", "%", "/", ".", "\t", "x"),
    *("YS5iaW4=", "gICA", "sha-256", "sha1", "sha256", "attachment", "utf-8''%41", "idna''%ff"),
    *("filename*=", "filename*0=", "filename*1*=", "9" * 16, "?0", "?1", "0", "5", "-1", "\xff"),
    *("00112233-4455-6677-8899-aabbccddeeff", "files", "..", "partial", "1.0.0", "POST", "final;"),
]
values = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(
    st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60
)


@given(values)
@example("a " * 5000)
def test_metadata(value):
    try:
        metadata = parse_metadata(value)
    except (BadRequest, HeadersTooLarge):
        return
    assert all(isinstance(each, str) for pair in metadata.items() for each in pair)
    assert sum(map(len, [*metadata, *metadata.values()])) <= len(value)


@given(values)
def test_checksum(value):
    try:
        assert isinstance(parse_checksum(value), Digest)
    except (BadRequest, UnsupportedChecksum):
        return


@given(values)
@example("sha-256=:AAA:")
def test_digests(value):
    try:
        digests = parse_digests(value)
    except BadRequest:
        return
    assert all(isinstance(digest, Digest) for digest in digests.values())
    # What we answer, we understand.
    assert parse_digests(", ".join(digest.header() for digest in digests.values())) == digests


@given(values)
@example("attachment; filename*=a; filename*0=b")
@example("attachment; filename*" + "1" * 4001 + "=b")
@example("attachment; filename*=idna''%ff")
@example("attachment; filename*=a\0b''%ff")
def test_filename(value):
    try:
        name = parse_filename(value)
    except (BadRequest, HeadersTooLarge):
        return
    assert isinstance(name, str)
    assert len(name) <= len(value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("attachment; filename=a.bin", "a.bin"),
        ('attachment; filename="a; b.bin"', "a; b.bin"),
        ("attachment; filename=x; filename*=UTF-8''%C3%A9.bin", "é.bin"),
        ("inline", ""),
        ("", ""),
    ],
)
def test_right_filenames(value, name):
    assert parse_filename(value) == name


@given(values)
def test_address(path):
    try:
        address = Address.of({"path": f"/uploads/{path}", "path_remaining": path})
        address = address.of_slot(["files"])
    except UnknownSlot:
        return
    assert address.slot == "files"
    if address.ref:
        assert address.beside(f"/uploads/files/{address.ref}").ref == address.ref


NAMES = [
    *("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Concat"),
    *("Upload-Defer-Length", "Upload-Checksum", "Upload-Complete", "Upload-Draft-Interop-Version"),
    *("Content-Length", "Content-Type", "Content-Disposition", "Content-Digest", "Repr-Digest"),
    *("X-HTTP-Method-Override", "Accept-Language", "Cookie", "Origin", "Referer", "Host", "Range"),
    *("X-Forwarded-Host", "X-CSRFToken", "Authorization", "Transfer-Encoding"),
]
headers = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=8)


class Endpoint(UploadMixin, UploadEndpoint):
    async def mount(self):
        self.allow_upload("files", max_file_size=1000, sink=MemorySink())


async def ask(headers, method="POST", path="files/", query=b""):
    """Return the status that an endpoint answers."""
    scope = {
        "type": "http",
        "method": method,
        "path": f"/uploads/{path}",
        "path_remaining": path,
        "query_string": query,
        "headers": [(b"host", b"testserver"), *raw(headers)],
        "client": ("10.0.0.1", 5),
        "server": ("testserver", 80),
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"12345"}

    async def send(message):
        sent.append(message)

    with override_settings(DJUST_UPLOADS={"QUOTAS": None}):
        await Endpoint.as_asgi()(scope, receive, send)
    return sent[0]["status"]


def raw(headers):
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


@pytest.fixture(autouse=True)
def parking(monkeypatch):
    """What a test leaves unfinished, goes with it."""
    monkeypatch.setattr(process, "parking", Parking())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers,
    st.sampled_from(["POST", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS"]),
    values,
    st.binary(max_size=5),
)
@example([("Content-Type", "a/b; x*=foo''%41")], "POST", "files/", b"")
@example([("Content-Disposition", "a; filename*=a; filename*0=b")], "POST", "files/", b"")
@example([], "POST", "files/", b"\xff")
async def test_no_request_is_the_server_s_mistake(caplog, headers, method, path, query):
    status = await ask(headers, method, path, query)
    assert status < 500, caplog.text


LONG = 256 * 1024

#: The values for which somebody's parser has needed a time that grows with the square of them.
HOSTILE = [
    'attachment; filename="' + ";" * LONG,
    "a;" * LONG,
    "sha-256=:" + "A" * LONG,
    "sha-256=:AA==:," * (LONG // 16),
    "a " * LONG,
    " " * LONG,
    "final;" + "/uploads/files/x " * (LONG // 16),
    "," * LONG,
    "9" * LONG,
    "=" * LONG,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:12])
async def test_long_headers_take_little_time(value):
    """All at once, and one header again and again."""
    before = time.process_time()
    for name in ("Content-Type", "Content-Disposition", "Content-Digest", "Upload-Metadata"):
        assert await ask([(name, value), ("Content-Length", "5")]) < 500
    assert await ask([("Tus-Resumable", "1.0.0"), ("Upload-Concat", value)]) == 400
    assert time.process_time() - before < 1


def test_many_headers_take_little_time():
    before = time.process_time()
    request = Request({"headers": [(b"te", b"x")] * 100_000, "method": "POST"}, None)
    assert len(request.header("te")) == 299_998
    assert time.process_time() - before < 2
