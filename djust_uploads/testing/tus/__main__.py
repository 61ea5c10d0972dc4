"""python -m djust_uploads.testing.tus URL: check a server against tus 1.0.0."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from .check import SECTIONS, Check, Level, Outcome, checks
from .server import TusServer

SIGNS = {"passed": "✓", "failed": "✗", "skipped": "-"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checklist, print what came of it, and return the exit status: 1 if the server breaks
    a MUST."""
    options = _parser().parse_args(arguments)
    with TusServer(
        options.url,
        headers=dict(_pair(header, ":") for header in options.header),
        metadata=dict(_pair(item, "=") for item in options.metadata),
        patience=options.patience,
    ) as server:
        outcomes = list(_run(checks(options.only or SECTIONS), server))
    print(_summary(outcomes))
    broken = [o for o in outcomes if o.verdict == "failed" and o.check.level is Level.MUST]
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m djust_uploads.testing.tus",
        description="Check a server against the tus protocol, version 1.0.0. The server must let "
        "clients create uploads (the extension creation). Uploads that the checks create are "
        "terminated where the server lets clients do so.",
        epilog="MUST and SHOULD are the protocol's words. EXPECTED is what the protocol does not "
        "say, but clients rely on. The exit status is 1 if the server breaks a MUST.",
    )
    parser.add_argument("url", metavar="URL", help="where the server creates uploads")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header for each request, for example an Authorization; may be repeated",
    )
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="metadata of each upload, in addition to filename=checklist.txt; may be repeated",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=SECTIONS,
        metavar="EXTENSION",
        help=f"only the checks of this extension; may be repeated: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long, and expect that an upload has expired then; by default this check is "
        "left out",
    )
    return parser


def _pair(text: str, separator: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found:
        raise SystemExit(f"{text!r} has no {separator!r}.")
    return name.strip(), value.strip()


def _run(selected: Sequence[Check], server: TusServer) -> Iterable[Outcome]:
    """Run the checks; print each as it ends, in its section."""
    section = ""
    for check in selected:
        if check.section != section:
            section = check.section
            print(f"\n{section}")
        outcome = check.run(server)
        print(f"  {SIGNS[outcome.verdict]} {check.level.value:<9}{check.sentence}")
        if outcome.reason:
            print(f"    {'':<9}{outcome.reason}", flush=True)
        yield outcome


def _summary(outcomes: Sequence[Outcome]) -> str:
    lines = [""]
    for level in Level:
        count = Counter(o.verdict for o in outcomes if o.check.level is level)
        lines.append(
            f"{level.value:<9}{count['passed']} passed, {count['failed']} failed, "
            f"{count['skipped']} not applicable"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
