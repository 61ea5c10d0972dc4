"""``manage.py uploads`` shows the uploads that are running and parked, of all processes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from ...lifecycle.notifying import observers
from ...observability.processes import ProcessReport, ProcessReports, UploadReport, read_reports

_REPORTS = f"{ProcessReports.__module__.rpartition('.')[0]}.{ProcessReports.__name__}"


class Command(BaseCommand):
    help = (
        "Shows the uploads that are running, parked, or complete and not consumed, of all "
        "processes that share RESUME_CACHE."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument("--slot", help="Show the uploads of this slot only.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not any(isinstance(one, ProcessReports) for one in observers()):
            raise CommandError(
                f"The processes do not report their uploads. Add {_REPORTS!r} to "
                "DJUST_UPLOADS['OBSERVERS']."
            )
        reports = read_reports()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(report) for report in reports], indent=2))
            return
        if not reports:
            self.stdout.write("No process has uploads.")
        for report in reports:
            self._print(report, options["slot"])

    def _print(self, report: ProcessReport, slot: str | None) -> None:
        age = max(0, time.time() - report.at)
        counts = ", ".join(f"{n} {state}" for state, n in sorted(report.counts.items()))
        held = _bytes(report.buffered + report.sending)
        self.stdout.write(f"{report.process}: {counts}; holds {held}; {age:.0f} s ago")
        for upload in report.uploads:
            if slot in (None, upload.slot):
                self.stdout.write(f"  {_line(upload)}")
        if (unlisted := sum(report.counts.values()) - len(report.uploads)) > 0:
            self.stdout.write(f"  and {unlisted} more")


def _line(upload: UploadReport) -> str:
    percent = 100 * upload.received // upload.size if upload.size else 100
    return (
        f"{upload.id}  {upload.state:8}  {percent:3} % of {_bytes(upload.size)}  "
        f"{upload.seconds:.0f} s  {upload.slot} -> {upload.sink or '?'}  {upload.client_name}"
    )


def _bytes(size: int) -> str:
    return filesizeformat(size).replace("\xa0", " ")
