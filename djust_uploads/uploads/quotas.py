"""How much may be uploaded: by each user, session and address, and into each slot.

:class:`Quotas` counts what a connection registers, by whichever door, in Django's cache. What an
upload takes is noted with it, in ``entry.notes``, so that whoever ends it gives it back. An upload
that is resumed goes on with what it has taken.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.cache import BaseCache
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..exceptions import QuotaExceeded
from ..settings import upload_settings
from ..slots.quotas import BYTES, REGISTRATIONS, UPLOADS
from . import takings
from .counters import add, subtract
from .takings import DAY, Takings

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot
    from .authorization import Authorization

GIB = 1024**3

#: What a public site can live with: enough for a page with thousands of files, and for an office
#: behind one address.
DEFAULTS: Mapping[str, Mapping[str, int | None]] = {
    "user": {UPLOADS: 200, BYTES: 100 * GIB, REGISTRATIONS: 6000},
    "session": {UPLOADS: 200, BYTES: 100 * GIB, REGISTRATIONS: 6000},
    "address": {UPLOADS: 2000, BYTES: 500 * GIB, REGISTRATIONS: 20_000},
    "slot": {UPLOADS: None, BYTES: None, REGISTRATIONS: None},
}

MINUTE = 60

#: Seconds after which a client may ask again for a place. Nobody knows when one gets free.
RETRY = 10

Upload = tuple["UploadSlot", "UploadEntry"]


@dataclass(frozen=True)
class Subject:
    """Whose uploads are counted together, and how many there may be."""

    #: What its counters are called. Nobody reads a name, a key or an address out of it.
    name: str
    limits: Mapping[str, int | None]

    def limit(self, what: str) -> int | None:
        """Return one of its limits, or ``None`` if there is none."""
        return self.limits.get(what)


class Quotas:
    """Counts the uploads that one connection registers."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def count(self, uploads: Sequence[Upload]) -> list[QuotaExceeded | None]:
        """Count registrations. Return for each one the error for which it is refused, or ``None``.

        What is refused is counted too.
        """
        refused = None
        if groups := self._grouped(uploads):
            refused = await takings.in_cache(_count, groups)
        # Without the cache, nothing is refused.
        return [(refused or {}).get(number) for number in range(len(uploads))]

    async def take(self, uploads: Sequence[Upload]) -> list[QuotaExceeded | None]:
        """Take a place and bytes for each upload. Return for each one why it gets none, or
        ``None``."""
        taken = None
        if groups := self._grouped(uploads):
            taken = await takings.in_cache(_take, groups, undo=_undo)
        errors: list[QuotaExceeded | None] = []
        for number, (_slot, entry) in enumerate(uploads):
            got = (taken or {}).get(number)
            errors.append(got if isinstance(got, QuotaExceeded) else None)
            if isinstance(got, Takings):
                got.note(entry)
        return errors

    def _grouped(self, uploads: Sequence[Upload]) -> list[_Group]:
        """Return the uploads to each slot that has quotas, with their subjects."""
        groups: dict[str, _Group] = {}
        for number, (slot, entry) in enumerate(uploads):
            if slot.name not in groups:
                groups[slot.name] = _Group(list(self._subjects(slot)), {})
            groups[slot.name].entries[number] = entry
        return [group for group in groups.values() if group.subjects]

    def _subjects(self, slot: UploadSlot) -> Iterator[Subject]:
        known = {**self._identities(), "slot": slot.name}
        of_site = quotas_of_site()
        for kind, identity in known.items():
            for scope, limits in (("", of_site.get(kind)), (slot.name, slot.quotas.get(kind))):
                if limits and any(limits.values()):
                    yield Subject(_name(scope, kind, identity), limits)

    def _identities(self) -> dict[str, str]:
        requester = self._authorization.requester
        if requester is None:
            return {}
        found = {"address": requester.address}
        if requester.is_user:
            found["user"] = str(requester.user.pk)
        else:
            found["session"] = requester.session_key
        return {kind: identity for kind, identity in found.items() if identity}


@dataclass(frozen=True)
class _Group:
    """Uploads to one slot, by their numbers, and who is counted for them."""

    subjects: list[Subject]
    entries: dict[int, UploadEntry]


