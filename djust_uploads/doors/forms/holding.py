"""An upload that a form holds from its validation until the view has returned."""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import connections, router, transaction

from ... import receipts
from ...flow import bridge
from ...sinks.base import Sink

if TYPE_CHECKING:
    from django.core.files.storage import Storage
    from django.db.models import Model
    from django.forms import BaseForm

    from ...slots.entry import UploadEntry
    from ...slots.slot import UploadSlot
    from ...uploads.sessions import Requester

logger: logging.Logger = logging.getLogger("djust_uploads")


class Held:
    """A complete upload that nobody else gets meanwhile.

    ``receipt`` leads to it again if the form is shown again. ``stack`` lets it go.
    """

    def __init__(
        self, claim: receipts.Claim, receipt: str, stack: contextlib.AsyncExitStack
    ) -> None:
        self.receipt = receipt
        self.form: BaseForm | None = None
        #: The name of the field that has it, in the POST.
        self.place = ""
        #: Whether the page that is answered shows the upload as one that waits to be saved.
        self.shown = False
        #: Whether the user has removed it.
        self.removed = False
        self._claim = claim
        self._stack = stack
        self._saved: Saved | None = None

    @property
    def entry(self) -> UploadEntry:
        """The upload. Its ``file`` is the sink's."""
        return self._claim.entry

    @property
    def ended(self) -> bool:
        """Whether the application has the upload for good, or nobody has it any more."""
        return self._claim.consumed

    def saved(self, saved: Saved) -> None:
        """Note that the file was saved to a field of a model."""
        self._saved = saved

    async def consume(self) -> None:
        """Give the upload to the application, for good."""
        await self._claim.consume()
        await self._stack.aclose()

    async def _consume_after(self) -> None:
        """Consume the upload when the view has returned.

        The file is deleted if its sink does not keep files, or if the model's storage has a copy.
        """
        await self.consume()
        if not self.entry.keeps_file or (self._saved and not self._saved.in_place):
            await self.entry.file.adelete()

    async def release(self) -> None:
        """Let the upload wait for the next request that has its receipt."""
        self.entry.file.close()
        await self._stack.aclose()

    async def discard(self) -> None:
        """Delete the upload."""
        await self._claim.discard()
        await self._stack.aclose()

    async def settle(self, *, answered: bool) -> None:
        """Do what the view's answer means for the upload. ``answered`` is false after an error."""
        try:
            await self._settle(answered)
            # The form refers to us, and to nothing that must be closed.
            self.form = None
        except Exception:
            logger.exception("%r could not be settled; it waits to expire", self.entry)

    async def _settle(self, answered: bool) -> None:
        if self.ended:
            return
        saved = self._saved
        if self.removed:
            await self.discard()
        elif saved and saved.rolled_back:
            await sync_to_async(saved.undo, thread_sensitive=False)()
            await self.release()
        elif saved or (answered and not self.shown and self._is_valid and not self._postponed):
            await self._consume_after()
        else:
            await self.release()

    @property
    def _is_valid(self) -> bool:
        return self.form is None or not self.form.errors

    @property
    def _postponed(self) -> bool:
        return self.entry.take_postponed()


class Saved:
    """Where a file was saved for a model's field, and whether the transaction is to last."""

    def __init__(self, storage: Storage, name: str, *, in_place: bool, instance: Model) -> None:
        self.in_place = in_place
        self._storage = storage
        self._name = name
        self._committed = False
        using = instance._state.db or router.db_for_write(type(instance), instance=instance)
        self._waiting: weakref.ref[Callable[[], None]] | None = None
        if connections[using].in_atomic_block:

            def committed() -> None:
                self._committed = True

            # Django refers to the function until it has called it, or the transaction (or the
            # savepoint) is rolled back. There is no other sign of a rollback.
            self._waiting = weakref.ref(committed)
            transaction.on_commit(committed, using=using)
        else:
            self._committed = True

    @property
    def rolled_back(self) -> bool:
        """Whether the row that was to refer to the file does not exist."""
        return not self._committed and (self._waiting is None or self._waiting() is None)

    def undo(self) -> None:
        """Delete the copy in the model's storage. Blocks."""
        if not self.in_place:
            self._storage.delete(self._name)


def hold(receipt: str, requester: Requester | Mapping[str, Any], slot: UploadSlot) -> Held:
    """Return the upload of a receipt. Nobody else gets it until it is settled.

    Blocks. Raises what :func:`djust_uploads.receipts.claimed` raises.
    """
    return bridge.run(_hold, receipt, requester, slot)


async def _hold(receipt: str, requester: Requester | Mapping[str, Any], slot: UploadSlot) -> Held:
    stack = contextlib.AsyncExitStack()
    sink = slot.sink if isinstance(slot.sink, Sink) else None
    claim = await stack.enter_async_context(
        receipts.claimed(receipt, requester, slot=slot.name, sink=sink)
    )
    return Held(claim, receipt, stack)
