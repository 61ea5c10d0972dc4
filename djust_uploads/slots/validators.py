"""The base class of an application's own checks."""

from __future__ import annotations

from .entry import UploadEntry


class Validator:
    """Base for an application's own checks: ``allow_upload(…, validators=[NoPortraits()])``.

    Override one method or both, and raise
    :class:`~djust_uploads.exceptions.ValidationFailed` or a subclass to refuse the file::

        class NoDrafts(Validator):
            def check_registration(self, entry):
                if entry.client_name.startswith("draft"):
                    raise ValidationFailed(message="Please upload the final version.")
    """

    def check_registration(self, entry: UploadEntry) -> None:
        """Judge names and numbers. Runs on the event loop: must not block."""

    def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Judge the first bytes (at most 16 KiB), before the sink opens. Runs in a thread."""
