"""Keeps the files of a multipart POST within the limits of their fields while they arrive.

Django's own handlers take any file, as large as it may be, before a form sees it. A page that posts
its files with the form tells the slot of each field in a hidden input before the file. A file of
such a field is kept in a temporary file, up to the slot's ``max_file_size``. The form's validation
then stores it as it stores any upload. All other files are left to Django's handlers.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.http.multipartparser import MultiPartParser

from ...exceptions import InvalidSink, InvalidSlot, SinkError, UnknownSlot
from ...sinks.disk import translated
from .names import field_of

if TYPE_CHECKING:
    _UploadedFile = UploadedFile[bytes]
else:
    # The class is generic for type checkers only.
    _UploadedFile = UploadedFile

#: What is added to the name of a file input for the name of the input with its slot.
SLOT_SUFFIX = "-slot"

#: Bytes of a file that stay in memory. The rest of it goes to a temporary file.
IN_MEMORY = 256 * 1024


class FormUploadHandler(FileUploadHandler):
    """Parses the POST with a :class:`SlotFileHandler` before Django's handlers.

    A handler is not told which fields were parsed before a file. So this one replaces the parser by
    another one of Django's, which it can ask.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> Any:
        """Return what Django's parser makes of the POST."""
        assert self.request
        others = [each for each in self.request.upload_handlers if each is not self]
        files = SlotFileHandler(self.request)
        parser = MultiPartParser(META, input_data, [files, *others], encoding)
        files.parser = parser
        return parser.parse()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


class SlotFileHandler(FileUploadHandler):
    """Takes the files of upload fields, and leaves all others to the next handlers."""

    parser: Any = None
    _file: BoundedFile | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._file = None
        limit = self._limit(str(self.field_name))
        if limit is not None:
            self._file = BoundedFile(str(self.file_name), str(self.content_type or ""), limit)
            raise StopFutureHandlers

    def _limit(self, field_name: str) -> int | None:
        """Return the bytes that a file of the field may have, or ``None`` for other fields."""
        # What Django's parser has parsed so far has no public name.
        slot = self.parser._post.get(field_name + SLOT_SUFFIX)
        if slot is None:
            return None
        try:
            return field_of(slot).slot.max_file_size
        except (UnknownSlot, InvalidSlot, InvalidSink):
            return None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if self._file is None:
            return raw_data
        self._file.take(raw_data)
        return None

    def file_complete(self, file_size: int) -> Any:
        file, self._file = self._file, None
        if file:
            file.complete(file_size)
        return file

    def upload_interrupted(self) -> None:
        if self._file:
            self._file.close()


class BoundedFile(_UploadedFile):
    """A file that came with a POST.

    Of a file with more than ``limit`` bytes, only the first ones are kept. Its ``size`` is right,
    so the slot refuses it. Of a file that the disk does not take, nothing is kept, and
    :meth:`check` says why.
    """

    def __init__(self, name: str, content_type: str, limit: int) -> None:
        spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (Django closes it)
            IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        super().__init__(spool, name, content_type, 0)
        self._spool: IO[bytes] = spool
        self._room = limit
        self._error: SinkError | None = None

    def take(self, data: bytes) -> None:
        """Keep the next bytes, if there is room for them."""
        if self._room >= len(data) and not self._error:
            with self._writing():
                self._spool.write(data)
        self._room -= len(data)

    def complete(self, size: int) -> None:
        """Note that all ``size`` bytes have come."""
        self.size = size
        with self._writing():
            self._spool.seek(0)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep an error of the disk for the form: here it would end the whole request."""
        try:
            with translated("the file of a form"):
                yield
        except SinkError as error:
            self._error = error
            # What is buffered can't be written now either. The disk gets its room back.
            with contextlib.suppress(OSError):
                self._spool.close()
            self._spool = io.BytesIO()
            self.file: IO[Any] | None = self._spool

    def check(self) -> None:
        """Raises the :class:`SinkError` for which the file could not be kept."""
        if self._error:
            raise self._error
