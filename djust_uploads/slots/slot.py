"""What one ``allow_upload()`` declares. Wrong options are refused where they are declared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..conf import DEFAULT_ALIAS, sinks
from ..content.accept import Accept
from ..exceptions import InvalidSlot
from ..sinks.base import Sink
from .entry import UploadEntry
from .quotas import check_quotas
from .validators import Validator

#: The most bytes of a chunk. A chunk is one WebSocket message. daphne takes messages of at most 1
#: MiB, including the header.
MAX_CHUNK_SIZE = 16 * 1024 * 1024

#: The key of ``entry.notes`` that names the rules by which the upload was begun.
RULES = "rules"


@dataclass(frozen=True)
class UploadSlot:
    """The options of one ``allow_upload()``; see :meth:`djust_uploads.UploadMixin.allow_upload`.

    Raises :class:`~djust_uploads.exceptions.InvalidSlot` for an option that is not accepted, and
    :class:`~djust_uploads.exceptions.InvalidSink` for an alias that is not configured.
    """

    name: str
    accept: str = ""
    max_entries: int = 1
    max_file_size: int = 10_000_000
    chunk_size: int = 64 * 1024
    auto_upload: bool = True
    sink: str | Sink | Callable[[UploadEntry], str | Sink] | None = None
    resumable: bool = False
    allow_active_content: bool = False
    validators: tuple[Validator, ...] = ()
    on_complete: Callable[[UploadEntry], Any] | None = None
    min_entries: int = 0
    max_total_size: int | None = None
    image_max_size: int | None = None
    permission_required: str | Iterable[str] = ()
    quotas: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidSlot(f"name must be a non-empty string. Got: {self.name!r}")
        if not isinstance(self.accept, str):
            raise InvalidSlot(f"accept must be a string such as '.jpg,.png'. Got: {self.accept!r}")
        self.accepted.check()
        self._check_int("max_entries", 1, None)
        self._check_int("max_file_size", 0, None)
        self._check_int("chunk_size", 1, MAX_CHUNK_SIZE)
        self._check_int("min_entries", 0, self.max_entries)
        self._check_optional("max_total_size")
        self._check_optional("image_max_size")
        self._check_validators()
        self._check_permissions()
        check_quotas(self.quotas)
        if self.on_complete is not None and not callable(self.on_complete):
            raise InvalidSlot(f"on_complete must be callable. Got: {self.on_complete!r}")
        if isinstance(self.sink, str) or self.sink is None:
            sinks.resolve(self.sink)
        else:
            if not isinstance(self.sink, Sink) and (
                isinstance(self.sink, type) or not callable(self.sink)
            ):
                raise InvalidSlot(
                    "sink must be an alias, a Sink instance or a callable (entry) -> alias | Sink. "
                    f"Got: {self.sink!r}"
                )

    def _check_int(self, name: str, low: int, high: int | None) -> None:
        value = getattr(self, name)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or value < low
            or (high is not None and value > high)
        ):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            raise InvalidSlot(f"{name} must be an integer, {bounds}. Got: {value!r}")

    def _check_optional(self, name: str) -> None:
        if getattr(self, name) is not None:
            self._check_int(name, 1, None)

    def _check_validators(self) -> None:
        for validator in self.validators:
            if not isinstance(validator, Validator):
                raise InvalidSlot(f"validators must be Validator instances. Got: {validator!r}")

    def _check_permissions(self) -> None:
        given = self.permission_required
        if not isinstance(given, str | list | tuple | set | frozenset) or not all(
            isinstance(permission, str) and "." in permission for permission in self.permissions
        ):
            raise InvalidSlot(
                "permission_required must be a permission such as 'films.add_film', or a list of "
                f"them. Got: {given!r}"
            )
        # Two slots are equal if they need the same permissions.
        object.__setattr__(self, "permission_required", self.permissions)

    @cached_property
    def permissions(self) -> tuple[str, ...]:
        """Django's permissions that a user must have to upload here, all of them."""
        given = self.permission_required
        if isinstance(given, str):
            return (given,) if given else ()
        return tuple(given)

    @cached_property
    def accepted(self) -> Accept:
        return Accept(self.accept)

    @cached_property
    def rules(self) -> str:
        """A name for what judges the content of the slot's files, the same in every process.

        Slots of one name may be declared in several places, with other rules.
        """
        validators = [
            (f"{type(each).__module__}.{type(each).__qualname__}", _simple_options(each))
            for each in self.validators
        ]
        rules = repr((self.accept, self.allow_active_content, validators))
        return hashlib.sha256(rules.encode()).hexdigest()[:16]

    def resolve_sink(self, entry: UploadEntry) -> Sink:
        """Return the sink that takes ``entry``.

        A callable is called now, when the content type is known.
        """
        chosen = self.sink
        if callable(chosen) and not isinstance(chosen, Sink):
            chosen = chosen(entry)
        return sinks.resolve(chosen)

    def sink_name(self, sink: Sink) -> str:
        """Return the alias or the class of ``sink``, by which a resumed upload finds it again."""
        if self.sink is None or isinstance(self.sink, str):
            return self.sink or DEFAULT_ALIAS
        return f"{type(sink).__module__}.{type(sink).__qualname__}"

    def client_config(self) -> dict[str, Any]:
        """Return what the browser needs to know of the slot."""
        return {
            "name": self.name,
            "accept": self.accept,
            "max_entries": self.max_entries,
            "max_file_size": self.max_file_size,
            "chunk_size": self.chunk_size,
            "auto_upload": self.auto_upload,
            "resumable": self.resumable,
            **self._set_options(),
        }

    def _set_options(self) -> dict[str, int]:
        """Return those options of which most slots have none."""
        options = {
            "min_entries": self.min_entries,
            "max_total_size": self.max_total_size,
            "image_max_size": self.image_max_size,
        }
        return {name: value for name, value in options.items() if value}


def _simple_options(validator: Validator) -> list[tuple[str, object]]:
    """Return those options of a validator that look the same in every process."""
    options = getattr(validator, "__dict__", {}).items()
    return sorted((n, value) for n, value in options if isinstance(value, bool | int | float | str))
