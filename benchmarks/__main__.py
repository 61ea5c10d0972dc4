"""Run the benchmarks, and write their figures into a page of the documentation.

python -m benchmarks [--full] [--rounds N] [--page docs/performance.md] [GROUP …]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path

from . import targets
from .groups import GROUPS, measure
from .report import write, write_section


def main() -> None:
    options = _options()
    _allow_many_sockets()
    _warn_if_busy()
    results = {}
    for group in GROUPS:
        if group.name in options.groups or not (options.groups or group.only_full > options.full):
            print(group.title, file=sys.stderr)
            started = time.perf_counter()
            results[group.name] = measure(group, rounds=options.rounds, full=options.full)
            write(options.page, group, results[group.name])
            print(f"  in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    if not options.groups:
        write_section(options.page, "targets", targets.table(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [group.name for group in GROUPS]
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"one of {', '.join(names)}")
    parser.add_argument("--full", action="store_true", help="run all groups with all their works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    if unknown := set(options.groups) - set(names):
        parser.error(f"unknown group {', '.join(unknown)}")
    return options


def _allow_many_sockets() -> None:
    """Raise the limit of open files, for this process and the processes that it starts."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > 1:
        print(f"The load is {load:.1f}, so the machine is busy already.", file=sys.stderr)


if __name__ == "__main__":
    main()
