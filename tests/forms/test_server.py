"""Forms of a real server: files go ahead of the POST over HTTP, and the POST carries receipts."""

from __future__ import annotations

import html
import random
import re

import httpx
import pytest

from tests.support.http import metadata
from tests.support.servers import serve

DATA = random.Random(1).randbytes(3_000_000)
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("forms") / "uploads"
    with serve("tests.sites.forms:application", uploads) as server:
        yield server


@pytest.fixture
def browser(server):
    with httpx.Client(base_url=server.http(""), timeout=60) as client:
        client.headers["Origin"] = server.http("")
        yield client


def hidden(page, name):
    found = re.findall(rf'type="hidden" name="{name}" value="([^"]+)"', page)
    return [html.unescape(value) for value in found]


def field_url(page, number=0):
    return html.unescape(re.findall(r'data-upload-url="([^"]+)"', page)[number])


def post(browser, path, data, files=None):
    page = browser.get(path).text
    data = {"csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken")[:1], **data}
    return browser.post(path, data=data, files=files or {"none": ("", b"")})


def followed(answer):
    """Where a redirect leads."""
    return str(answer.url.join(answer.headers["location"]))


def upload(browser, url, data=DATA, name="film.bin"):
    length = {"Upload-Length": str(len(data))}
    created = browser.post(url, headers={**TUS, **length, **metadata(name=name)})
    assert created.status_code == 201, created.text
    where = created.headers["location"]
    answer = browser.patch(where, headers={**TUS, "Upload-Offset": "0"}, content=data)
    assert answer.status_code == 204, answer.text
    return answer.headers["upload-receipt"]


def login(browser):
    data = {"username": "admin", "password": "admin"}
    assert post(browser, "/admin/login/", data).status_code == 302


@pytest.mark.parametrize("user", ["nobody", "admin"])
def test_ahead_of_the_post(browser, server, user):
    if user == "admin":
        login(browser)
    url = field_url(browser.get("/documents/").text)
    receipt = upload(browser, url)
    answer = post(browser, "/documents/", {"title": "much too long", "file": receipt})
    assert "at most 10 characters" in answer.text
    assert hidden(answer.text, "file") == [receipt]
    answer = post(browser, "/documents/", {"title": "a", "file": receipt})
    assert answer.status_code == 302, answer.text
    name = re.findall(r'href="/media/([^"]+)"', browser.get(followed(answer)).text)[0]
    assert browser.get(f"/media/{name}").content == DATA
    assert server.temporary_files() == []


def test_with_the_post(browser, server):
    files = {"file": ("film.bin", DATA, "application/octet-stream")}
    answer = post(browser, "/documents/", {"title": "a"}, files)
    assert answer.status_code == 302, answer.text
    answer = post(browser, "/documents/", {"title": "much too long"}, files)
    [receipt] = hidden(answer.text, "file")
    assert post(browser, "/documents/", {"title": "a", "file": receipt}).status_code == 302
    assert server.temporary_files() == []


def test_the_receipt_of_another_user(browser, server):
    login(browser)
    receipt = upload(browser, field_url(browser.get("/documents/").text))
    with httpx.Client(base_url=server.http(""), timeout=60) as other:
        answer = post(other, "/documents/", {"title": "a", "file": receipt})
        assert "was not found" in answer.text
    assert post(browser, "/documents/", {"title": "a", "file": receipt}).status_code == 302


def test_a_slot_that_we_did_not_sign(browser):
    url = "/uploads/tests.forms.site.DocumentForm.file:nonsense/"
    answer = browser.post(url, headers={**TUS, "Upload-Length": "1"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_slot")


def test_the_slot_judges_the_file(browser):
    url = field_url(browser.get("/photos/").text)
    for name, size, code in [
        ("a.exe", 3, "type_not_accepted"),
        ("a.txt", 2_000_000, "file_too_large"),
    ]:
        headers = {**TUS, "Upload-Length": str(size), **metadata(name=name)}
        assert browser.post(url, headers=headers).json()["code"] == code


def test_rows_of_a_formset(browser):
    answer = post(browser, "/documents/", {"title": "a"})
    rows = f"{followed(answer)}rows/"
    page = browser.get(rows).text
    url = field_url(page)
    receipts = [upload(browser, url, bytes([n]) * 9, f"{n}.bin") for n in range(2)]
    total = {"attachment_set-TOTAL_FORMS": "3", "attachment_set-INITIAL_FORMS": "0"}
    # A row was added by script, and the last row is empty.
    data = {
        **total,
        "attachment_set-0-name": "much too long",
        "attachment_set-0-file": receipts[0],
        "attachment_set-1-name": "b",
        "attachment_set-1-file": receipts[1],
    }
    answer = post(browser, rows, data)
    assert hidden(answer.text, "attachment_set-0-file") == receipts[:1]
    assert hidden(answer.text, "attachment_set-1-file") == receipts[1:]
    # The rows are numbered anew, because the first one was removed.
    data = {**total, "attachment_set-TOTAL_FORMS": "2", "attachment_set-0-name": "b"}
    answer = post(browser, rows, {**data, "attachment_set-0-file": receipts[1]})
    assert answer.status_code == 302, answer.text
    page = browser.get(rows).text
    assert re.findall(r"/media/attachments/(\w+)", page)[:1] == ["1"]
    # One receipt does not fill two rows.
    data = {**total, "attachment_set-0-file": receipts[0], "attachment_set-1-file": receipts[0]}
    assert "used already" in post(browser, rows, data).text


def test_the_admin(browser):
    login(browser)
    page = browser.get("/admin/tests/document/add/").text
    receipt = upload(browser, field_url(page))
    # Each field of each class has a slot of its own.
    inline = field_url(page, 1)
    attached = upload(browser, inline, b"attached", "a.bin")
    data = {
        "file": receipt,
        "attachment_set-TOTAL_FORMS": "1",
        "attachment_set-INITIAL_FORMS": "0",
        "attachment_set-0-file": attached,
    }
    answer = post(browser, "/admin/tests/document/add/", data)
    assert answer.status_code == 302, answer.text
    page = browser.get("/admin/tests/document/").text
    where = re.findall(r"/admin/tests/document/\d+/change/", page)[0]
    page = browser.get(where).text
    [film, other] = re.findall(r'href="(/media/[^"]+)"', page)
    assert browser.get(film).content == DATA
    assert browser.get(other).content == b"attached"
