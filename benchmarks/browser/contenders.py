"""Who competes in the browser: a page and the server behind it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser

from benchmarks.contenders import Contender
from benchmarks.measures import MB, Work
from benchmarks.sites.pages import PEERS, ROOT, page
from tests.support.servers import Server, command, free_port

from .chromium import Tab
from .link import Link

#: Seconds until a server has deleted what was sent to it, before the next one has its turn.
SETTLING = 30.0


@dataclass(frozen=True)
class Page:
    """A page, and the server that takes its files. ``server`` says which command starts it."""

    name: str
    path: str
    application: str
    server: str = "uvicorn"
    #: Seconds of a round trip, and bytes a second; none for this machine's own network.
    round_trip: float = 0.0
    rate: float | None = None

    @contextlib.contextmanager
    def start(self, directory: Path) -> Iterator[RunningPage]:
        uploads = directory / "uploads"
        uploads.mkdir()
        port = free_port()
        arguments = _commands(self, port, uploads, directory)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "UPLOAD_DIRECTORY": str(uploads)}
        server = Server(arguments, port, uploads, environment, ROOT)
        with contextlib.ExitStack() as stack:
            stack.callback(server.terminate)
            server.start()
            seen_at = port
            if self.rate:
                link = Link(port, delay=self.round_trip / 2, rate=self.rate)
                seen_at = stack.enter_context(link)
            yield RunningPage(self, server, f"http://127.0.0.1:{seen_at}{self.path}", directory)


def _commands(page_: Page, port: int, uploads: Path, directory: Path) -> list[str]:
    if page_.server == "gunicorn":
        options = ["-b", f"127.0.0.1:{port}", "--workers", "2", "--timeout", "600"]
        return [sys.executable, "-m", "gunicorn", *options, page_.application]
    if page_.server == "node":
        html = directory / "page.html"
        html.write_bytes(page("tus"))
        arguments = [PEERS, port, uploads, html, ROOT / "benchmarks" / "browser" / "pages"]
        program = shutil.which("node") or "node"
        return [program, str(ROOT / page_.application), *map(str, arguments)]
    return command(page_.server, page_.application, port)


@dataclass(frozen=True)
class RunningPage:
    """A page's server that is up. Every run has a tab of its own."""

    page: Page
    server: Server
    url: str
    directory: Path

    def run(self, work: Work) -> dict[str, Any]:
        files = self._files(work)
        tab = Tab(browser(), self.url)
        cpu = self._cpu()
        try:
            measured = tab.upload(files)
        except Exception as exc:
            raise RuntimeError(f"{self.page.name}: {self.server.log.read_text()[-3000:]}") from exc
        finally:
            tab.close()
        memory = self._memory()
        measured |= {"cpu": self._cpu() - cpu, "peak": memory, "memory": memory, "lag": None}
        self._settle()
        return measured

    def _files(self, work: Work) -> Sequence[Path]:
        """Files of these sizes. They stay, so that all rounds find them in the page cache."""
        directory = self.directory.parent / f"files-{work.uploads}-{work.size}"
        if not directory.exists():
            directory.mkdir()
            block = os.urandom(MB)
            for number in range(work.uploads):
                with (directory / f"{number:05}.bin").open("wb") as file:
                    size = work.size // work.uploads
                    for start in range(0, size, MB):
                        file.write(block[: size - start])
        return sorted(directory.iterdir())

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.server.process.pid)
        return [process, *process.children(recursive=True)]

    def _cpu(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def _memory(self) -> int:
        return sum(process.memory_info().rss for process in self._processes())

    def _settle(self) -> None:
        """tus keeps what it was sent; the others delete it when the page is gone."""
        if self.page.server == "node":
            for path in self.server.uploads.iterdir():
                path.unlink()
        until = time.monotonic() + SETTLING
        while self.server.temporary_files() and time.monotonic() < until:
            time.sleep(0.05)


# The browser of all of them


_browser: list[Browser] = []


def browser() -> Browser:
    return _browser[-1]


@contextlib.contextmanager
def chromium(_directory: Path) -> Iterator[str]:
    """Start Chromium for the contenders of a group."""
    from .chromium import running

    with running() as started:
        _browser.append(started)
        yield ""
        _browser.remove(started)


# The lists


OURS = Page("ours, on uvicorn", "/ours/", "benchmarks.sites.ours_page:application")
OURS_ON_DAPHNE = Page("ours, on daphne", "/ours/", OURS.application, "daphne")
DJUST = Page("ours in djust, on uvicorn", "/ours/", "benchmarks.sites.ours_djust:application")
GUNICORN = Page("XHR to Django on gunicorn", "/xhr/", "benchmarks.sites.post:wsgi", "gunicorn")
UVICORN = Page("XHR to Django on uvicorn", "/xhr/", "benchmarks.sites.post:asgi")
TUS = Page("tus-js-client to @tus/server", "/", "benchmarks/sites/tus.mjs", "node")
BARE = Page("Blobs over a bare socket", "/bare/", "benchmarks.sites.bare_page:application")
UPPY = Page("Uppy Dashboard (XHR)", "/uppy/", "benchmarks.sites.post:wsgi", "gunicorn")
FILEPOND = Page("FilePond", "/filepond/", "benchmarks.sites.post:wsgi", "gunicorn")


def one_file(_url: str) -> list[Contender]:
    return [GUNICORN, UVICORN, TUS, BARE, OURS, OURS_ON_DAPHNE, DJUST]


def many_files(_url: str) -> list[Contender]:
    return [UPPY, FILEPOND, TUS, GUNICORN, OURS, OURS_ON_DAPHNE, DJUST]


def far(round_trip: float, rate: float) -> Any:
    """The pages behind a link of so many seconds and bytes a second."""
    near = [GUNICORN, TUS, OURS]
    return lambda _url: [replace(one, round_trip=round_trip, rate=rate) for one in near]
