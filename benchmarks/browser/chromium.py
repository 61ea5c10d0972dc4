"""One Chromium for all contenders, and what it tells of a page while files are on their way.

Figures come from Chromium itself: the thread's busy time from ``Performance.getMetrics``, the
page's process from ``SystemInfo.getProcessInfo``.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.browser.chromium import ARGUMENTS, executable

#: Seconds between two presses of the page's probe.
PROBE_INTERVAL = 0.25

#: Seconds for one run.
TIMEOUT = 120


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A page in a process of its own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._context = browser.new_context()
        self._browser = browser
        self._page: Page = self._context.new_page()
        self._page.goto(url, wait_until="load")
        self._session: CDPSession = self._context.new_cdp_session(self._page)
        self._session.send("Performance.enable")
        self._page.wait_for_selector("input[type=file]", state="attached")
        # Modules and sockets are there.
        self._page.wait_for_timeout(500)

    def close(self) -> None:
        self._context.close()

    def upload(self, files: Sequence[Path]) -> dict[str, Any]:
        """Choose the files, wait until all are there, and return what :class:`.figures.PageFigures`
        knows."""
        idle = self._heap()
        before, renderers = self._metrics(), _Renderers(self._browser)
        self._choose(files)
        self._probe()
        while not (measured := self._measured()).get("end"):
            if failed := measured.get("failed"):
                raise RuntimeError(f"{self._page.url}: {failed}")
            if measured.get("start") and self._now() > measured["start"] + 1000 * TIMEOUT:
                # Not all pages get to the end. This one is no faster than that.
                measured["end"] = measured["start"] + 1000 * TIMEOUT
                break
            renderers.look()
            self._probe()
            time.sleep(PROBE_INTERVAL)
        after = self._metrics()
        seconds = (measured["end"] - measured["start"]) / 1000
        return {
            "seconds": seconds,
            "thread": after["TaskDuration"] - before["TaskDuration"],
            "longest_task": measured["longest"] / 1000,
            "heap": max(0, self._heap() - idle),
            "tab": renderers.busiest(),
            "slowest_input": max(measured["inputs"], default=0) / 1000,
            "slowest_answer": max(measured["answers"], default=0) / 1000 or None,
        }

    def _choose(self, files: Sequence[Path]) -> None:
        # By the protocol itself: Playwright would look at each of the files.
        root = self._session.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
        query = {"nodeId": root, "selector": "input[type=file]"}
        node = self._session.send("DOM.querySelector", query)["nodeId"]
        paths = [str(path) for path in files]
        self._session.send("DOM.setFileInputFiles", {"nodeId": node, "files": paths})

    def _probe(self) -> None:
        """A press as the system sends it: it waits in the line of what the page has to do."""
        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "x": 1260, "y": 8, "button": "left", "clickCount": 1}
            self._session.send("Input.dispatchMouseEvent", event)

    def _measured(self) -> dict[str, Any]:
        measured: dict[str, Any] = self._page.evaluate("measured")
        return measured

    def _now(self) -> float:
        return float(self._page.evaluate("performance.now()"))

    def _metrics(self) -> dict[str, float]:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}

    def _heap(self) -> float:
        """Bytes after a collection."""
        self._session.send("HeapProfiler.collectGarbage")
        return self._metrics()["JSHeapUsedSize"]


class _Renderers:
    """The memory of Chromium's page processes. The protocol does not tell whose each one is."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._before = self._cpu()
        self._peaks: dict[int, int] = {}

    def look(self) -> None:
        for pid in self._cpu():
            with contextlib.suppress(psutil.NoSuchProcess):
                rss = psutil.Process(pid).memory_info().rss
                self._peaks[pid] = max(rss, self._peaks.get(pid, 0))

    def busiest(self) -> int:
        """Return the most bytes of the process that has worked most since the beginning."""
        self.look()
        spent = {pid: cpu - self._before.get(pid, 0) for pid, cpu in self._cpu().items()}
        return self._peaks[max(spent, key=lambda pid: spent[pid])]

    def _cpu(self) -> dict[int, float]:
        session = self._browser.new_browser_cdp_session()
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
        session.detach()
        return {one["id"]: one["cpuTime"] for one in processes if one["type"] == "renderer"}
