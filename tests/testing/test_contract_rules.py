"""The page for authors of sinks lists each rule with the test that proves it."""

from __future__ import annotations

import re

from djust_uploads.testing import SinkContract
from tests.support.servers import ROOT


def test_the_page_lists_each_rule_with_its_tests():
    page = (ROOT / "docs" / "custom-sinks.md").read_text()
    _, _, rules = page.partition("## The rules, and the tests that prove them")
    rows = re.findall(r"^\| ([A-Z`].*?) \| (.*) \|$", rules, re.M)
    listed = {name for _, tests in rows for name in re.findall(r"`(test_\w+)`", tests)}
    assert all("`test_" in tests for _, tests in rows)
    assert listed == {name for name in dir(SinkContract) if name.startswith("test_")}


def test_the_page_lists_each_hook():
    page = (ROOT / "docs" / "custom-sinks.md").read_text()
    named = set(re.findall(r"^\| `(\w+)", page, re.M))
    hooks = {name for name in dir(SinkContract) if not name.startswith(("_", "test_"))}
    assert hooks - {"sink"} <= named
