"""Writes a table and a plot for each group into ``docs/performance.md``.

They stand between markers. People write the text around them.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

from .columns import columns_of, label, size_label, varying
from .groups import Group
from .measures import Results, Work
from .plots import draw


def write(page: Path, group: Group, results: Results) -> None:
    """Write the group's section into the page, and its plot into a folder beside the page."""
    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    draw(results, plots / f"{group.name}.svg")
    image = f"![{group.title}]({plots.name}/{group.name}.svg)"
    section = "\n\n".join((image, table(results), _circumstances(group, results)))
    write_section(page, group.name, section)


def write_section(page: Path, name: str, section: str) -> None:
    """Replace a section of the page."""
    page.write_text(replaced(page.read_text(), name, section))


def replaced(text: str, name: str, section: str) -> str:
    """Return the text with a new section between its markers.

    Raises ``LookupError`` if there are no such markers.
    """
    begin, end = f"<!-- {name}: measured -->", f"<!-- {name}: end -->"
    if begin not in text or end not in text:
        raise LookupError(f"no {begin} … {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{section}\n\n{end}{rest.partition(end)[2]}"


def table(results: Results) -> str:
    """Return a table in Markdown.

    It shows the median of all rounds, and for the ratio also the lowest and the highest value.
    """
    works = results.works()
    heading = [varying(works), "", "ratio", *(column.heading for column in columns_of(results))]
    rows = [
        [label(work, works), contender, *_cells(results, contender, work)]
        for work in works
        for contender in results.contenders()
    ]
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(results: Results, contender: str, work: Work) -> Iterable[str]:
    ratio = results.ratio(contender, work)
    yield f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else ""
    for column in columns_of(results):
        spread = results.spread(contender, work, column.value)
        yield f"{spread.median:,.{column.digits}f}{column.unit}" if spread else ""


def _circumstances(group: Group, results: Results) -> str:
    rounds = len({measure.round for measure in results.measures})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in group.packages)
    skipped = "".join(
        f" {size_label(work.size)} were left out: the disk has no room." for work in results.skipped
    )
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return (
        f"{datetime.date.today():%d %B %Y}, {os.cpu_count()} cores of {_processor()}, {system}, "
        f"{versions}. Medians of {rounds} rounds; the ratio is to the rate of "
        f'"{results.baseline}" in the same round.{skipped}'
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()
