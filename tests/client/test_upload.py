"""What the client makes of answers that no real server gives on request."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from djust_uploads import client as package
from djust_uploads.client import (
    ClientError,
    DigestMismatch,
    FileChanged,
    InvalidAnswer,
    NotAuthorized,
    Refused,
    ServerFailed,
    TakenOver,
    TooLarge,
    Unreachable,
    UploadGone,
    errors,
    upload,
)
from tests.support.fake_tus import URL, FakeTus, repr_digest
from tests.support.servers import ROOT

DATA = os.urandom(3_000_000)

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def fake():
    return FakeTus()


@pytest.fixture
def send(fake, path, state):
    """Upload the file to the fake."""

    async def send(url=URL, **options):
        async with fake.client() as client:
            return await upload(url, path, client=client, state_directory=state, **options)

    return send


def problem(status, **members):
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, json=members, headers=headers)


# What is tried again


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
        *(httpx.Response(status) for status in (408, 409, 423, 425, 429, 500, 502, 503, 504)),
    ],
    ids=lambda fault: str(getattr(fault, "status_code", fault)),
)
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH"])
async def test_what_may_pass_is_tried_again(fake, send, method, fault):
    fake.fail(method, 0, fault)
    if method == "HEAD":
        # It asks for the offset after a failure only.
        fake.fail("PATCH", 0, httpx.ReadError("cut"))
    await send()
    assert fake.data == DATA


async def test_it_gives_up_after_so_many_attempts_without_a_byte(fake, send):
    for number in range(10):
        fake.fail("PATCH", number, httpx.Response(503))
    with pytest.raises(ServerFailed):
        await send(retries=3)
    assert fake.methods().count("PATCH") == 4


async def test_who_gets_on_may_fail_again(fake, send):
    for number in range(1, 40, 2):
        fake.fail("PATCH", number, httpx.ReadError("cut"))
    await send(retries=1, chunk_size=200_000)
    assert fake.data == DATA


async def test_no_server_is_an_error(fake, send):
    for number in range(3):
        fake.fail("POST", number, httpx.ConnectError("refused"))
    with pytest.raises(Unreachable) as raised:
        await send(retries=2)
    assert isinstance(raised.value.__cause__, httpx.ConnectError)
    assert fake.methods() == ["POST"] * 3


async def test_a_wrong_certificate_is_not_tried_again(fake, send):
    fault = httpx.ConnectError("verify failed")
    fault.__cause__ = ssl.SSLCertVerificationError("self-signed")
    fake.fail("POST", 0, fault)
    with pytest.raises(Unreachable):
        await send()
    assert fake.methods() == ["POST"]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_the_server_says_how_long_to_wait(fake, send, monkeypatch, form):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("djust_uploads.client.uploading.asyncio.sleep", sleep)
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    headers = {"Retry-After": "20" if form == "seconds" else later}
    fake.fail("PATCH", 0, httpx.Response(503, headers=headers))
    await send()
    assert len(pauses) == 1
    assert 18 <= pauses[0] <= 20


# What is not


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, NotAuthorized),
        (403, NotAuthorized),
        (404, InvalidAnswer),
        (405, InvalidAnswer),
        (410, InvalidAnswer),
        (412, Refused),
        (413, TooLarge),
        (415, Refused),
        (422, Refused),
        (200, InvalidAnswer),
        (302, InvalidAnswer),
        (501, InvalidAnswer),
    ],
)
async def test_a_refusal_is_an_error_at_once(fake, send, status, kind):
    fake.fail("POST", 0, httpx.Response(status))
    with pytest.raises(ClientError) as raised:
        await send()
    assert type(raised.value) is kind
    assert fake.methods() == ["POST"]


@pytest.mark.parametrize("status", [404, 410])
async def test_an_upload_that_is_gone(fake, send, status):
    fake.fail("PATCH", 0, httpx.Response(status))
    with pytest.raises(UploadGone):
        await send()


async def test_the_server_s_sentence_and_code_are_told(fake, send, state):
    answer = problem(415, detail="Films only, please.", code="type_not_accepted")
    fake.fail("PATCH", 0, answer)
    with pytest.raises(Refused) as raised:
        await send()
    assert raised.value.message == "Films only, please."
    assert raised.value.server_code == "type_not_accepted"
    assert raised.value.status == 415
    assert list(state.iterdir()) == [], "what was refused does not go on"


@pytest.mark.parametrize("body", ["not JSON", "[]", '"text"'])
async def test_a_problem_that_is_none(fake, send, body):
    headers = {"Content-Type": "application/problem+json"}
    fake.fail("POST", 0, httpx.Response(400, text=body, headers=headers))
    with pytest.raises(Refused) as raised:
        await send()
    assert raised.value.message == Refused.message


async def test_who_was_taken_over_does_not_fight(fake, send):
    fake.fail("PATCH", 0, problem(409, code="locked"))
    with pytest.raises(TakenOver):
        await send()
    assert fake.methods() == ["POST", "PATCH"]


@pytest.mark.parametrize(
    "url", ["example.com/uploads/", "ftp://example.com/", "http://a:b/", "http:///"]
)
async def test_what_is_no_url(path, state, url):
    with pytest.raises(InvalidAnswer) as raised:
        await upload(url, path, state_directory=state)
    assert raised.value.message == f"{url} is no URL."


async def test_a_creation_without_a_location(fake, send):
    fake.fail("POST", 0, httpx.Response(201))
    with pytest.raises(InvalidAnswer, match="without Location"):
        await send()


@pytest.mark.parametrize("location", ["http://a:b/", "mailto:a@b.example"])
async def test_a_location_that_leads_nowhere(fake, send, location):
    fake.location = location
    with pytest.raises(InvalidAnswer):
        await send()


@pytest.mark.parametrize("offset", [None, "", "-1", "x", str(len(DATA) + 1)])
async def test_an_offset_that_can_t_be(fake, send, offset):
    headers = {} if offset is None else {"Upload-Offset": offset}
    fake.fail("PATCH", 0, httpx.Response(204, headers=headers))
    with pytest.raises(InvalidAnswer, match="Upload-Offset"):
        await send()


async def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        await upload(URL, tmp_path / "none.bin")


# Digests


async def test_the_digest_of_the_whole_is_compared(fake, send):
    fake.headers = {"Repr-Digest": repr_digest(DATA)}
    assert (await send()).verified


async def test_it_is_compared_after_the_upload_went_on_in_the_middle(fake, send, path):
    path.write_bytes(DATA)
    fake.headers = {"Repr-Digest": f"sha-512=:abc=:, {repr_digest(DATA)}"}
    with pytest.raises(RuntimeError):
        await send(progress=stop_in_the_middle, chunk_size=500_000)
    assert 0 < len(fake.data) < len(DATA)
    assert (await send()).verified
    assert fake.data == DATA


def stop_in_the_middle(sent, size):
    if sent >= size // 2:
        raise RuntimeError("stopped")


async def test_another_digest_is_an_error_and_the_upload_is_terminated(fake, send, state):
    fake.headers = {"Repr-Digest": repr_digest(b"other bytes")}
    with pytest.raises(DigestMismatch):
        await send()
    assert fake.methods()[-1] == "DELETE"
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("digest", ["", "sha-256=:***:", "md5=:abc=:"])
async def test_without_a_digest_nothing_is_verified(fake, send, digest):
    fake.headers = {"Repr-Digest": digest} if digest else {}
    assert not (await send()).verified


async def test_checksums_go_with_each_request(fake, send):
    await send(checksums=True, chunk_size=1_000_000)
    assert fake.data == DATA
    patches = [request for request in fake.requests if request.method == "PATCH"]
    assert [p.headers["Upload-Checksum"].split()[0] for p in patches] == ["sha1"] * 3


async def test_a_piece_that_was_spoiled_is_sent_again(fake, send):
    spoiled = []

    def spoil(data):
        if len(spoiled) < 2:
            spoiled.append(data)
            return b"x" + data[1:]
        return data

    fake.spoil = spoil
    await send(checksums=True, chunk_size=1_000_000)
    assert fake.data == DATA
    assert fake.methods().count("PATCH") == 5


async def test_a_server_without_checksums(fake, send):
    fake.fail("OPTIONS", 0, httpx.Response(204))
    with pytest.raises(InvalidAnswer) as raised:
        await send(checksums=True)
    assert raised.value.message == "The server checks no checksums."


# The file


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written"])
async def test_a_file_that_changes(fake, send, path, state, change):
    def write(sent, size):
        if sent != 1_000_000:
            return
        if change == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "shrinks":
            with path.open("r+b") as file:
                file.truncate(1_500_000)
        else:
            with path.open("r+b") as file:
                file.write(b"other")

    with pytest.raises(FileChanged):
        await send(progress=write, chunk_size=1_000_000)
    assert fake.methods()[-1] == "DELETE"
    assert list(state.iterdir()) == []


# Headers


async def test_headers_are_renewed(fake, send):
    tokens = iter(["old", "old", "new", "new", "new"])

    async def headers():
        return {"Authorization": f"Bearer {next(tokens)}"}

    fake.fail("PATCH", 0, httpx.Response(401))
    await send(headers=headers)
    assert fake.data == DATA
    sent = [(r.method, r.headers["Authorization"]) for r in fake.requests]
    assert sent == [
        ("POST", "Bearer old"),
        ("PATCH", "Bearer old"),
        ("HEAD", "Bearer new"),
        ("PATCH", "Bearer new"),
    ]


async def test_credentials_that_stay_wrong(fake, send):
    for number in range(3):
        fake.fail("POST", number, httpx.Response(401))
    with pytest.raises(NotAuthorized):
        await send(headers=lambda: {"Authorization": "Bearer wrong"})
    assert fake.methods() == ["POST", "POST"]


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials_do_not_lose_the_upload(fake, send, state, status):
    with pytest.raises(RuntimeError):
        await send(progress=stop_in_the_middle, chunk_size=500_000)
    before = len(fake.data)
    for method in ("HEAD", "POST"):
        fake.fail(method, fake.methods().count(method), httpx.Response(status))
    with pytest.raises(NotAuthorized):
        await send()
    seen = []
    await send(progress=lambda sent, size: seen.append(sent))
    assert seen[0] == before
    assert fake.data == DATA


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("1", True),
        ("/elsewhere/1", True),
        ("https://upload.example/1", True),
        ("http://upload.example/1", False),
        ("https://other.example/1", False),
        ("https://upload.example:8443/1", False),
    ],
)
async def test_credentials_stay_at_their_origin(fake, send, location, told):
    fake.location = location
    await send(headers={"Authorization": "Bearer secret"})
    [patch] = [request for request in fake.requests if request.method == "PATCH"]
    assert ("Authorization" in patch.headers) == told


# Limits


async def test_the_server_says_how_much_a_request_may_carry(fake, send):
    fake.headers = {"Upload-Limit": "max-size=1000000000, max-append-size=1000000"}
    await send()
    assert fake.data == DATA
    assert fake.methods() == ["POST", *["PATCH"] * 3]


async def test_a_limit_of_nothing_is_none(fake, send):
    fake.headers = {"Upload-Limit": "max-append-size=0"}
    await send()
    assert fake.data == DATA


# Records


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": 1, "url": "http://evil.example/"}']
)
async def test_a_damaged_record_is_no_record(fake, send, state, content):
    with pytest.raises(RuntimeError):
        await send(progress=stop_in_the_middle)
    [record] = state.iterdir()
    record.write_bytes(content)
    await send()
    assert fake.data == DATA
    assert fake.methods().count("POST") == 2


async def test_old_records_are_thrown_away(fake, send, state):
    state.mkdir(parents=True)
    (state / "old.json").write_text("{}")
    os.utime(state / "old.json", (0, 0))
    (state / "young.json").write_text("{}")
    await send()
    assert [path.name for path in state.iterdir()] == ["young.json"]


# Errors


def tree(cls, depth=0):
    lines = [(depth, cls.__name__, cls.code)]
    for subclass in cls.__subclasses__():
        lines += tree(subclass, depth + 1)
    return lines


def test_the_tree_in_the_docstring_is_the_real_one():
    found = re.findall(r"^    (\S?[│├└─ ]*)([A-Z]\w+) +([a-z_]+)", errors.__doc__, re.M)
    assert [(len(lead) // 4, name, code) for lead, name, code in found] == tree(ClientError)


def test_every_error_is_public_and_has_a_sentence():
    for _depth, name, _code in tree(ClientError):
        assert name in package.__all__
        message = getattr(package, name).message
        assert message[0].isupper()
        assert message.endswith(".")


def test_without_httpx_it_says_what_to_install():
    code = "import sys; sys.modules['httpx'] = None; import djust_uploads.client"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "pip install 'djust-uploads[client]'" in done.stderr


def test_it_needs_no_settings():
    code = "import djust_uploads.client, sys; print('django.conf' in sys.modules)"
    environ = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
