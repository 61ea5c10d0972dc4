"""The base class of checks that an application adds to a slot."""

from __future__ import annotations

import copy
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from .entry import UploadEntry

if TYPE_CHECKING:
    from ..files import SinkFile


class Validator:
    """Base class of a check, as in ``allow_upload("docs", validators=[NoDrafts()])``.

    Override the methods that you need. Raise :class:`~djust_uploads.exceptions.ValidationFailed` or
    a subclass of it to refuse the file::

        class NoDrafts(Validator):
            def check_registration(self, entry):
                if entry.client_name.startswith("draft"):
                    raise ValidationFailed(message="Please upload the final version.")

    The methods are called in the order in which they stand here. All but ``check_registration`` may
    be coroutine functions, which run on the event loop. Otherwise they run in a thread, so they may
    block. They are called on a copy of the validator that is made for each upload, so they may keep
    what they need in attributes of ``self``.

    An upload that goes on in another process is checked there when its file is stored: the file is
    read once more and passed to ``check_content``, ``check_chunk`` and ``check_end``.
    """

    def check_registration(self, entry: UploadEntry) -> None:
        """Judge the entry's names and numbers. Runs on the event loop, so it must not block."""

    def for_upload(self, entry: UploadEntry) -> Validator:
        """Return the validator that checks the bytes of ``entry``: a shallow copy of this one."""
        return copy.copy(self)

    def check_content(self, entry: UploadEntry, head: bytes) -> Awaitable[None] | None:
        """Judge the first bytes, at most 16 KiB, before the sink opens."""
        return None

    def check_chunk(self, entry: UploadEntry, chunk: bytes) -> Awaitable[None] | None:
        """Judge the next bytes, before the sink gets them.

        Every byte of the file is passed once, in order. The client is slowed down while the method
        runs."""
        return None

    def check_end(self, entry: UploadEntry) -> Awaitable[None] | None:
        """Judge the file when ``check_chunk`` has got all of its bytes.

        The sink has not finished the file yet. A file that is refused here never becomes an object
        in a cloud store."""
        return None

    def check_file(self, entry: UploadEntry, file: SinkFile) -> Awaitable[None] | None:
        """Judge the stored file, before the upload is complete.

        ``file`` is at its first byte. It is deleted if it is refused."""
        return None

    def ended(self, entry: UploadEntry) -> Awaitable[None] | None:
        """Free what the validator holds.

        This is called once for each upload whose first bytes have arrived, however the upload ends.
        If it raises an exception, the exception is only logged."""
        return None

    @classmethod
    def reads_all(cls) -> bool:
        """Return whether the class judges more of the bytes than the first ones as they arrive."""
        return (
            cls.check_chunk is not Validator.check_chunk or cls.check_end is not Validator.check_end
        )
