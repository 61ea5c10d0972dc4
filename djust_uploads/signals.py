"""Signals for what an application does when something happens to an upload.

All receivers get ``entry``, the :class:`~djust_uploads.UploadEntry`, and ``slot``, the name of its
slot. The sender is the class :class:`~djust_uploads.UploadEntry`. Receivers may be ``async``. If a
receiver raises an exception, it is logged, and the upload goes on.

The signals of one upload come in order: the next one is sent when the receivers of the one before
have returned. Only ``upload_completed`` is waited for, so a receiver of another signal may run when
the upload has already gone on, and then sees the entry as it is by then.
"""

from __future__ import annotations

from django.dispatch import Signal

#: The slot takes the file, and the client may send it.
upload_started: Signal = Signal()

#: The upload has lost its connection, and waits for its client. An upload over HTTP is parked
#: between any two of its requests.
upload_parked: Signal = Signal()

#: Another connection goes on with the upload, in the same process or in another one.
upload_resumed: Signal = Signal()

#: This process has left the upload to other processes: it ends, or the client did not come back to
#: it in time, or another process has taken the upload over. Receivers also get ``reason``, a text.
upload_suspended: Signal = Signal()

#: The sink has been given every byte, and stores the file.
upload_finalizing: Signal = Signal()

#: A file is stored, and has passed all checks. It waits to be consumed, and its form may still be
#: wrong. Receivers are called once for each upload, before the client is told, and the upload waits
#: for them.
upload_completed: Signal = Signal()

#: The application is done with a complete upload. Its file was deleted, unless its sink keeps
#: files.
upload_consumed: Signal = Signal()

#: An upload has failed, or the slot did not take the file. Receivers also get ``error``, an
#: :class:`~djust_uploads.UploadError` with ``code`` and ``message``.
upload_failed: Signal = Signal()

#: An upload was cancelled by the user, by the application, or by the end of its connection; or
#: nobody has consumed the complete file in time. Receivers also get ``reason``, a text.
upload_cancelled: Signal = Signal()
