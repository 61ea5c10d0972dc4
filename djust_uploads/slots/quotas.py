"""What quotas look like, in ``DJUST_UPLOADS["QUOTAS"]`` and in ``allow_upload(quotas=...)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import InvalidSlot

#: Whose uploads may be counted together.
KINDS = ("user", "session", "address", "slot")

#: What is counted: uploads at once, bytes a day, and registrations a minute.
UPLOADS, BYTES, REGISTRATIONS = "UPLOADS", "BYTES_PER_DAY", "REGISTRATIONS_PER_MINUTE"
LIMITS = (UPLOADS, BYTES, REGISTRATIONS)


def check_quotas(quotas: Any) -> None:
    """Raise :class:`InvalidSlot` for quotas that make no sense."""
    if not isinstance(quotas, Mapping):
        raise InvalidSlot(f"quotas must be a dictionary. Got: {quotas!r}")
    for kind, limits in quotas.items():
        if kind not in KINDS:
            raise InvalidSlot(f"quotas has the unknown key {kind!r}. Known: {', '.join(KINDS)}.")
        _check_limits(kind, {} if limits is None else limits)


def _check_limits(kind: str, limits: Any) -> None:
    if not isinstance(limits, Mapping) or not set(limits) <= set(LIMITS):
        raise InvalidSlot(
            f"The quotas of {kind!r} must be a dictionary with keys of {', '.join(LIMITS)}. "
            f"Got: {limits!r}"
        )
    for name, limit in limits.items():
        if limit is not None and (
            not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
        ):
            raise InvalidSlot(f"{name} of {kind!r} must be an integer over 0. Got: {limit!r}")
