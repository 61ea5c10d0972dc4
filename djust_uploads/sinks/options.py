"""The ``OPTIONS`` of a sink, refused where they are given."""

from __future__ import annotations

from typing import Any


def refuse_wrong(*options: tuple[str, Any, Any, str]) -> None:
    """Each: name, value, whether it can be, and what can be. Raises ``ValueError`` for the first
    that can't."""
    for name, value, holds, accepted in options:
        if not holds:
            raise ValueError(f"{name} must be {accepted}. Got: {value!r}")
