"""A client for programs: it uploads a file over HTTP, and goes on after any interruption.

::

    from djust_uploads.client import upload

    uploaded = await upload("https://example.com/uploads/", "film.mp4")

It speaks tus 1.0.0 (https://tus.io/protocols/resumable-upload), so that the server may be an
:class:`~djust_uploads.UploadEndpoint` or any other tus server. It needs ``pip install
'djust-uploads[client]'``, and no Django settings. ``python -m djust_uploads upload`` is the same in
a terminal.
"""

from __future__ import annotations

try:
    import httpx  # noqa: F401
    import platformdirs  # noqa: F401
except ImportError as _exc:
    raise ImportError(
        f"djust_uploads.client needs httpx and platformdirs: "
        f"pip install 'djust-uploads[client]' ({_exc})"
    ) from _exc

from .errors import (
    ClientError,
    DigestMismatch,
    FileChanged,
    InvalidAnswer,
    NotAuthorized,
    Refused,
    ServerFailed,
    TakenOver,
    TooLarge,
    Unreachable,
    UploadGone,
)
from .uploading import Uploaded, upload

__all__ = [
    "ClientError",
    "DigestMismatch",
    "FileChanged",
    "InvalidAnswer",
    "NotAuthorized",
    "Refused",
    "ServerFailed",
    "TakenOver",
    "TooLarge",
    "Unreachable",
    "UploadGone",
    "Uploaded",
    "upload",
]
