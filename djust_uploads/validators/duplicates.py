"""``DuplicateValidator``: refuses files that the application already has."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async

from ..exceptions import DuplicateFile
from ..slots.entry import UploadEntry
from ..slots.validators import Validator


class DuplicateValidator(Validator):
    """Refuses a file whose SHA-256 the application knows.

    ``known`` is a function or coroutine function ``(sha256, entry) -> bool``, where ``sha256`` has
    64 hex digits. It is called when all bytes have arrived, and before the sink finishes the file::

        async def known(sha256, entry):
            return await Photo.objects.filter(sha256=sha256).aexists()

        self.allow_upload("photos", validators=[DuplicateValidator(known)])

    Two equal files that arrive at the same time are both accepted, unless the application's own
    unique constraint refuses one. Raises :class:`~djust_uploads.exceptions.DuplicateFile`.
    """

    def __init__(self, known: Callable[[str, UploadEntry], Any]) -> None:
        if not callable(known):
            raise TypeError(f"known must be callable. Got: {known!r}")
        self._known = known
        self._hash: Any = None

    def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Begin a hash for this upload."""
        self._hash = hashlib.sha256()

    def check_chunk(self, entry: UploadEntry, chunk: bytes) -> None:
        """Hash the chunk."""
        self._hash.update(chunk)

    async def check_end(self, entry: UploadEntry) -> None:
        """Ask the application whether it knows the file."""
        known = self._known
        if not inspect.iscoroutinefunction(known):
            known = sync_to_async(known)
        if await known(self._hash.hexdigest(), entry):
            raise DuplicateFile(f"{entry!r} is known")
