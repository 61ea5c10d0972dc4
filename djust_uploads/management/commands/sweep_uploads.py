"""``manage.py sweep_uploads --older-than 24h``: delete what crashed processes left in the sinks."""

from __future__ import annotations

import argparse
import asyncio
import re
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...conf import sinks

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """``90m``, ``24h`` or ``7d``. Raises ``ArgumentTypeError`` with what is accepted."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: a number and s, m, h or d, as in 90m, 24h, 7d."
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = (
        "Deletes what crashed processes left unfinished or unconsumed in every sink of "
        "DJUST_UPLOADS['SINKS']. Choose an age that no upload, paused ones included, reaches."
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
            "--dry-run", action="store_true", help="List what would be deleted, delete nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = [alias for alias in sinks if not self._sweep(alias, **options)]
        if failed:
            raise CommandError(f"Not swept: {', '.join(failed)}.")

    def _sweep(
        self, alias: str, *, older_than: timedelta, dry_run: bool, verbosity: int, **options: Any
    ) -> bool:
        """Whether it worked; a sink that fails does not keep the others from being swept."""
        try:
            names = asyncio.run(_swept(alias, older_than, dry_run))
        except Exception as exc:
            self.stderr.write(self.style.ERROR(f"{alias}: {exc}"))
            return False
        verb = "would delete" if dry_run else "deleted"
        if verbosity:
            for name in names:
                self.stdout.write(f"{alias}: {verb} {name}")
            self.stdout.write(f"{alias}: {verb} {len(names)} abandoned")
        return True


async def _swept(alias: str, older_than: timedelta, dry_run: bool) -> list[str]:
    sink = sinks[alias]
    try:
        return await sink.sweep(older_than, dry_run=dry_run)
    finally:
        await sink.aclose()
