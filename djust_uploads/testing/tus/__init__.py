"""A checklist of tus 1.0.0 that runs against any server.

::

    python -m djust_uploads.testing.tus http://localhost:8000/uploads/

It needs ``pip install httpx``, and nothing of Django. The protocol is at
https://tus.io/protocols/resumable-upload. Each check is a sentence of it, or something that clients
rely on although the protocol does not say it. In pytest::

    from djust_uploads.testing.tus import TusServer, checks

    @pytest.mark.parametrize("check", checks(), ids=str)
    def test_tus(check):
        with TusServer("http://localhost:8000/uploads/") as server:
            outcome = check.run(server)
        assert outcome.verdict != "failed", outcome.reason
"""

from __future__ import annotations

try:
    import httpx  # noqa: F401
except ImportError as _exc:
    raise ImportError(f"The checklist of tus needs httpx: pip install httpx ({_exc})") from _exc

from .check import Check, Level, Outcome, checks
from .expect import Violation
from .server import TusServer, Upload

__all__ = ["Check", "Level", "Outcome", "TusServer", "Upload", "Violation", "checks"]
