"""Mutation testing of sinks with ``SinkContract`` as the only test: ``make test-mutants``.

cosmic-ray finds the mutants and keeps their results in a session, ``build/mutants/NAME.sqlite``:
what is tested once is not tested again, so a run may be interrupted (``--seconds``). Its own
runner starts an interpreter for each mutant; here each is a fork that has the libraries already.

``python -m tests.mutants [--seconds N] [NAME ...]``, and ``--report`` for the survivors.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import importlib
import importlib.abc
import importlib.machinery
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parents[2]
SESSIONS = ROOT / "build" / "mutants"

#: What the forks need not import themselves. Not the package: its modules are what is mutated.
LIBRARIES = (
    "aiofiles.os",
    "asgiref.sync",
    "blockbuster",
    "channels",
    "django.core.files.storage",
    "django.core.signing",
    "httpx",
    "hypothesis.stateful",
    "pytest",
    "sqlite3",
)

#: Seconds after which a mutant is taken for one that never ends.
TIMEOUT = 240


#: Lines whose mutants no contract of a sink need find: they do the same in more time or with more
#: memory, or do what the contract does not ask for. They are tested, and counted by themselves.
NOT_ASKED = {
    "if TYPE_CHECKING:": "imports that nothing needs at run time",
    "takes_views = True": "a copy of each chunk more",
    "if size < MAPPED_FROM:": "another kind of memory for the same bytes",
    'if hasattr(mmap, "MADV_HUGEPAGE"):': "pages of another size",
    "if room:": "room on the disk",
    "if os.access(self.directory, os.W_OK | os.X_OK):": "manage.py check of what is not there",
    "@atexit.register": "a process that ends by itself",
    "for path in _remaining:": "a process that ends by itself",
    'if hasattr(os, "register_at_fork"):': "a process that forks",
    "except ImportError:  # Windows": "another system",
}


@dataclass
class Target:
    path: str
    kits: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        return [f"{ROOT}/tests/mutants/kits.py::{kit}" for kit in self.kits]


STORAGES = (
    "TestStorageSink",
    "TestSpoolingStorageSink",
    "TestStorageThatMustSpool",
    "TestRenamingStorage",
)

TARGETS = {
    "memory": Target("djust_uploads/sinks/memory.py", ("TestMemorySink", "TestLargeMemorySink")),
    "temporary_file": Target(
        "djust_uploads/sinks/temporary_file.py",
        ("TestTemporaryFileSink", "TestTemporaryFileSinkOfSettings"),
    ),
    "storage_writer": Target("djust_uploads/sinks/storage/writer.py", STORAGES),
    "stored_object": Target("djust_uploads/sinks/storage/stored_object.py", STORAGES),
    "vault": Target("examples/custom_sink/sink.py", ("TestVaultSink",)),
    "http": Target("examples/http_sink/sink.py", ("TestHttpSink",)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--report", action="store_true", help="show results, and test nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the results there are")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.seconds
    SESSIONS.mkdir(parents=True, exist_ok=True)
    shares = []
    for name in arguments.names or TARGETS:
        with session(name, fresh=arguments.fresh) as database:
            if not arguments.report:
                test_mutants(database, TARGETS[name], until)
            shares.append(report(name, database, TARGETS[name], verbose=arguments.report))
    return int(min(shares) < 0.9)


@contextlib.contextmanager
def session(name: str, *, fresh: bool):
    path = SESSIONS / f"{name}.sqlite"
    if fresh:
        path.unlink(missing_ok=True)
    with use_db(str(path), WorkDB.Mode.create) as database:
        if not database.num_work_items:
            target = ROOT / TARGETS[name].path
            init([target], database, {})
            skip_what_changes_nothing(database, target)
        yield database


def skip_what_changes_nothing(database: WorkDB, path: Path) -> None:
    """Skip mutants of annotations, which are text as all modules begin with ``from __future__
    import annotations``, and of numbers that are names of the module, which are sizes and times to
    tune."""
    tree = ast.parse(path.read_text())
    never_run = [
        (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        for node in [*annotations(tree), *numbers(tree)]
    ]
    skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
    for item in list(database.work_items):
        (mutation,) = item.mutations
        start = mutation.start_pos
        for line, column, end_line, end_column in never_run:
            if (line, column) <= start <= (end_line, end_column):
                database.set_result(item.job_id, skipped)
                break


def numbers(tree: ast.Module):
    for node in tree.body:
        if isinstance(node, ast.Assign):
            parts = ast.walk(node.value)
            if all(isinstance(each, ast.Constant | ast.BinOp | ast.operator) for each in parts):
                yield node.value


def annotations(tree: ast.Module):
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.arg(annotation=ast.expr() as annotation):
                yield annotation
            case ast.FunctionDef(returns=ast.expr() as annotation):
                yield annotation
            case ast.AsyncFunctionDef(returns=ast.expr() as annotation):
                yield annotation


def test_mutants(database: WorkDB, target: Target, until: float) -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    path = ROOT / target.path
    code = path.read_text()
    pending = list(database.pending_work_items)
    if pending and time.monotonic() < until:
        unchanged = outcome_of(path, code, target.arguments)
        assert unchanged == TestOutcome.SURVIVED, f"{target.kits} fail without a mutation"
    for item in pending:
        if time.monotonic() > until:
            return
        (mutation,) = item.mutations
        operator = get_operator(mutation.operator_name)(**mutation.operator_args)
        mutated = mutate_code(code, operator, mutation.occurrence)
        lines = code.splitlines(True), (mutated or "").splitlines(True)
        diff = "".join(difflib.unified_diff(*lines))
        outcome = outcome_of(path, mutated, target.arguments) if mutated else None
        worker = WorkerOutcome.NORMAL if mutated else WorkerOutcome.NO_TEST
        database.set_result(item.job_id, WorkResult(worker, "", outcome, diff))


def outcome_of(path: Path, mutated: str, arguments: list[str]) -> TestOutcome:
    """Test a mutant in a fork."""
    folder = tempfile.mkdtemp(prefix="mutant-")
    child = os.fork()
    if child == 0:
        run_mutant(path, mutated, arguments, folder)
    try:
        return {0: TestOutcome.SURVIVED}.get(wait_for(child), TestOutcome.KILLED)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(child: int) -> int:
    """Return the status with which a process ended, or -1 if it had to be killed."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def run_mutant(path: Path, mutated: str, arguments: list[str], folder: str) -> None:
    """Run the tests in this process, and end it."""
    os.setpgid(0, 0)
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path[:0] = [str(ROOT), str(path.parent)] if "examples" in path.parts else [str(ROOT)]
    sys.meta_path.insert(0, Mutating(path, mutated))
    status = 99
    try:
        import django
        import pytest

        django.setup()
        options = ["-c", os.devnull, "--rootdir", folder, "--noconftest", "-x", "-W", "error"]
        options += ["-p", "no:cacheprovider", "--basetemp", f"{folder}/tests", "-q"]
        status = int(pytest.main([*options, *arguments]))
    finally:
        # Threads of a mutant may never end.
        os._exit(status)


