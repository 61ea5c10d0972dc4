"""``manage.py sweep_uploads --older-than 48h`` deletes what crashed processes have left behind."""

from __future__ import annotations

import argparse
import asyncio
import re
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...conf import sinks
from ...doors.http.concatenation import ALIAS as PARTS
from ...doors.http.concatenation import sink_for_parts

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """Return the duration that a text such as ``90m``, ``24h`` or ``7d`` means.

    Raises ``ArgumentTypeError`` for any other text.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration. Give a number and s, m, h or d, as in 90m, 24h, 7d."
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = (
        "Deletes the uploads that crashed processes have left unfinished or unconsumed in the "
        "sinks of DJUST_UPLOADS['SINKS']. Choose an age that no running or paused upload reaches."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=duration,
            required=True,
            metavar="AGE",
            help="For example 90m, 24h or 7d.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="List what would be deleted. Delete nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Parts of uploads over HTTP have a sink even where none is configured for them.
        aliases = dict.fromkeys([*sinks, PARTS])
        failed = [alias for alias in aliases if not self._sweep(alias, **options)]
        if failed:
            raise CommandError(f"These sinks could not be swept: {', '.join(failed)}.")

    def _sweep(
        self, alias: str, *, older_than: timedelta, dry_run: bool, verbosity: int, **options: Any
    ) -> bool:
        """Sweep one sink, and return whether that worked. The others are swept in any case."""
        try:
            names = asyncio.run(_swept(alias, older_than, dry_run))
        except Exception as exc:
            self.stderr.write(self.style.ERROR(f"{alias}: {exc}"))
            return False
        verb = "would delete" if dry_run else "deleted"
        if verbosity:
            for name in names:
                self.stdout.write(f"{alias}: {verb} {name}")
            self.stdout.write(f"{alias}: {verb} {len(names)} in total")
        return True


async def _swept(alias: str, older_than: timedelta, dry_run: bool) -> list[str]:
    sink = sink_for_parts() if alias == PARTS else sinks[alias]
    try:
        return await sink.sweep(older_than, dry_run=dry_run)
    finally:
        await sink.aclose()