def quotas_of_site() -> Mapping[str, Mapping[str, int | None]]:
    """Return the limits of each kind: the defaults, where ``QUOTAS`` has nothing else."""
    configured = upload_settings().quotas
    if configured is None:
        return {}
    return {
        kind: {} if configured.get(kind, {}) is None else {**limits, **(configured.get(kind) or {})}
        for kind, limits in DEFAULTS.items()
    }


def _name(scope: str, kind: str, identity: str) -> str:
    digest = hashlib.sha256(f"{scope}\0{kind}\0{identity}".encode()).hexdigest()
    return f"djust_uploads:quota:{digest[:24]}"


# What follows runs in a thread.


def _count(cache: BaseCache, groups: Iterable[_Group]) -> dict[int, QuotaExceeded]:
    minute, left = int(time.time()) // MINUTE, MINUTE - int(time.time()) % MINUTE
    refused: dict[int, QuotaExceeded] = {}
    for group in groups:
        number = allowed = len(group.entries)
        for subject in group.subjects:
            if limit := subject.limit(REGISTRATIONS):
                key = f"{subject.name}:registrations:{minute}"
                total = add(cache, key, number, 2 * MINUTE)
                allowed = min(allowed, max(0, number - max(0, total - limit)))
        for refusal in list(group.entries)[allowed:]:
            refused[refusal] = _exceeded(
                REGISTRATIONS,
                _("Too many files in a short time. Please try again in a minute."),
                left,
            )
    return refused


def _take(cache: BaseCache, groups: Iterable[_Group]) -> dict[int, Takings | QuotaExceeded]:
    with takings.places.all_or_none():
        return {
            number: got for group in groups for number, got in _take_for_group(cache, group).items()
        }


def _take_for_group(cache: BaseCache, group: _Group) -> dict[int, Takings | QuotaExceeded]:
    names = [subject.name for subject in group.subjects if subject.limit(UPLOADS)]
    numbers, allowed = list(group.entries), _take_places(cache, group)
    got: dict[int, Takings | QuotaExceeded] = {}
    for number in numbers[:allowed]:
        taken = Takings(list(names))
        size = group.entries[number].client_size
        if _take_bytes(cache, group.subjects, size, taken):
            got[number] = taken
        else:
            taken.give_back_now(cache)
            got[number] = _exceeded(
                BYTES,
                _("No more can be uploaded today. Please try again tomorrow."),
                DAY - int(time.time()) % DAY,
            )
    for number in numbers[allowed:]:
        got[number] = _exceeded(
            UPLOADS,
            _("Too many uploads at once. Please wait until some of them are done."),
            RETRY,
        )
    return got


def _undo(cache: BaseCache, got: Mapping[int, Takings | QuotaExceeded]) -> None:
    for taken in got.values():
        if isinstance(taken, Takings):
            taken.give_back_now(cache)


def _take_places(cache: BaseCache, group: _Group) -> int:
    """Take places of all subjects for the entries of a group. Return for how many of them."""
    allowed = len(group.entries)
    having: list[str] = []
    for subject in group.subjects:
        if limit := subject.limit(UPLOADS):
            taken = takings.places.take(cache, subject.name, allowed, limit)
            for name in having:
                takings.places.give_back(cache, name, allowed - taken)
            allowed = taken
            having.append(subject.name)
    return allowed


def _take_bytes(cache: BaseCache, subjects: Iterable[Subject], size: int, taken: Takings) -> bool:
    """Take an upload's bytes from all subjects. Return whether there were so many of each."""
    day = int(time.time()) // DAY
    for subject in subjects:
        if limit := subject.limit(BYTES):
            key = f"{subject.name}:bytes:{day}"
            if add(cache, key, size, 2 * DAY) > limit:
                subtract(cache, key, size, 2 * DAY)
                return False
            taken.bytes[key] = size
    return True


def _exceeded(what: str, message: str | Promise, seconds: int) -> QuotaExceeded:
    return QuotaExceeded(f"{what} is used up", message=message, retry_after=max(1, seconds))
