"""The columns of the tables and the panels of the plots, and the names of works in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measures import MB, Measure, PageFigures, Results, Work
from .sites import KIB


@dataclass(frozen=True)
class Column:
    heading: str
    value: Callable[[Measure], float | None]
    digits: int = 0
    unit: str = ""
    in_plot: bool = True


def of_page(heading: str, value: Callable[[PageFigures], float], digits: int = 0) -> Column:
    """Return a column for what a page spent. It is not in the plots."""
    return Column(
        heading,
        lambda measure: value(measure.page) if measure.page else None,
        digits,
        in_plot=False,
    )


COLUMNS = (
    Column("MB/s", lambda measure: measure.rate),
    Column("CPU s/GB", lambda measure: measure.cpu_per_gb, 2),
    Column("memory over idle, MB", lambda measure: measure.growth),
    Column("loop lag p99, ms", lambda measure: measure.lag_ms, 1),
    Column("slowest upload / fastest", lambda measure: measure.unfairness, 1, in_plot=False),
    Column("client's CPU", lambda measure: measure.client_share, unit="%", in_plot=False),
    Column("page's thread", lambda measure: measure.thread_share, unit="%"),
    of_page("longest task, ms", lambda page: 1000 * page.longest_task),
    of_page("heap over idle, MB", lambda page: page.heap / MB, 1),
    of_page("tab, MB", lambda page: page.tab / MB),
    of_page("slowest input, ms", lambda page: 1000 * page.slowest_input),
)


def columns_of(results: Results) -> list[Column]:
    """Return the columns for which something was measured."""
    return [
        column
        for column in COLUMNS
        if any(column.value(measure) is not None for measure in results.measures)
    ]


def varying(works: Sequence[Work]) -> str:
    """Return the name of the property in which the works differ."""
    if all(work.chunk_size == 0 and work.uploads > 1 for work in works):
        return "files"
    if len({work.uploads for work in works}) > 1:
        return "at once"
    sizes = len({work.size for work in works}) > 1
    return "size" if sizes or not any(work.chunk_size for work in works) else "frames"


def label(work: Work, works: Sequence[Work]) -> str:
    """Return the text by which a work is distinguished from the others."""
    frame = round(work.chunk_size / KIB)
    labels = {
        "at once": f"{work.uploads:,}",
        "files": f"{work.uploads:,} of {file_label(work.size // work.uploads)}",
        "size": size_label(work.size),
        "frames": f"{frame} KiB" if frame < 1024 else "1 MiB",
    }
    return labels[varying(works)]


def size_label(size: int) -> str:
    return f"{size / 10**9:.0f} GB" if size >= 10**9 else f"{size / 10**6:.0f} MB"


def file_label(size: int) -> str:
    return size_label(size) if size >= 10**6 else f"{size / 1000:.0f} kB"
