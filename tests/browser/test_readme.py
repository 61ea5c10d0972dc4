"""What the README says works: a project is made by its commands and its code, and used."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import choose, open_page, rows, until
from tests.support.servers import ROOT, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

README = (ROOT / "README.md").read_text()

#: ``PYTHON_BIN`` names the directory of another Python's programs, for example those of a fresh
#: virtual environment in which the package was installed as the README says.
BIN = Path(os.environ.get("PYTHON_BIN", Path(sys.executable).parent))


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    return re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)


def code(text: str) -> Iterator[tuple[str, str]]:
    """Yield what each block of code is for, the paragraph before it, and the block."""
    yield from re.findall(r"([^\n](?:(?!\n\n).)*)\n\n```\w+\n(.*?)```", text, re.S)


class Project:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        self.environment = {**inherited, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        if "PYTHON_BIN" not in os.environ:
            # A wheel or a clone is installed; the tests run beside the package.
            self.environment["PYTHONPATH"] = str(ROOT)

    def run(self, command: str) -> None:
        if command.startswith("cd "):
            self.directory /= command.removeprefix("cd ")
            return
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def write(self, path: str, content: str, mode: str = "w") -> None:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open(mode) as output:
            output.write(content)

    @contextlib.contextmanager
    def serve(self, command: str) -> Iterator[str]:
        port = free_port()
        log = self.directory / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                f"exec {command} --port {port}",
                shell=True,
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                # --reload runs the server in a process of its own.
                start_new_session=True,
            )
        try:
            yield f"http://localhost:{port}"
        except Exception as exc:
            exc.add_note(log.read_text())
            raise
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


async def answers(address: str) -> None:
    def answered() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return True
        return False

    await until(answered, seconds=30)


async def upload_and_save(browser, address: str, project: Project, photos: list[Path]) -> None:
    await answers(address)
    page = await open_page(browser, address)
    await page.wait_for_selector("[dj-upload][multiple]")
    await choose(page, *photos)
    await rows(page, "complete", len(photos))
    await page.click("text=Save")
    for photo in photos:
        shown = await page.wait_for_selector(f"#gallery img[alt='{photo.name}']")
        await page.wait_for_function("image => image.naturalWidth > 0", arg=shown)
        stored = project.directory / "media" / "photos" / photo.name
        assert stored.read_bytes() == photo.read_bytes()
    await page.wait_for_selector("[data-upload-ref]", state="detached")
    # A new project has no icon, and the browser asks for one.
    assert [complaint for complaint in page.complaints if "404" not in complaint] == []
    await page.context.close()


async def test_the_first_page(browser, files, tmp_path):
    text = section("A first page")
    project = Project(tmp_path)
    *prepare, migrate, serve = commands(text)
    for command in prepare:
        project.run(command)
    written = []
    for paragraph, block in code(text):
        [path] = re.findall(r"`((?:mysite|gallery)/\S+\.(?:py|html))`", paragraph)
        project.write(path, block, mode="a" if path.endswith("settings.py") else "w")
        written.append(path)
    assert len(written) == 5
    project.run("python manage.py check")
    project.run(migrate)
    with project.serve(serve) as address:
        photos = [files / "photo0.png", files / "photo1.png"]
        await upload_and_save(browser, f"{address}/gallery/", project, photos)


DJUST_SETTINGS = """
INSTALLED_APPS += ["channels", "djust", "djust_uploads", "gallery"]
TEMPLATES.insert(0, {**TEMPLATES[0], "BACKEND": "djust.template_backend.DjustTemplateBackend"})
ASGI_APPLICATION = "mysite.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
LIVEVIEW_ALLOWED_MODULES = ["gallery.views"]
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"
"""

DJUST_PAGE = """
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Gallery</title>
  {assets}
</head>
<body>
  <div dj-root dj-view="gallery.views.GalleryView">
    <form dj-submit="save">
      <label>Photos <input type="file" dj-upload="photos"></label>
      <div dj-upload-progress="photos"></div>
      <button>Save</button>
    </form>
    <div id="gallery">
      {{% for photo in photos %}}
      <img src="{{{{ photo.url }}}}" alt="{{{{ photo.name }}}}">
      {{% endfor %}}
    </div>
  </div>
</body>
</html>
"""

DJUST_URLS = """
from django.conf import settings
from django.conf.urls.static import static
from django.urls import path
from gallery.views import GalleryView

urlpatterns = [
    path("gallery/", GalleryView.as_view()),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
"""

DJUST_ASGI = """
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django_application = get_asgi_application()

{websocket}
from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

application = ProtocolTypeRouter(
    {{"http": ASGIStaticFilesHandler(django_application), "websocket": websocket}}
)
"""


async def test_a_djust_project(browser, files, tmp_path):
    blocks = [block for _, block in code(section("In a djust project"))]
    [websocket] = [block for block in blocks if "DjustMiddlewareStack" in block]
    [assets] = [block for block in blocks if "upload_assets" in block]
    [view] = [block for block in blocks if "class GalleryView" in block]
    first_page = section("A first page")
    project = Project(tmp_path)
    *prepare, migrate, serve = commands(first_page)
    for command in prepare:
        project.run(command)
    project.write("mysite/settings.py", DJUST_SETTINGS, mode="a")
    project.write("mysite/urls.py", DJUST_URLS)
    project.write("mysite/asgi.py", DJUST_ASGI.format(websocket=websocket))
    project.write("gallery/views.py", view)
    project.write("gallery/templates/gallery.html", DJUST_PAGE.format(assets=assets))
    project.run(migrate)
    with project.serve(serve) as address:
        photos = [files / "photo0.png", files / "photo1.png"]
        await upload_and_save(browser, f"{address}/gallery/", project, photos)
