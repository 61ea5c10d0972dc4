"""The ``accept`` of a slot: which names and MIME types it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ..exceptions import InvalidSlot
from .names import type_of_name

#: Matches a MIME type, ``image/*`` or ``*/*``.
type_pattern: re.Pattern[str] = re.compile(r"\*/\*|[\w.+-]+/(\*|[\w.+-]+)", re.ASCII)

#: Matches an extension such as ``.jpg`` or ``.tar.gz``.
extension_pattern: re.Pattern[str] = re.compile(r"\.[^\s./\\,]+(\.[^\s./\\,]+)*")


@dataclass(frozen=True)
class Accept:
    """The ``accept`` of a slot: extensions and MIME types, separated by commas as in HTML."""

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
        """Whether any type is refused."""
        return bool(self._tokens) and "*/*" not in self._tokens

    def check(self) -> None:
        """Raise :class:`InvalidSlot` if a part is neither an extension nor a MIME type."""
        for token in self._tokens:
            pattern = extension_pattern if token.startswith(".") else type_pattern
            if not pattern.fullmatch(token):
                raise InvalidSlot(
                    "accept must be a comma-separated list of extensions ('.jpg') and MIME types "
                    f"('image/*'). Got: {token!r}"
                )

    def takes_name(self, name: str) -> bool:
        """Return whether a name's extension is accepted, or the MIME type that it stands for."""
        lowered = name.lower().rstrip(" .")
        return any(lowered.endswith(extension) for extension in self.extensions) or self.takes_type(
            type_of_name(name)
        )

    def takes_type(self, content_type: str) -> bool:
        """Return whether a MIME type is accepted."""
        main = content_type.partition("/")[0]
        return bool(content_type) and not self.types.isdisjoint({content_type, f"{main}/*"})
