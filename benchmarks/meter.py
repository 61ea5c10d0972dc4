"""``Meter``: measures the CPU time, the memory and the event loop's lag of a process.

It runs in the process that is measured, so that it begins and ends with the work. It needs Linux,
because it reads the peak of the memory from ``/proc``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

#: Seconds between two measurements of the lag.
INTERVAL = 0.001

_PROC = Path("/proc/self")


class Meter:
    """Call ``start()`` before the work and ``stop()`` after it, on the event loop of the work."""

    def __init__(self) -> None:
        self._watch: asyncio.Task[None] | None = None
        self._lags: list[float] = []
        self._cpu = 0.0

    def start(self) -> None:
        # https://docs.kernel.org/filesystems/proc.html: writing 5 to clear_refs resets VmHWM.
        (_PROC / "clear_refs").write_text("5")
        self._lags = []
        self._watch = asyncio.get_running_loop().create_task(self._look())
        self._cpu = time.process_time()

    def stop(self) -> dict[str, Any]:
        """Return the CPU seconds, the resident bytes (their peak, and now), and the lag.

        The lag is the 99th percentile in seconds, or ``None`` if the work has ended before the
        first measurement.
        """
        cpu = time.process_time() - self._cpu
        if self._watch:
            self._watch.cancel()
        return {
            "cpu": cpu,
            "peak": memory("VmHWM"),
            "memory": memory("VmRSS"),
            "lag": percentile(self._lags, 0.99),
        }

    async def _look(self) -> None:
        """Sleep again and again, and note by how much each sleep was too long."""
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(INTERVAL)
            self._lags.append(clock() - before - INTERVAL)


def memory(field: str) -> int:
    """Return a field of ``/proc/self/status`` in bytes."""
    for line in (_PROC / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def percentile(values: Sequence[float], share: float) -> float | None:
    return sorted(values)[int(len(values) * share)] if values else None


Application = Callable[[Any, Any, Any], Awaitable[None]]


def metered(application: Application) -> Application:
    """Return the application with a meter, which the requests ``/start`` and ``/stop`` control."""
    meter = Meter()

    async def with_meter(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await _answer(send, meter.start() if scope["path"] == "/start" else meter.stop())
        else:
            await application(scope, receive, send)

    return with_meter


async def _answer(send: Any, answer: Any) -> None:
    headers = [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
