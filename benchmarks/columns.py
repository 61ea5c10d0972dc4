"""The columns of the tables and the panels of the plots, and the names of works in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measures import Measure, Work
from .sites import KIB


@dataclass(frozen=True)
class Column:
    heading: str
    value: Callable[[Measure], float | None]
    digits: int = 0
    unit: str = ""
    in_plot: bool = True


COLUMNS = (
    Column("MB/s", lambda measure: measure.rate),
    Column("CPU s/GB", lambda measure: measure.cpu_per_gb, 2),
    Column("memory over idle, MB", lambda measure: measure.growth),
    Column("loop lag p99, ms", lambda measure: measure.lag_ms, 1),
    Column("slowest upload / fastest", lambda measure: measure.unfairness, 1, in_plot=False),
    Column("client's CPU", lambda measure: measure.client_share, unit="%", in_plot=False),
)


def varying(works: Sequence[Work]) -> str:
    """Return the name of the property in which the works differ."""
    if len({work.uploads for work in works}) > 1:
        return "at once"
    sizes = len({work.size for work in works}) > 1
    return "size" if sizes or not any(work.chunk_size for work in works) else "frames"


def label(work: Work, works: Sequence[Work]) -> str:
    """Return the text by which a work is distinguished from the others."""
    frame = round(work.chunk_size / KIB)
    labels = {
        "at once": f"{work.uploads:,}",
        "size": size_label(work.size),
        "frames": f"{frame} KiB" if frame < 1024 else "1 MiB",
    }
    return labels[varying(works)]


def size_label(size: int) -> str:
    return f"{size / 10**9:.0f} GB" if size >= 10**9 else f"{size / 10**6:.0f} MB"