class Mutating(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Imports one file as mutated, whatever its module is called."""

    def __init__(self, path: Path, mutated: str) -> None:
        super().__init__("mutated", str(path))
        self.mutated = mutated.encode()

    def find_spec(self, fullname, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin == self.path:
            self.name = fullname
            spec.loader = self
            spec.cached = None
            return spec
        return None

    def get_code(self, fullname):
        return compile(self.mutated, self.path, "exec", dont_inherit=True)


def report(name: str, database: WorkDB, target: Target, *, verbose: bool) -> float:
    """Print how many mutants died, and return the share of those that the contract must find."""
    lines = (ROOT / target.path).read_text().splitlines()
    results = dict(database.results)
    asked: list[WorkResult] = []
    not_asked: list[WorkResult] = []
    for item in database.work_items:
        result = results.get(item.job_id)
        if result and result.worker_outcome == WorkerOutcome.NORMAL:
            line = lines[item.mutations[0].start_pos[0] - 1].strip()
            (not_asked if line in NOT_ASKED else asked).append(result)
    survivors = [each for each in asked if not each.is_killed]
    share = 1 - len(survivors) / len(asked) if asked else 1.0
    left = database.num_work_items - len(results)
    print(
        f"{name}: {len(asked) - len(survivors)} of {len(asked)} mutants killed, {share:.1%}, and "
        f"{sum(each.is_killed for each in not_asked)} of {len(not_asked)} in lines of which the "
        f"contract asks nothing; {left} not tested yet"
    )
    for each in survivors if verbose else []:
        diff = (each.diff or "").splitlines()[2:]
        print("\n".join(line for line in diff if line[:1] in "+-@"), "\n")
    return share


if __name__ == "__main__":
    sys.exit(main())
