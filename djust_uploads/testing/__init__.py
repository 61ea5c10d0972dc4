"""For your tests: a scripted client, a sink that remembers, the contract that any sink passes.

:class:`UploadClient` needs ``pip install websockets``, :class:`SinkContract` ``pip install
pytest``; neither is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import UploadClient, UploadFailed
from .hostile import Hostile
from .recording import RecordingSink

if TYPE_CHECKING:
    from .contract import SinkContract

__all__ = ["Hostile", "RecordingSink", "SinkContract", "UploadClient", "UploadFailed"]


def __getattr__(name: str) -> Any:
    if name != "SinkContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .contract import SinkContract

    return SinkContract
