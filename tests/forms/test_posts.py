"""Forms that come as ordinary multipart POSTs, without JavaScript, in this process."""

from __future__ import annotations

import io
import mimetypes
import random
import re
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from djust_uploads.doors.forms.handler import BoundedFile
from tests.models import Document, Picture

DATA = random.Random(13).randbytes(512_000)


def file(name="film.bin", content=DATA):
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return SimpleUploadedFile(name, content, content_type)


def png(name="a.png", size=(6, 4)):
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, "PNG")
    return file(name, content.getvalue())


def receipts(html, name="file"):
    return re.findall(rf'type="hidden" name="{name}" value="([^"]+)"', html)


def errors(html):
    return re.findall(r'<ul class="errorlist"[^>]*>(.*?)</ul>', html, re.S)


def left(site):
    """The files in the temporary directory, when those that nobody refers to are gone."""
    for _ in range(100):
        found = sorted(path.name for path in site.uploads.iterdir())
        if not found:
            break
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("path", ["/documents/", "/stock/documents/"])
class TestOursAsTheStockForm:
    """The same rows, bytes and error texts."""

    def test_create_edit_clear(self, site, path):
        answer = site.post(path, {"title": "a", "file": file()})
        assert answer.status_code == 302, answer.content
        document = Document.objects.get()
        assert document.file.name == "documents/film.bin"
        assert document.file.read() == DATA
        document.file.close()
        assert left(site) == []
        where = f"{path}{document.pk}/"
        shown = site.get(where).content.decode()
        assert 'href="/media/documents/film.bin"' in shown and 'name="file-clear"' in shown

        site.post(where, {"title": "a"})
        assert Document.objects.get().file.name == "documents/film.bin"

        site.post(where, {"title": "a", "file": file("other.bin", b"other")})
        document = Document.objects.get()
        assert document.file.name == "documents/other.bin"
        assert document.file.read() == b"other"
        document.file.close()

        contradiction = site.post(where, {"title": "a", "file": file(), "file-clear": "on"})
        assert errors(contradiction.content.decode()) == [
            "<li>Please either submit a file or check the clear checkbox, not both.</li>"
        ]
        site.post(where, {"title": "a", "file-clear": "on"})
        assert Document.objects.get().file.name == ""

    def test_without_a_file(self, site, path):
        assert site.post(path, {"title": "a"}).status_code == 302
        assert Document.objects.get().file.name == ""

    def test_empty_file(self, site, path):
        answer = site.post(path, {"title": "a", "file": file("empty.bin", b"")})
        assert errors(answer.content.decode()) == ["<li>The submitted file is empty.</li>"]

    def test_long_name(self, site, path):
        name = "a" * 200 + ".bin"
        assert site.post(path, {"title": "a", "file": file(name)}).status_code == 302
        assert len(Document.objects.get().file.name) <= 100

    def test_no_multipart(self, site, path):
        data = b"title=a&file=film.bin"
        answer = site.post(path, data, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in (200, 302)


@pytest.mark.parametrize("path", ["/pictures/", "/stock/pictures/"])
class TestImages:
    def test_create(self, site, path):
        assert site.post(path, {"image": png()}).status_code == 302
        picture = Picture.objects.get()
        assert (picture.width, picture.height) == (6, 4)
        assert picture.image.name == "pictures/a.png"
        picture.image.close()

    @pytest.mark.parametrize(
        ("name", "content", "text"),
        [
            ("a.png", b"no image", "Upload a valid image. The file you uploaded was either not"),
            ("a.txt", b"no image", "Upload a valid image. The file you uploaded was either not"),
            ("a.png", b"<html><script>", "Upload a valid image."),
            ("a.png", b"", "The submitted file is empty."),
        ],
    )
    def test_no_image(self, site, path, name, content, text):
        answer = site.post(path, {"image": file(name, content)})
        [error] = errors(answer.content.decode())
        assert error.startswith(f"<li>{text}")
        assert left(site) == []

    def test_required(self, site, path):
        answer = site.post(path, {})
        assert errors(answer.content.decode()) == ["<li>This field is required.</li>"]


class TestAnInvalidForm:
    """It comes back with its files, which need not be sent again."""

    def invalid(self, site, path="/documents/", **data):
        answer = site.post(path, {"title": "much too long", **data})
        assert answer.status_code == 200
        html = answer.content.decode()
        assert "Ensure this value has at most 10 characters" in html
        return html

    def test_and_back(self, site):
        html = self.invalid(site, file=file())
        assert "film.bin" in html and "500.0" in html.replace("\xa0", " ")
        [receipt] = receipts(html)
        assert not Document.objects.exists()
        # It may be wrong a second time.
        assert receipts(self.invalid(site, file=receipt)) == [receipt]
        answer = site.post("/documents/", {"title": "a", "file": receipt})
        assert answer.status_code == 302
        document = Document.objects.get()
        assert (document.file.name, document.file.read()) == ("documents/film.bin", DATA)
        document.file.close()
        assert left(site) == []

    def test_removed(self, site):
        [receipt] = receipts(self.invalid(site, file=file()))
        data = {"title": "a", "file": receipt, "file-remove": receipt}
        assert site.post("/documents/", data).status_code == 302
        assert Document.objects.get().file.name == ""
        assert left(site) == []

    def test_replaced_by_another_file(self, site):
        [receipt] = receipts(self.invalid(site, file=file()))
        site.post("/documents/", {"title": "a", "file": [receipt, file("new.bin", b"new")]})
        document = Document.objects.get()
        assert (document.file.name, document.file.read()) == ("documents/new.bin", b"new")
        document.file.close()
        assert left(site) == []

    def test_clear_and_a_receipt_is_a_contradiction(self, site):
        document = Document.objects.create(file="documents/old.bin")
        [receipt] = receipts(self.invalid(site, f"/documents/{document.pk}/", file=file()))
        data = {"title": "a", "file": receipt, "file-clear": "on"}
        html = site.post(f"/documents/{document.pk}/", data).content.decode()
        assert "not both" in errors(html)[0]
        assert receipts(html) == [receipt]

    def test_of_two_forms_the_valid_one_keeps_its_file(self, site):
        data = {"title": "a", "file": file(), "other-title": "much too long"}
        data["other-photos"] = [file("one.bin"), file("two.bin")]
        html = site.post("/two/", {**data, "other-photos-clear": "x", "title": ""}).content.decode()
        [receipt] = receipts(html)
        assert len(receipts(html, "other-photos")) == 2
        # Now the first form is valid, and the second one has too many files.
        many = [file(f"{number}.bin") for number in range(4)]
        html = site.post("/two/", {"title": "a", "file": receipt, "other-photos": many})
        html = html.content.decode()
        assert errors(html) == ["<li>Too many files. Remove one before you add another.</li>"]
        assert receipts(html) == [receipt]
        data = {"title": "a", "file": receipt, "other-photos": receipts(html, "other-photos")[:3]}
        assert site.post("/two/", data).status_code == 302
        assert Document.objects.get().file.name == "documents/film.bin"

    def test_nobody_else_gets_it(self, site):
        [receipt] = receipts(self.invalid(site, file=file()))
        site.post("/documents/", {"title": "a", "file": receipt})
        html = site.post("/documents/", {"title": "a", "file": receipt}).content.decode()
        assert "used already" in errors(html)[0]
        assert receipts(html) == []


class TestReceiptsThatAreNoGood:
    def refused(self, site, receipt, path="/photos/", name="photos"):
        answer = site.post(path, {"title": "a", name: receipt})
        assert answer.status_code == 200
        html = answer.content.decode()
        assert receipts(html, name) == []
        [error] = errors(html)
        return error

    def waiting(self, site):
        answer = site.post("/photos/", {"title": "much too long", "photos": file("a.txt", b"a")})
        [receipt] = receipts(answer.content.decode(), "photos")
        return receipt

    def test_forged(self, site):
        receipt = self.waiting(site)
        assert "not found" in self.refused(site, receipt[:-3] + "abc")
        assert "not found" in self.refused(site, "nonsense")

    def test_replayed(self, site):
        receipt = self.waiting(site)
        assert site.post("/photos/", {"title": "a", "photos": receipt}).json()["saved"]
        assert "used already" in self.refused(site, receipt)

    def test_expired(self, site, monkeypatch):
        receipt = self.waiting(site)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 100_000)
        assert "expired" in self.refused(site, receipt)

    def test_of_another_form(self, site):
        assert "not found" in self.refused(site, self.waiting(site), "/other/")

    def test_twice_in_one_form(self, site):
        receipt = self.waiting(site)
        data = {"title": "", "file": "", "other-photos": receipt}
        assert "not found" in errors(site.post("/two/", data).content.decode())[-1]

    def test_of_another_session(self, site):
        session = site.session
        session["a"] = 1
        session.save()
        receipt = self.waiting(site)
        other = Client()
        session = other.session
        session["a"] = 2
        session.save()
        assert "not found" in self.refused(other, receipt)
        assert "not found" in self.refused(Client(), receipt)
        assert site.post("/photos/", {"title": "a", "photos": receipt}).json()["saved"]


