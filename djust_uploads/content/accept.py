"""The ``accept`` of a slot: which names and MIME types it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ..exceptions import InvalidSlot
from .names import type_of_name

type_pattern: re.Pattern[str] = re.compile(r"\*/\*|[\w.+-]+/(\*|[\w.+-]+)", re.ASCII)


extension_pattern: re.Pattern[str] = re.compile(r"\.[^\s./\\,]+(\.[^\s./\\,]+)*")


@dataclass(frozen=True)
class Accept:
    """The comma-separated ``accept`` of a slot: extensions and MIME types, as in HTML."""

    text: str

    @cached_property
    def extensions(self) -> frozenset[str]:
        return frozenset(token for token in self._tokens if token.startswith("."))

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset(token for token in self._tokens if "/" in token)

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(token for raw in self.text.split(",") if (token := raw.strip().lower()))

    def __bool__(self) -> bool:
        """Whether anything is refused."""
        return bool(self._tokens) and "*/*" not in self._tokens

    def check(self) -> None:
        for token in self._tokens:
            pattern = extension_pattern if token.startswith(".") else type_pattern
            if not pattern.fullmatch(token):
                raise InvalidSlot(
                    "accept must be a comma-separated list of extensions ('.jpg') and MIME types "
                    f"('image/*'). Got: {token!r}"
                )

    def takes_name(self, name: str) -> bool:
        """Whether the extension alone is accepted: itself, or the type it stands for."""
        lowered = name.lower().rstrip(" .")
        return any(lowered.endswith(extension) for extension in self.extensions) or self.takes_type(
            type_of_name(name)
        )

    def takes_type(self, content_type: str) -> bool:
        """Whether a MIME type is among the accepted types."""
        main = content_type.partition("/")[0]
        return bool(content_type) and not self.types.isdisjoint({content_type, f"{main}/*"})
