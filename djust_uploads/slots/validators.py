"""The base class of an application's own checks of files."""

from __future__ import annotations

from .entry import UploadEntry


class Validator:
    """Base class for a check of your own, as in ``allow_upload("docs", validators=[NoDrafts()])``.

    Override one method or both. Raise :class:`~djust_uploads.exceptions.ValidationFailed` or a
    subclass to refuse the file::

        class NoDrafts(Validator):
            def check_registration(self, entry):
                if entry.client_name.startswith("draft"):
                    raise ValidationFailed(message="Please upload the final version.")
    """

    def check_registration(self, entry: UploadEntry) -> None:
        """Judge the entry's names and numbers. Runs on the event loop, so it must not block."""

    def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Judge the first bytes, at most 16 KiB, before the sink opens. Runs in a thread."""
