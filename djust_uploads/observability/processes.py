"""``ProcessReports``: each process tells in the cache which uploads it has.

Django's caches cannot list their keys, so the reports have numbered places. A process takes the
first free place with ``add()``, which is atomic, and keeps it until its report expires or it has no
uploads any more.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.cache import BaseCache, caches
from django.db import connections

from ..flow.budget import budget
from ..settings import upload_settings
from ..slots.entry import UploadEntry
from .ticker import Ticker
from .tracking import TrackingObserver

logger: logging.Logger = logging.getLogger("djust_uploads")

#: Seconds between two reports of a process whose uploads move.
REPORT_INTERVAL = 2.0

#: Seconds after which a report is written again though nothing has changed.
RENEWAL_INTERVAL = 20.0

#: Seconds for which a report is kept. That of a process that was killed goes after as many.
REPORT_TTL = 60

#: How many processes may have uploads at the same time.
PLACES = 256

#: How many uploads a report lists. It counts all of them.
MOST_LISTED = 200


@dataclass(frozen=True)
class UploadReport:
    """One upload as its process reported it. Sizes are in bytes."""

    id: str
    slot: str
    sink: str
    client_name: str
    #: ``"active"``, ``"parked"``, or ``"complete"`` for a file that waits to be consumed.
    state: str
    received: int
    size: int
    #: For how many seconds the process has had the upload.
    seconds: float


@dataclass(frozen=True)
class ProcessReport:
    """The uploads of one process. All values are JSON."""

    #: The host's name and the process id, as ``"web1:4711"``.
    process: str
    #: Tells processes apart that have the same name, for example in containers.
    token: str
    #: When it was written, in seconds since the epoch.
    at: float
    #: State to number of uploads.
    counts: dict[str, int] = field(default_factory=dict)
    #: Bytes that have arrived and that no sink has taken yet, and bytes that sinks are sending.
    buffered: int = 0
    sending: int = 0
    #: The uploads that this process has had for longest.
    uploads: list[UploadReport] = field(default_factory=list)


class ProcessReports(TrackingObserver):
    """Writes into ``RESUME_CACHE`` which uploads this process has, for ``manage.py uploads``.

    It writes at most every ``REPORT_INTERVAL`` seconds, in a thread, and only while there are
    uploads.
    """

    def __init__(self) -> None:
        super().__init__()
        self._token = secrets.token_hex(8)
        self._place: int | None = None
        self._written: ProcessReport | None = None
        self._ticker = Ticker(REPORT_INTERVAL, self._tick, "upload-reports")

    def changed(self) -> None:
        self._ticker.wake()

    def _tick(self) -> bool:
        """Write the report if it is due. Return whether to go on."""
        try:
            report = self._report()
            if not report.counts:
                self._withdraw()
            elif self._is_due(report):
                self._write(report)
            return bool(report.counts)
        finally:
            # A cache may be in the database, and this thread may end.
            connections.close_all()

    def _is_due(self, report: ProcessReport) -> bool:
        before = self._written
        if before is None or report.at - before.at >= RENEWAL_INTERVAL:
            return True
        return _moving_parts(report) != _moving_parts(before)

    def _write(self, report: ProcessReport) -> None:
        cache = caches[upload_settings().resume_cache]
        value = asdict(report)
        if self._is_mine(cache):
            cache.set(_key(self._place or 0), value, REPORT_TTL)
        else:
            self._place = next(
                (place for place in range(PLACES) if cache.add(_key(place), value, REPORT_TTL)),
                None,
            )
        if self._place is None:
            logger.warning("%s finds no place for its report among %d", report.process, PLACES)
        self._written = report

    def _is_mine(self, cache: BaseCache) -> bool:
        """Return whether the report in our place is our own: it may have expired."""
        if self._place is None:
            return False
        found: dict[str, Any] = cache.get(_key(self._place)) or {}
        return bool(found.get("token") == self._token)

    def _withdraw(self) -> None:
        cache = caches[upload_settings().resume_cache]
        if self._is_mine(cache):
            cache.delete(_key(self._place or 0))
        self._place = self._written = None

    def _report(self) -> ProcessReport:
        uploads = list(self.uploads.items())
        return ProcessReport(
            process=f"{socket.gethostname()}:{os.getpid()}",
            token=self._token,
            at=time.time(),
            counts=dict(Counter(self.state(entry, parked) for entry, parked in uploads)),
            buffered=budget.buffered,
            sending=budget.sending,
            uploads=[self._upload(entry, parked) for entry, parked in uploads[:MOST_LISTED]],
        )

    def _upload(self, entry: UploadEntry, parked: bool) -> UploadReport:
        return UploadReport(
            id=entry.ref,
            slot=entry.upload_name,
            sink=entry.sink_name,
            client_name=entry.client_name,
            state=self.state(entry, parked),
            received=entry.received,
            size=entry.client_size,
            seconds=round(time.monotonic() - entry.begun_at, 1),
        )


def read_reports() -> list[ProcessReport]:
    """Return the reports of all processes that have uploads. Asks the cache, and blocks."""
    found = caches[upload_settings().resume_cache].get_many([_key(n) for n in range(PLACES)])
    return sorted(map(_parsed, found.values()), key=lambda report: report.process)


def _parsed(value: dict[str, Any]) -> ProcessReport:
    return ProcessReport(**{**value, "uploads": [UploadReport(**one) for one in value["uploads"]]})


def _moving_parts(report: ProcessReport) -> tuple[object, ...]:
    return tuple((one.id, one.state, one.received) for one in report.uploads), report.counts


def _key(place: int) -> str:
    return f"djust_uploads:process:{place}"
