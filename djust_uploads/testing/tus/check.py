"""What a check is, and what came of it."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import httpx

from .expect import NotApplicable, Violation
from .server import TusServer

#: Which extensions the protocol has, in the order of its sections; "core" comes first. There is a
#: module with checks for each of them.
SECTIONS = (
    "core",
    "creation",
    "creation-defer-length",
    "creation-with-upload",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)


class Level(enum.Enum):
    """How much a check matters."""

    #: The protocol says MUST, or MUST NOT.
    MUST = "MUST"
    #: The protocol says SHOULD.
    SHOULD = "SHOULD"
    #: The protocol does not say it, or not the status. Clients expect it.
    EXPECTED = "EXPECTED"


@dataclass(frozen=True)
class Outcome:
    """What came of one check against one server."""

    check: Check
    #: "passed"; "failed"; or "skipped", because the server does not announce what it is about.
    verdict: Literal["passed", "failed", "skipped"]
    #: Why it did not pass, or why it was skipped.
    reason: str = ""


@dataclass(frozen=True)
class Check:
    """One sentence of the protocol."""

    section: str
    level: Level
    #: The sentence, in plain words.
    sentence: str
    function: Callable[[TusServer], None]

    def __str__(self) -> str:
        return f"{self.section}-{self.function.__name__}"

    def run(self, server: TusServer) -> Outcome:
        """Try it, and terminate the uploads that it has created. A server that does not answer
        fails the check."""
        if self.section != "core" and self.section not in server.extensions:
            reason = f"The server does not announce {self.section}."
            return Outcome(self, "skipped", reason)
        try:
            self.function(server)
        except NotApplicable as exc:
            return Outcome(self, "skipped", str(exc))
        except Violation as exc:
            return Outcome(self, "failed", str(exc))
        except httpx.HTTPError as exc:
            reason = f"The server did not answer: {type(exc).__name__} {exc}".rstrip()
            return Outcome(self, "failed", reason)
        finally:
            server.clean_up()
        return Outcome(self, "passed")


_CHECKS: list[Check] = []

Function = Callable[[TusServer], None]


def check(section: str, level: Level) -> Callable[[Function], Function]:
    """Add the decorated function to the checklist. The first paragraph of its docstring is the
    sentence that it proves."""

    def add(function: Function) -> Function:
        sentence = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        _CHECKS.append(Check(section, level, sentence, function))
        return function

    return add


def checks(sections: Iterable[str] = SECTIONS) -> list[Check]:
    """Return the checks of some sections, or of all, in the protocol's order."""
    for section in SECTIONS:
        importlib.import_module(f".extensions.{section.replace('-', '_')}", __package__)
    return [check for section in sections for check in _CHECKS if check.section == section]
