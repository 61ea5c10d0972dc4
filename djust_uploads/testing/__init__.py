"""Tools for your tests.

:class:`UploadClient` is a client without a browser, and :class:`Hostile` makes it misbehave.
:class:`RecordingSink` is a sink that records the calls to it. :class:`SinkContract` tests a sink.

:class:`UploadClient` needs ``pip install websockets``, and :class:`SinkContract` needs
``pip install pytest``. Both packages are imported when they are first used.
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
