"""The slots of one connection and the entries in them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..content.sizes import readable_size
from ..exceptions import TooFewFiles, TooManyFiles, TotalTooLarge
from ..settings import upload_settings
from . import process

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot
    from ..transfer.transfer import Transfer

#: How many refs are remembered after their uploads have ended. Late frames of a remembered ref are
#: dropped. Late frames of any other ref are reported as an error.
_REMEMBERED_REFS = 4096

#: Bytes that a client may have sent of files whose registrations are not answered yet. More than
#: their limits is never buffered: a client that sends more is slowed down.
EARLY_LIMIT = 256 * 1024

#: The most failed entries that a slot keeps visible.
_MAX_FAILED = 100


class Roster:
    """Knows which entries there are, in which slot, and which of them are on their way.

    Handlers in threads read and remove entries while the event loop adds some. Each change of a
    dictionary is one step under the GIL.
    """

    def __init__(self) -> None:
        self.slots: dict[str, UploadSlot] = {}
        #: Ref to entry, for entries on their way and complete ones that were not consumed. They are
        #: in the order of selection.
        self.entries: dict[str, UploadEntry] = {}
        #: Ref to transfer, for entries on their way.
        self.transfers: dict[str, Transfer] = {}
        #: Ref of an upload that has ended, to whether the client was told an error. The client is
        #: told only one error of an upload.
        self.ended: dict[str, bool] = {}
        self._failed: dict[str, deque[UploadEntry]] = {}

    def add(self, transfer: Transfer) -> None:
        """Add an entry that is on its way."""
        self.entries[transfer.entry.ref] = transfer.entry
        self.transfers[transfer.entry.ref] = transfer
        process.parking.add(transfer)

    def remove(self, ref: str) -> None:
        """Remove an entry that goes on without this connection."""
        self.entries.pop(ref, None)
        self.transfers.pop(ref, None)

    def take_out(self, entry: UploadEntry) -> bool:
        """Remove an entry, and return whether it was there."""
        return self.entries.pop(entry.ref, None) is not None

    def remember(self, ref: str, *, failed: bool = True) -> None:
        """Remember that an upload has ended, and whether the client was told an error."""
        self.ended[ref] = failed
        if len(self.ended) > _REMEMBERED_REFS:
            del self.ended[next(iter(self.ended))]

    def knows(self, ref: str) -> bool:
        """Return whether an upload with this ref was registered on this connection."""
        return ref in self.entries or ref in self.transfers or ref in self.ended

    def show_failed(self, entry: UploadEntry) -> None:
        """Keep a failed entry visible. It takes up no place in its slot."""
        places = min(self.slots[entry.upload_name].max_entries, _MAX_FAILED)
        self._failed.setdefault(entry.upload_name, deque(maxlen=places)).append(entry)

    def check_places(self, slot: UploadSlot, size: int) -> None:
        """Raise an error if the slot has no place for another file of ``size`` bytes.

        The error is :class:`TooManyFiles` or :class:`TotalTooLarge`.
        """
        self._check_count(slot)
        if slot.max_total_size is not None:
            self._check_total(slot, slot.max_total_size, size)

    def _check_count(self, slot: UploadSlot) -> None:
        if len(self.entries) < slot.max_entries and len(self.transfers) < slot.max_entries:
            # Of thousands of files, most are registered when others are there already.
            return
        # When an entry is cancelled, its place is free at once, but its transfer may take a while
        # to end. The second condition bounds the number of such transfers.
        running = sum(t.slot.name == slot.name for t in self.transfers.values())
        if len(self.live(slot.name)) >= slot.max_entries or running >= 2 * slot.max_entries:
            raise TooManyFiles(f"{slot.name!r} is full: {slot.max_entries}")

    def _check_total(self, slot: UploadSlot, most: int, size: int) -> None:
        others = sum(entry.client_size for entry in self.live(slot.name))
        if size + others > most:
            raise TotalTooLarge(
                # The sum could have more digits than Python writes. JSON has no such number.
                f"{size} bytes beside {others} in {slot.name!r}, over {most}",
                message=format_lazy(
                    _("There is no room for this file: all files together may have {size}."),
                    size=readable_size(most),
                ),
            )

    def check_enough(self, name: str) -> None:
        """Raise :class:`TooFewFiles` if fewer files are complete than the slot needs."""
        slot = self.slots.get(name)
        complete = sum(entry.complete for entry in self.live(name))
        if slot and complete < slot.min_entries:
            raise TooFewFiles(f"{complete} in {name!r}, which needs {slot.min_entries}")

    def live(self, name: str) -> list[UploadEntry]:
        """Return the slot's entries on their way and complete ones, in the order of selection."""
        return [entry for entry in list(self.entries.values()) if entry.upload_name == name]

    def all(self, name: str) -> list[UploadEntry]:
        """Return the slot's entries in the order of selection, then the failed ones."""
        return self.live(name) + list(self._failed.get(name, ()))

    def client_configs(self) -> dict[str, dict[str, Any]]:
        """Return what the browser needs to know about each slot."""
        of_all: dict[str, Any] = {"early_limit": EARLY_LIMIT}
        if upload_settings().chunk_checksums:
            of_all["checksums"] = True
        return {name: {**slot.client_config(), **of_all} for name, slot in self.slots.items()}

    def template_state(self) -> dict[str, Any]:
        """Return ``{{ uploads }}``: the config, the entries and their errors of each slot."""
        configs = self.client_configs()
        return {
            name: {
                "config": configs[name],
                "entries": [entry.template_state() for entry in self.all(name)],
                "errors": [entry.error for entry in self.all(name) if entry.error],
            }
            for name, slot in self.slots.items()
        }
