"""The groups of contenders that are measured side by side."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import contenders, http_contenders, stores
from .browser import contenders as pages
from .contenders import BARE, LOCAL, TEMPORARY, Contender, Running
from .measures import GB, MB, Measure, PageFigures, Results, Work
from .sites import KIB, MIB

#: Bytes of an upload before the first measurement, because SDKs load files at their first use. They
#: are more than one part, so that S3's multipart uploads are loaded too.
WARM_UP = 20 * MB

#: Environment variables of every process. By default, glibc may give the memory of a frame back to
#: the kernel and take it again for the next frame. Whether it does depends on what else is in
#: memory, by chance. It makes a server up to three times as expensive, even the bare one:
#: https://man7.org/linux/man-pages/man3/mallopt.3.html
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": str(16 * MIB),
    "MALLOC_MMAP_THRESHOLD_": str(4 * MIB),
}


@dataclass(frozen=True)
class Group:
    """Contenders that do the same works."""

    name: str
    title: str
    #: The packages whose versions are reported.
    packages: tuple[str, ...]
    #: Returns the contenders for the store's URL. The first one is the baseline.
    contenders: Callable[[str], list[Contender]]
    works: list[Work]
    #: Works that only ``make bench-full`` measures.
    more_works: list[Work] = field(default_factory=list)
    #: Whether only ``make bench-full`` measures this group.
    only_full: bool = False
    #: Starts the store to which the contenders send, if there is one, and yields its URL.
    store: Callable[[Path], AbstractContextManager[str]] | None = None


def on(server: str) -> Callable[[str], list[Contender]]:
    return lambda _url: [dataclasses.replace(site, server=server) for site in LOCAL]


def _frames(*chunk_sizes: int, size: int = 200 * MB) -> list[Work]:
    return [Work(chunk_size, 1, size) for chunk_size in chunk_sizes]


DEFAULT = 256 * KIB
LARGEST = MIB - 21

UVICORN = ("uvicorn", "websockets", "Django", "channels")
BROWSER = (
    "uvicorn",
    "websockets",
    "daphne",
    "gunicorn",
    "Django",
    "channels",
    "djust",
    "playwright",
)

#: Bytes a second of a line of 100 Mbit/s.
LINK = 12_500_000

DAPHNE = ("daphne", "autobahn", "Twisted", "Django", "channels")

GROUPS = [
    Group(
        "uvicorn",
        "Sinks on this machine, on uvicorn",
        (*UVICORN, "djust"),
        on("uvicorn"),
        _frames(64 * KIB, DEFAULT),
        _frames(LARGEST),
    ),
    Group(
        "daphne",
        "Sinks on this machine, on daphne",
        (*DAPHNE, "djust"),
        on("daphne"),
        _frames(64 * KIB, DEFAULT, LARGEST),
        only_full=True,
    ),
    Group(
        "s3",
        "S3, into a store that discards",
        (*UVICORN, "aioboto3", "boto3"),
        contenders.s3,
        _frames(DEFAULT, size=500 * MB),
        store=stores.discarding,
    ),
    Group(
        "s3-moto",
        "S3, into moto",
        (*UVICORN, "aioboto3", "boto3", "moto"),
        contenders.s3,
        _frames(DEFAULT),
        only_full=True,
        store=stores.moto,
    ),
    Group(
        "gcs",
        "GCS, into a store that discards",
        (*UVICORN, "google-cloud-storage"),
        contenders.gcs,
        _frames(DEFAULT, size=500 * MB),
        store=stores.discarding,
    ),
    Group(
        "uploads",
        "Many uploads at once",
        UVICORN,
        lambda _url: [BARE, TEMPORARY],
        [Work(DEFAULT, uploads, GB) for uploads in (1, 100)],
        [Work(DEFAULT, uploads, GB) for uploads in (10, 1000)],
    ),
    Group(
        "sizes",
        "Small files and large ones",
        UVICORN,
        lambda _url: [BARE, TEMPORARY],
        [Work(DEFAULT, 1, size) for size in (10 * MB, GB)],
        [Work(DEFAULT, 1, 10 * GB)],
    ),
    Group(
        "browser",
        "From the browser: one file",
        BROWSER,
        pages.one_file,
        [Work(0, 1, 500 * MB)],
        [Work(0, 1, GB)],
        store=pages.chromium,
    ),
    Group(
        "browser-many",
        "From the browser: many files",
        BROWSER,
        pages.many_files,
        [Work(0, 100, 100 * MB), Work(0, 2000, 20 * MB)],
        only_full=True,
        store=pages.chromium,
    ),
    Group(
        "browser-20ms",
        "From the browser: 100 Mbit/s and a round trip of 20 ms",
        BROWSER,
        pages.far(0.02, LINK),
        [Work(0, 1, 100 * MB)],
        only_full=True,
        store=pages.chromium,
    ),
    Group(
        "browser-100ms",
        "From the browser: 100 Mbit/s and a round trip of 100 ms",
        BROWSER,
        pages.far(0.1, LINK),
        [Work(0, 1, 100 * MB)],
        only_full=True,
        store=pages.chromium,
    ),
    Group(
        "http",
        "Over HTTP, on this machine",
        ("uvicorn", "hypercorn", "daphne", "tuspyserver", "Django", "channels"),
        http_contenders.local,
        [Work(0, 1, 200 * MB)],
        [Work(0, 1, GB)],
    ),
    Group(
        "http-s3",
        "Over HTTP, S3 into a store that discards",
        (*UVICORN, "aioboto3"),
        http_contenders.s3,
        [Work(DEFAULT, 1, 500 * MB)],
        only_full=True,
        store=stores.discarding,
    ),
]


def measure(group: Group, *, rounds: int, full: bool) -> Results:
    """Measure all contenders on one work, round by round, and then on the next work."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(stores.environment(ALLOCATOR))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        url = stack.enter_context(group.store(directory)) if group.store else ""
        running = {
            contender.name: stack.enter_context(contender.start(_own(directory, number)))
            for number, contender in enumerate(group.contenders(url))
        }
        warm_up = Work(group.works[0].chunk_size, 1, WARM_UP)
        idle = {name: process.run(warm_up)["memory"] for name, process in running.items()}
        works = sorted(group.works + (group.more_works if full else []))
        fitting = [work for work in works if _fits(work, directory)]
        measures = [
            _measure_one(name, running[name], work, number, idle[name])
            for work in fitting
            for number in range(rounds)
            for name in _order(list(running), number)
        ]
        skipped = [work for work in works if work not in fitting]
        return Results(measures, next(iter(running)), skipped)


