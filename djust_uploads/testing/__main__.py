"""Runs :class:`djust_uploads.testing.SinkContract` on a sink without a test file.

::

    python -m djust_uploads.testing check path.to.Sink bucket=media part_size=5242880
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.utils.module_loading import import_string

#: The hooks of the contract that can be given by the path of a function, and what each one does.
HOOKS = {
    "leftovers": ": the names of everything in the store",
    "failing_store": ": a context in which the store fails",
    "refusing_store": ": a context in which the store refuses everything",
    "losing_answers": ": a context in which the store's answers get lost",
    "store_something_else": ": it stores what is no upload",
    "damage_store": " and of -1 or 1: it makes all that is stored a byte shorter, or longer",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: pytest's, or 2 for arguments that can't be."""
    parser = argparse.ArgumentParser(prog="python -m djust_uploads.testing")
    check = parser.add_subparsers(dest="command", required=True).add_parser(
        "check", help="run SinkContract on a sink"
    )
    check.add_argument("sink", help="the path of the Sink class, as BACKEND has it")
    check.add_argument(
        "options", nargs="*", metavar="option=value", help="OPTIONS of the sink, in JSON or as text"
    )
    check.add_argument("--part-size", type=int, help="bytes that it hands to its store at once")
    check.add_argument("--resumable", action="store_true", help="it must have checkpoints")
    check.add_argument("--fault-points", type=int, help="how often to disturb each call at most")
    check.add_argument("--time-limit", type=float, help="seconds that a test may take")
    for hook, does in HOOKS.items():
        option = f"--{hook.replace('_', '-')}"
        check.add_argument(option, metavar="PATH", help=f"a function of the sink{does}")
    check.add_argument("-k", default="", help="only these tests, as with pytest")
    parsed = parser.parse_args(arguments)
    # As for manage.py, what is in the working directory can be imported.
    sys.path.insert(0, str(Path.cwd()))
    _set_up_django()
    try:
        contract = contract_for(parsed)
    except (ImportError, ValueError, TypeError) as exc:
        parser.error(str(exc))
    return _run(contract, parsed.k)


def _set_up_django() -> None:
    if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure(INSTALLED_APPS=["djust_uploads"], SECRET_KEY="for tests only")
    django.setup()


def contract_for(parsed: argparse.Namespace) -> type:
    """Return the contract's class for the sink that the arguments name.

    Raises ``ImportError`` for a path that leads nowhere, and ``ValueError`` or ``TypeError`` for
    options that the sink does not take.
    """
    try:
        import pytest
    except ImportError as exc:
        raise ImportError(f"SinkContract needs pytest: pip install pytest ({exc})") from exc

    from .contract import SinkContract

    sink_class, options = import_string(parsed.sink), dict(map(_option, parsed.options))
    sink_class(**options)

    def sink(self: Any) -> Any:
        return sink_class(**options)

    values: dict[str, Any] = {
        "sink": pytest.fixture(sink),
        "another_process": lambda self, _: sink_class(**options),
        "resumable": parsed.resumable,
    }
    for name in ("part_size", "fault_points", "time_limit"):
        if (value := getattr(parsed, name)) is not None:
            values[name] = value
    for name in HOOKS:
        if path := getattr(parsed, name):
            values[name] = _hook(import_string(path))
    return type(f"Test{sink_class.__name__}", (SinkContract,), values)


def _option(argument: str) -> tuple[str, Any]:
    name, equals, value = argument.partition("=")
    if not equals:
        raise ValueError(f"{argument!r} is no option: write name=value")
    with contextlib.suppress(ValueError):
        return name, json.loads(value)
    return name, value


def _hook(function: Any) -> Any:
    return lambda self, *arguments: function(*arguments)


def _run(contract: type, only: str) -> int:
    import pytest

    from . import checked

    setattr(checked, contract.__name__, contract)
    # Neither the settings nor the plugins of a project have a say in it.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-c", os.devnull, "--rootdir", str(Path.cwd()), "--noconftest"]
    options += ["-p", "no:cacheprovider", "-W", "error", "-k", only, "--tb", "short", "-v"]
    return int(pytest.main([*options, str(checked.__file__)]))


if __name__ == "__main__":
    sys.exit(main())
