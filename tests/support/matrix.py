"""What a test repeats with another store, host, server or protocol.

``make test`` runs each rule where it says most, and the core of every host and store. ``make
test-matrix`` runs all the combinations that are left.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

matrix = pytest.mark.matrix


#: In how many places the contract disturbs each call to a store that is a process of its own, for
#: each kind of fault. Each takes some tenths of a second there.
FAULT_POINTS = int(os.environ.get("FAULT_POINTS", "1"))


def again(value: Any) -> Any:
    """A parameter with which ``make test-matrix`` alone runs the test."""
    return pytest.param(value, marks=matrix)


#: Runs in both hosts. The other tests of these files leave djust to the matrix.
both_hosts = pytest.mark.both_hosts

_IN_ONE_HOST = ("test_examples.py", "test_reconnecting.py")

#: These sinks have passed the whole contract on another store. On this one, the calls that move
#: bytes say most.
_CORE = {"test_django_storages.py": ("open", "write", "finish", "failure")}


def leave_to_matrix(item: pytest.Item) -> None:
    """Mark a test that repeats another one with a fixture's other value."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if params.get("site") == "djust" and item.path.name in _IN_ONE_HOST:
        repeats = item.get_closest_marker("both_hosts") is None
    elif core := _CORE.get(item.path.name):
        repeats = (params.get("call") or params.get("end") or core[0]) not in core
    else:
        # One of the two markups in the light, the other one in the dark.
        repeats = (params.get("markup"), params.get("page")) in (
            ("guide", "dark"),
            ("progress", "light"),
        )
    if repeats:
        item.add_marker(matrix)
