"""What operators see of uploads. ``docs/observability.md`` shows how it is used.

Name a class by its import path in ``DJUST_UPLOADS["OBSERVERS"]``. A class that needs a library is
imported when its name is first used, and raises ``ImportError`` if the library is missing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..lifecycle.observer import Observer
from .processes import ProcessReports

if TYPE_CHECKING:
    from .prometheus import PrometheusMetrics, metrics
    from .tracing import OpenTelemetrySpans

_HOMES = {
    "OpenTelemetrySpans": "tracing",
    "PrometheusMetrics": "prometheus",
    "metrics": "prometheus",
}

__all__ = [
    "Observer",
    "OpenTelemetrySpans",
    "ProcessReports",
    "PrometheusMetrics",
    "metrics",
]


def __getattr__(name: str) -> Any:
    """Import what needs a library.

    Raises ``ImportError`` if it is not installed. The error says which ``pip install`` is missing.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
