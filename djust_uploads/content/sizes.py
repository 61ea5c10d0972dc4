"""Sizes in bytes, as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.formats import number_format
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy

_UNITS = (
    gettext_lazy("{number} bytes"),
    gettext_lazy("{number} kB"),
    gettext_lazy("{number} MB"),
    gettext_lazy("{number} GB"),
)


def _readable_size(size: int) -> str:
    amount: float = size
    for unit in _UNITS:
        if amount < 1000 or unit is _UNITS[-1]:
            break
        amount = amount // 1000 if amount % 1000 == 0 else round(amount / 1000, 1)
    return str(unit).format(number=number_format(amount, force_grouping=False))


#: Return a number of bytes as ``"1.2 MB"``, in the language that is active when it is shown.
readable_size: Callable[[int], Any] = lazy(_readable_size, str)
