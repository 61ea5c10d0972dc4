"""The threat model names tests that are there."""

from __future__ import annotations

import re

from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_threat_names_tests_that_are_there():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "Threat" not in line]
    assert len(rows) >= 15
    for row in rows:
        tests = list(named_in(row.split("|")[3]))
        assert tests, row
        for path, test in tests:
            text = (ROOT / path).read_text()
            assert not test or re.search(rf"def {test}\b", text), (path, test)


def named_in(cell):
    """Yield the file and the name of each test. A name without a file is in the file before."""
    path = ""
    for name in re.findall(r"`([^`]+)`", cell):
        file, _, test = name.partition("::")
        path = file or path
        yield path, test
