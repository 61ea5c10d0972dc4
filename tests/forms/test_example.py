"""``examples/forms``: members with pictures and attachments."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import httpx
import pytest
from PIL import Image

from tests.forms.test_server import field_url, followed, hidden, upload
from tests.support.servers import ROOT, serve

EXAMPLE = ROOT / "examples" / "forms"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    base = tmp_path_factory.mktemp("example")
    uploads = base / "uploads"
    uploads.mkdir()
    environ = {"STATE_DIRECTORY": str(base / "state"), "MEDIA_DIRECTORY": str(base / "media")}
    environ["UPLOAD_DIRECTORY"] = str(uploads)
    for command in (["migrate", "-v0"], ["makemigrations", "--check", "-v0"], ["check"]):
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=EXAMPLE,
            env={**os.environ, **environ, "DJANGO_SETTINGS_MODULE": "site_forms.settings"},
            check=True,
        )
    del environ["UPLOAD_DIRECTORY"]
    with serve("site_forms.asgi:application", uploads, cwd=EXAMPLE, **environ) as server:
        server.media = base / "media"
        yield server


def test_a_member_with_a_picture_and_attachments(example):
    picture = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(picture, "PNG")
    with httpx.Client(base_url=example.http(""), timeout=60) as browser:
        browser.headers["Origin"] = example.http("")
        page = browser.get("/members/add/").text
        data = {
            "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken")[0],
            "name": "Ann",
            "avatar": upload(browser, field_url(page, 0), picture.getvalue(), "ann.png"),
            "attachments-TOTAL_FORMS": "2",
            "attachments-INITIAL_FORMS": "0",
            "attachments-0-file": upload(browser, field_url(page, 1), b"a film" * 1000, "a.bin"),
        }
        answer = browser.post("/members/add/", data=data, files={"none": ("", b"")})
        assert answer.status_code == 302, answer.text
        assert "Ann" in browser.get(followed(answer)).text
    media = example.media
    pictures = sorted(path.name for path in media.glob("avatars/*"))
    assert pictures == ["ann.png", "ann.png.thumbnail.png"]
    # The attachment is where the sink has stored it, and its mark is gone.
    [attachment] = media.glob("members/*/*/*-a.bin")
    assert attachment.read_bytes() == b"a film" * 1000
    assert list(media.glob("unconsumed-uploads/*")) == []
    assert example.temporary_files() == []