def _own(directory: Path, number: int) -> Path:
    own = directory / str(number)
    own.mkdir()
    return own


def _order(names: list[str], number: int) -> list[str]:
    """Return the names in the order of a round. Every second round is in reverse order.

    So a contender does not always follow the same other one.
    """
    return names if number % 2 == 0 else names[::-1]


def _fits(work: Work, directory: Path) -> bool:
    """Return whether the disk has room for one and a half times the size of the work."""
    return shutil.disk_usage(directory).free > 1.5 * work.size


def _page_figures(measured: dict[str, Any]) -> PageFigures | None:
    names = PageFigures.__dataclass_fields__
    return PageFigures(**{name: measured[name] for name in names}) if "thread" in measured else None


def _measure_one(name: str, process: Running, work: Work, number: int, idle: int) -> Measure:
    measured = process.run(work)
    each = measured.get("each")
    measure = Measure(
        contender=name,
        work=work,
        round=number,
        seconds=measured["seconds"],
        cpu=measured["cpu"],
        peak=measured["peak"],
        idle=idle,
        lag=measured["lag"],
        client_cpu=measured.get("client_cpu"),
        each=(each[0], each[1]) if each else None,
        page=_page_figures(measured),
    )
    print(f"  {name}: {measure.rate:.0f} MB/s", file=sys.stderr)
    return measure
