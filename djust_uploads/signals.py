"""Signals, for what an application does after an upload, for example thumbnails or scans."""

from __future__ import annotations

from django.dispatch import Signal

#: A file is stored, and has passed all checks. It waits to be consumed, and its form may still be
#: wrong. Receivers get ``entry``, the :class:`~djust_uploads.UploadEntry`, and ``slot``, the name
#: of its slot. They are called once for each upload, before the client is told, and may be
#: ``async``. If a receiver raises an exception, it is logged, and the upload goes on. The sender is
#: the class :class:`~djust_uploads.UploadEntry`.
upload_completed: Signal = Signal()
