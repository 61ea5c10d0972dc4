"""The inspection of one upload's bytes, by the package's own rules and by the slot's validators."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..flow.threads import in_thread
from ..slots.acceptance import HEAD_SIZE, check_content, mistakes_translated, xml_guard
from ..slots.validators import Validator

if TYPE_CHECKING:
    from ..content.xml import XMLGuard
    from ..files import SinkFile
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot

logger: logging.Logger = logging.getLogger("djust_uploads")

#: An application's validators may be slow. They have threads of their own, so that only uploads
#: with validators wait for them.
_validating = ThreadPoolExecutor(thread_name_prefix="upload-validator")

#: Bytes that are read at once of a stored file that is inspected again.
_READ_SIZE = 1024 * 1024


class Inspection:
    """Passes one upload's bytes to all checks that may refuse them.

    The transfer calls :meth:`check_head`, then :meth:`check_chunk` for each chunk,
    :meth:`check_end` and :meth:`check_file`. If another process began the upload, not all of its
    bytes were inspected here, so :meth:`check_file` inspects the whole file. All methods raise an
    :class:`~djust_uploads.exceptions.UploadError` for a file that is refused.
    """

    def __init__(self, slot: UploadSlot, entry: UploadEntry) -> None:
        self._slot = slot
        self._entry = entry
        self._validators: list[Validator] = []
        self._readers: list[Validator] = []
        self._guard: XMLGuard | None = None
        self._began = False

    async def check_head(self, head: bytes) -> None:
        """Judge the first bytes, and set ``entry.content_type``."""
        await in_thread(check_content, self._slot, self._entry, head)
        await self._begin(head)

    async def _begin(self, head: bytes) -> None:
        self._began = True
        for validator in self._slot.validators:
            with mistakes_translated(validator):
                self._validators.append(validator.for_upload(self._entry))
        self._readers = [validator for validator in self._validators if validator.reads_all()]
        self._guard = xml_guard(self._slot, self._entry, head)
        for validator in self._validators:
            await self._ask(validator, validator.check_content, head)

    @property
    def reads_all(self) -> bool:
        """Whether there is a check of more than the first bytes."""
        return self._guard is not None or bool(self._readers)

    async def check_chunk(self, chunk: bytes | memoryview) -> None:
        """Judge the next bytes."""
        if self._guard:
            await in_thread(self._guard.feed, bytes(chunk))
        for validator in self._readers:
            await self._ask(validator, validator.check_chunk, bytes(chunk))

    async def check_end(self) -> None:
        """Judge the file when all of its bytes were passed to :meth:`check_chunk`."""
        if self._guard:
            await in_thread(self._guard.feed, b"", True)
        for validator in self._readers:
            await self._ask(validator, validator.check_end)

    async def check_file(self, file: SinkFile) -> None:
        """Judge the stored file."""
        if not self._began:
            await self._check_stored(file)
        for validator in self._validators:
            if type(validator).check_file is not Validator.check_file:
                # The validator before this one may have read the file.
                await _in_thread(file.open)
                await self._ask(validator, validator.check_file, file)
        if not file.closed:
            await _in_thread(file.close)

    async def _check_stored(self, file: SinkFile) -> None:
        """Judge the bytes of a file that another process began.

        The validators are asked everything once more. What they began at the first bytes, such as a
        connection, belongs to the other process.
        """
        await self._begin(await file.aread(HEAD_SIZE))
        if self.reads_all:
            async for chunk in file.achunks(_READ_SIZE):
                await self.check_chunk(chunk)
            await self.check_end()

    async def close(self) -> None:
        """Let the validators free what they hold."""
        validators, self._validators = self._validators, []
        for validator in validators:
            try:
                await self._ask(validator, validator.ended)
            except Exception:
                logger.exception("%s.ended() raised", type(validator).__name__)

    async def _ask(self, validator: Validator, check: Callable[..., Any], *args: Any) -> None:
        with mistakes_translated(validator):
            if inspect.iscoroutinefunction(check):
                await check(self._entry, *args)
            else:
                await _in_thread(check, self._entry, *args)


async def _in_thread(function: Callable[..., Any], *args: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(_validating, function, *args)
