"""The figures that must be reached, and whether they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .browser import contenders as pages
from .groups import DEFAULT, LINK
from .measures import GB, MB, Measure, Results, Spread, Work
from .sites import KIB

#: The results of all groups, by the name of the group.
All = Mapping[str, Results]

SMALL = Work(64 * KIB, 1, 200 * MB)
USUAL = Work(DEFAULT, 1, 200 * MB)
TO_STORES = Work(DEFAULT, 1, 500 * MB)
OBJECT_STORE = "ObjectStoreSink", TO_STORES
ONE = Work(DEFAULT, 1, GB)
THOUSAND = Work(DEFAULT, 1000, GB)
BY_HTTP = Work(0, 1, GB)

#: In the browser: our page, what it is compared with, and the works.
PAGE, GUNICORN, TUS = pages.OURS.name, pages.GUNICORN.name, pages.TUS.name
BLOBS, UPPY = pages.BARE.name, pages.UPPY.name
FILE = Work(0, 1, 500 * MB)
FAR = Work(0, 1, 100 * MB)
FILES = Work(0, 2000, 20 * MB)


@dataclass(frozen=True)
class Target:
    """A bound for a figure. ``figure`` raises ``LookupError`` if the figure was not measured."""

    text: str
    figure: Callable[[All], Spread]
    bound: float
    at_least: bool = True

    def holds(self, figure: Spread) -> bool:
        return figure.median >= self.bound if self.at_least else figure.median <= self.bound


def _of(spread: Spread | None) -> Spread:
    if spread is None:
        raise LookupError
    return spread


def ratio(group: str, contender: str, work: Work, baseline: str = "") -> Callable[[All], Spread]:
    return lambda results: _of(results[group].ratio(contender, work, baseline))


def value(
    group: str, contender: str, work: Work, read: Callable[[Measure], float | None]
) -> Callable[[All], Spread]:
    return lambda results: _of(results[group].spread(contender, work, read))


def lag(group: str, contender: str, work: Work, milliseconds: float) -> Target:
    text = f"event-loop lag p99, {contender} ({group}), ms"
    return Target(
        text, value(group, contender, work, lambda measure: measure.lag_ms), milliseconds, False
    )


def _rate_of_a_thousand(results: All) -> Spread:
    return _of(results["uploads"].change("temporary file", THOUSAND, ONE))


def _memory_beside_djust(results: All) -> Spread:
    ours, djust = (
        _of(results["uvicorn"].spread(name, SMALL, lambda measure: measure.growth)).median
        for name in ("temporary file", "djust.uploads")
    )
    return Spread(ours / djust, ours / djust, ours / djust)


def page(
    what: str,
    work: Work,
    read: Callable[[Measure], float | None],
    bound: float,
    group: str = "browser",
) -> Target:
    """Return an upper bound for what our page spends."""
    return Target(f"{what} ({group})", value(group, PAGE, work, read), bound, False)


def _longest_task(measure: Measure) -> float | None:
    return 1000 * measure.page.longest_task if measure.page else None


def _heap(measure: Measure) -> float | None:
    return measure.page.heap / MB if measure.page else None


def _tab(measure: Measure) -> float | None:
    return measure.page.tab / MB if measure.page else None


def _slowest_input(measure: Measure) -> float | None:
    return 1000 * measure.page.slowest_input if measure.page else None


def _cpu_by_http(other: str) -> Callable[[All], Spread]:
    def figure(results: All) -> Spread:
        ours, theirs = (
            _of(results["http"].spread(name, BY_HTTP, lambda m: m.cpu_per_gb)).median
            for name in ("UploadEndpoint", other)
        )
        return Spread(ours / theirs, ours / theirs, ours / theirs)

    return figure


def _growth_by_http(server: str) -> Target:
    name = f"UploadEndpoint, {server}" if server != "uvicorn" else "UploadEndpoint"
    return Target(
        f"memory over idle, 1 GB over HTTP ({server}), MB",
        value("http", name, BY_HTTP, lambda measure: measure.growth),
        40,
        at_least=False,
    )


TARGETS = [
    Target("discarding sink", ratio("uvicorn", "discarding sink", USUAL), 0.80),
    Target("discarding sink, 64 KiB", ratio("uvicorn", "discarding sink", SMALL), 0.60),
    Target("memory", ratio("uvicorn", "memory", USUAL), 0.60),
    Target("temporary file", ratio("uvicorn", "temporary file", USUAL), 0.50),
    Target("temporary file, SHA256", ratio("uvicorn", "temporary file, SHA256", USUAL), 0.40),
    Target(
        "temporary file with metrics over without",
        ratio("uvicorn", "temporary file, metrics", USUAL, "temporary file"),
        0.98,
    ),
    Target(
        "temporary file over djust.uploads, both with 64 KiB",
        ratio("uvicorn", "temporary file", SMALL, "djust.uploads"),
        5,
    ),
    Target("its memory over djust.uploads'", _memory_beside_djust, 1 / 20, at_least=False),
    Target("S3Sink over aioboto3", ratio("s3", "S3Sink", TO_STORES, "aioboto3"), 0.90),
    Target("GCSSink over its SDK", ratio("gcs", "GCSSink", TO_STORES), 0.90),
    lag("uvicorn", "temporary file", USUAL, 5),
    lag("s3", "S3Sink", TO_STORES, 20),
    lag("gcs", "GCSSink", TO_STORES, 20),
    Target("ObjectStoreSink over S3Sink", ratio("s3", *OBJECT_STORE, "S3Sink"), 1),
    Target("ObjectStoreSink over GCSSink", ratio("gcs", *OBJECT_STORE, "GCSSink"), 1),
    lag("s3", *OBJECT_STORE, 10),
    lag("gcs", *OBJECT_STORE, 10),
    Target("one file, over XHR to gunicorn", ratio("browser", PAGE, FILE, GUNICORN), 0.90),
    Target("one file, over tus-js-client", ratio("browser", PAGE, FILE, TUS), 0.90),
    Target("one file, over bare Blobs", ratio("browser", PAGE, FILE, BLOBS), 0.85),
    page("the page's thread, %", FILE, lambda measure: measure.thread_share, 10),
    page("longest task, ms", FILE, _longest_task, 50),
    page("heap over idle, MB", FILE, _heap, 20),
    Target(
        "one file at 100 ms, over the link",
        value("browser-100ms", PAGE, FAR, lambda measure: measure.rate / (LINK / MB)),
        0.95,
    ),
    Target("one file at 100 ms, over XHR", ratio("browser-100ms", PAGE, FAR, GUNICORN), 1),
    Target("one file at 100 ms, over tus-js-client", ratio("browser-100ms", PAGE, FAR, TUS), 1),
    Target("2,000 files, over Uppy", ratio("browser-many", PAGE, FILES, UPPY), 1),
    Target("2,000 files, over tus-js-client", ratio("browser-many", PAGE, FILES, TUS), 1),
    page("slowest input, ms", FILES, _slowest_input, 100, "browser-many"),
    page("tab, MB", FILES, _tab, 350, "browser-many"),
    Target(
        "resident memory with 1,000 uploads at once, MB",
        value("uploads", "temporary file", THOUSAND, lambda measure: measure.peak / MB),
        512,
        at_least=False,
    ),
    Target("rate of 1,000 uploads over that of one", _rate_of_a_thousand, 0.5),
    Target(
        "slowest of 1,000 uploads over the fastest",
        value("uploads", "temporary file", THOUSAND, lambda measure: measure.unfairness),
        3,
        at_least=False,
    ),
    Target(
        "UploadEndpoint over a bare ASGI loop",
        ratio("http", "UploadEndpoint", BY_HTTP, "bare ASGI loop"),
        0.9,
    ),
    Target(
        "UploadEndpoint over @tus/server",
        ratio("http", "UploadEndpoint", BY_HTTP, "@tus/server"),
        1.2,
    ),
    Target(
        "UploadEndpoint over tuspyserver",
        ratio("http", "UploadEndpoint", BY_HTTP, "tuspyserver"),
        5,
    ),
    Target("its CPU over @tus/server's", _cpu_by_http("@tus/server"), 1, at_least=False),
    Target("its CPU over tuspyserver's", _cpu_by_http("tuspyserver"), 1, at_least=False),
    *(_growth_by_http(server) for server in ("uvicorn", "hypercorn", "daphne")),
    Target(
        "S3Sink by HTTP over S3Sink by the socket",
        ratio("http-s3", "S3Sink by HTTP", TO_STORES, "S3Sink by the socket"),
        0.95,
    ),
]


def table(results: All) -> str:
    lines = [["", "must be", "is", ""], ["---"] * 4, *(row(target, results) for target in TARGETS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row(target: Target, results: All) -> list[str]:
    bound = f"{'≥' if target.at_least else '≤'} {target.bound:g}"
    try:
        figure = target.figure(results)
    except LookupError:
        return [target.text, bound, "", "not measured"]
    holds = "holds" if target.holds(figure) else "does not hold"
    return [target.text, bound, f"{figure.median:,.2f}", holds]