class TestSeveralFiles:
    def test_kept_new_and_removed(self, site):
        two = [file("a.txt", b"a"), file("b.txt", b"b")]
        html = site.post("/photos/", {"title": "much too long", "photos": two}).content.decode()
        a, b = receipts(html, "photos")
        data = {"title": "a", "photos": [a, b, file("c.txt", b"c")], "photos-remove": a}
        saved = site.post("/photos/", data).json()["saved"]
        assert [(name, size) for name, _, size in saved] == [("b.txt", 1), ("c.txt", 1)]
        assert (site.media / saved[0][1]).read_bytes() == b"b"
        assert left(site) == []

    def test_one_receipt_twice_is_one_file(self, site):
        html = site.post("/photos/", {"title": "much too long", "photos": file("a.txt", b"a")})
        [receipt] = receipts(html.content.decode(), "photos")
        saved = site.post("/photos/", {"title": "a", "photos": [receipt, receipt]}).json()["saved"]
        assert [name for name, *_ in saved] == ["a.txt"]

    def test_one_is_refused_and_the_others_stay(self, site):
        files = [file("a.txt", b"a"), file("b.exe", b"MZ"), file("big.txt", b"x" * 1_500_000)]
        html = site.post("/photos/", {"title": "a", "photos": files}).content.decode()
        assert len(receipts(html, "photos")) == 1
        [error] = errors(html)
        assert "Files of this type are not accepted here. Accepted: .txt,.png." in error
        assert "The file is too large: at most 1 MB are accepted." in error

    def test_too_many(self, site):
        files = [file(f"{number}.txt", b"a") for number in range(4)]
        html = site.post("/photos/", {"title": "a", "photos": files}).content.decode()
        assert "Too many files" in errors(html)[0]

    def test_the_view_raises(self, site):
        site.raise_request_exception = False
        html = site.post("/photos/", {"title": "much too long", "photos": file("a.txt", b"a")})
        [receipt] = receipts(html.content.decode(), "photos")
        assert site.post("/photos/", {"title": "raise", "photos": receipt}).status_code == 500
        # The user goes back and tries again.
        assert site.post("/photos/", {"title": "a", "photos": receipt}).json()["saved"]


