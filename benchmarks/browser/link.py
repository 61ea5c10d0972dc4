"""A slow and distant network between a page and its server, in a process of its own.

    python -m benchmarks.browser.link PORT DELAY RATE

Prints the port at which it takes connections.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import TracebackType

from tests.support import link
from tests.support.servers import ROOT


class Link:
    """``with Link(port, delay=0.05, rate=12_500_000) as seen_at: ...``"""

    def __init__(self, port: int, *, delay: float, rate: float) -> None:
        arguments = [str(port), str(delay), str(rate)]
        self._command = [sys.executable, "-m", "benchmarks.browser.link", *arguments]

    def __enter__(self) -> int:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


async def main(port: int, delay: float, rate: float) -> None:
    async with link.Link([port], delay=delay, rate=rate) as running:
        print(running.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
