"""The URLs below an endpoint: the endpoint itself, its slots, and their uploads."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ...exceptions import InvalidMessage, UnknownSlot
from ...resuming.owners import owner_by_secret
from ...wire import parse_ref

#: Stands between the ref and the secret of an upload whose client has no user and no session.
_SECRET = "."


@dataclass(frozen=True)
class Address:
    """Where a request goes: ``base`` + slot + ``/`` + ref, and the secret if there is one.

    The URL of an upload of a user or a session is the same for everybody, and means nothing to
    anybody else. The URL of an upload whose client has neither contains a secret: whoever knows
    it, is the owner.
    """

    #: The path of the endpoint, with a slash at its end.
    base: str
    slot: str = ""
    ref: str = ""
    secret: str = ""
    #: The last component of the path, if it is no ref.
    name: str = ""

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Address:
        """Return the address of a request that Channels' ``URLRouter`` has routed.

        Raises :class:`UnknownSlot` for a path that is no address of an endpoint.
        """
        path, below = scope["path"], scope.get("path_remaining", "").lstrip("/")
        base = path[: len(path) - len(below)]
        address = cls(base if base.endswith("/") else f"{base}/")
        slot, _, rest = below.partition("/")
        if "/" in rest:
            raise UnknownSlot(f"no upload at {below!r:.80}")
        name, _, secret = rest.partition(_SECRET)
        try:
            return replace(address, slot=slot, ref=parse_ref(name), secret=secret)
        except InvalidMessage:
            return replace(address, slot=slot, name=rest)

    def of_slot(self, slots: Iterable[str]) -> Address:
        """Return the address with its slot, which may be left out where there is only one.

        Raises :class:`UnknownSlot` if the endpoint has no such slot.
        """
        names = list(slots)
        slot = self.slot or (names[0] if len(names) == 1 else "")
        if slot not in names:
            raise UnknownSlot(f"no slot {slot!r:.80}")
        return replace(self, slot=slot)

    def beside(self, path: str) -> Address:
        """Return the address of another upload in this slot by the path of its URL.

        Raises :class:`UnknownSlot` for any other path.
        """
        if not path.startswith(self.base):
            raise UnknownSlot(f"{path!r:.80} is not below {self.base}")
        other = Address.of({"path": path, "path_remaining": path[len(self.base) :]})
        if other.slot != self.slot or not other.ref:
            raise UnknownSlot(f"{path!r:.80} is no upload of {self.slot!r}")
        return other

    def of_upload(self, ref: str, *, anonymous: bool) -> Address:
        """Return the address of a new upload."""
        secret = secrets.token_urlsafe(24) if anonymous else ""
        return replace(self, ref=ref, secret=secret, name="")

    @property
    def owner(self) -> str | None:
        """The owner of an upload whose URL contains a secret, else ``None``."""
        return owner_by_secret(self.secret) if self.secret else None

    @property
    def path(self) -> str:
        """The path of the upload's URL."""
        secret = f"{_SECRET}{self.secret}" if self.secret else ""
        return f"{quote(self.base)}{quote(self.slot, safe='')}/{self.ref}{secret}"