def test_a_file_is_not_kept_beyond_its_limit(site):
    """The handler knows the field by its slot, which is in the page before the file."""
    html = site.get("/photos/").content.decode()
    [slot] = receipts(html, "photos-slot")
    data = {"title": "a", "photos-slot": slot, "photos": file("big.txt", b"x" * 2_000_000)}
    answer = site.post("/photos/", data)
    assert "at most 1 MB" in errors(answer.content.decode())[0]
    data = {"title": "a", "photos-slot": slot, "photos": [file("a.txt", b"y" * 90_000)]}
    saved = site.post("/photos/", data).json()["saved"]
    assert (site.media / saved[0][1]).read_bytes() == b"y" * 90_000
    assert left(site) == []
    assert answer.wsgi_request.FILES["photos"].size == 2_000_000


def test_the_first_bytes_of_a_file_beyond_its_limit():
    with BoundedFile("a.txt", "text/plain", 10) as bounded:
        for _ in range(4):
            bounded.take(b"1234")
        bounded.complete(16)
        assert (bounded.size, bounded.read()) == (16, b"12341234")


def test_a_rolled_back_transaction_leaves_the_upload_and_no_copy(site):
    html = site.post("/documents/", {"title": "much too long", "file": file()}).content.decode()
    [receipt] = receipts(html)
    site.post("/rolled-back/", {"title": "a", "file": receipt})
    assert not Document.objects.exists()
    assert not list(site.media.rglob("*.bin"))
    assert site.post("/documents/", {"title": "a", "file": receipt}).status_code == 302
    document = Document.objects.get()
    assert document.file.read() == DATA
    document.file.close()
    assert left(site) == []
