"""``UploadMixin``: what a view or consumer declares and what its handlers call."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..exceptions import InvalidSink, InvalidSlot
from ..slots.entry import UploadEntry
from ..slots.slot import UploadSlot
from ..uploads.consuming import ConsumedEntries
from ..uploads.manager import UploadManager
from .handlers import run_handlers_in_turns

if TYPE_CHECKING:
    from ..sinks.base import Sink
    from ..slots.validators import Validator

logger = logging.getLogger("djust_uploads")

#: Options of a slot that JSON can carry; a ``sink`` can when it is an alias.
_REPLAYABLE = (
    "name",
    "accept",
    "max_entries",
    "max_file_size",
    "chunk_size",
    "auto_upload",
    "sink",
    "resumable",
    "allow_active_content",
)


class UploadMixin:
    """Gives a djust ``LiveView`` or an :class:`~djust_uploads.UploadConsumer` uploads.

    It may stand before or after the other base. Three of its names are not ours to choose, djust
    calls them: ``_upload_manager``, ``_restore_upload_configs`` and ``_cleanup_uploads``; djust's
    session keeps ``_upload_configs_saved``.
    """

    _upload_manager: UploadManager | None = None
    _upload_configs_saved: list[dict[str, Any]] | None = None
    #: djust renders again only if an attribute of the view changed; entries change in place.
    _uploads_version = 0

    _upload_hooks: ClassVar[list[Callable[[type[UploadMixin]], None]]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        run_handlers_in_turns(cls)
        _wrap_context(cls)
        for hook in UploadMixin._upload_hooks:
            hook(cls)

    def allow_upload(
        self,
        name: str,
        accept: str = "",
        max_entries: int = 1,
        max_file_size: int = 10_000_000,
        chunk_size: int = 64 * 1024,
        auto_upload: bool = True,
        *,
        sink: str | Sink | Callable[[UploadEntry], str | Sink] | None = None,
        resumable: bool = False,
        allow_active_content: bool = False,
        validators: Iterable[Validator] = (),
        on_complete: Callable[[UploadEntry], Any] | None = None,
        writer: type | None = None,
    ) -> UploadSlot:
        """Declare a slot, in ``mount()``; the template refers to it by ``dj-upload="name"``.

        ``accept``: extensions and MIME types, comma-separated, as in HTML; ``""`` takes any type.
        ``max_entries``: files at once, on their way or waiting to be consumed.
        ``max_file_size``: bytes. ``chunk_size``: bytes of one WebSocket message, at most 16 MiB;
        daphne takes at most 1 MiB less the header of 21 bytes.
        ``auto_upload``: ``False`` waits for the form's submit.
        ``sink``: an alias of ``DJUST_UPLOADS["SINKS"]``, a ``Sink``, or a callable ``(entry) ->
        alias | Sink``, called on the event loop when the content type is known; ``None`` is the
        alias ``"default"``.
        ``resumable``: an interrupted upload goes on where it was, in any process; its connection
        needs a user or a session, and ``RESUME_CACHE`` a cache that all processes share.
        ``allow_active_content``: takes HTML, SVG and scripts; serve them from another origin.
        ``validators``: your own checks. ``on_complete``: called with every entry that completes.
        ``writer``: a djust ``UploadWriter`` class, run in a thread; instead of ``sink``.

        Raises :class:`~djust_uploads.exceptions.InvalidSlot` and
        :class:`~djust_uploads.exceptions.InvalidSink`, which say what is accepted.
        """
        if writer is not None:
            from ..sinks.upload_writer import WriterSink

            if sink is not None:
                raise InvalidSlot("sink and writer exclude each other. Got both.")
            sink = WriterSink(writer)
        slot = UploadSlot(
            name=name,
            accept=accept,
            max_entries=max_entries,
            max_file_size=max_file_size,
            chunk_size=chunk_size,
            auto_upload=auto_upload,
            sink=sink,
            resumable=resumable,
            allow_active_content=allow_active_content,
            validators=tuple(validators),
            on_complete=on_complete,
        )
        if self._upload_manager is None:
            self._upload_manager = UploadManager()
        self._upload_manager.configure(slot)
        self._upload_configs_saved = [
            *(c for c in self._upload_configs_saved or () if c["name"] != slot.name),
            _saved_config(slot),
        ]
        return slot

    def consume_uploaded_entries(self, name: str) -> ConsumedEntries:
        """The slot's complete entries, in the order of selection, for ``for`` or ``async for``.

        An entry is consumed when the loop asks for the next one, and the last one looked at when
        the event handler returns. If the handler raises, the entry in hand and those after it stay
        for the next call; so does one that called ``entry.postpone()``. Files that their sink does
        not keep are deleted after the handler returned, so ``list()`` works too.
        """
        self._uploads_version += 1
        return (self._upload_manager or UploadManager()).consume(name)

    def cancel_upload(self, name: str, ref: str) -> None:
        """Stop an upload, or delete a complete one that was not consumed. Unknown refs are none."""
        self._uploads_version += 1
        if self._upload_manager and any(entry.ref == ref for entry in self.get_uploads(name)):
            self._upload_manager.cancel(ref)

    def get_uploads(self, name: str) -> list[UploadEntry]:
        """All entries of the slot: on their way, complete, and the latest that failed."""
        return self._upload_manager.entries(name) if self._upload_manager else []

    # What a host calls.

    def uploads_turn(self) -> contextlib.AbstractContextManager[None]:
        """Around an event handler: what it consumes is settled when it returns."""
        return self._upload_manager.turn() if self._upload_manager else contextlib.nullcontext()

    def saved_upload_slots(self) -> list[dict[str, Any]]:
        """The slots as JSON, for a host that restores a view without calling ``mount()``."""
        return list(self._upload_configs_saved or ())

    def restore_upload_slots(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """Declare the saved slots again; one that can't be is left out and the log says why."""
        self._upload_configs_saved = None
        for config in saved:
            options = {key: value for key, value in config.items() if key in _REPLAYABLE}
            if lost := config.get("lost"):
                # With another sink or without its validators it would be another slot.
                logger.error(
                    "slot %r can't be restored: its %s can't be saved. Give the sink an alias in "
                    "DJUST_UPLOADS['SINKS'], or set enable_state_snapshot = False.",
                    config.get("name"),
                    ", ".join(lost),
                )
                continue
            try:
                self.allow_upload(**options)
            except (InvalidSlot, InvalidSink, TypeError):
                logger.exception("slot %r can't be restored", config.get("name"))

    def _restore_upload_configs(self) -> None:
        self.restore_upload_slots(self.saved_upload_slots())

    def _cleanup_uploads(self) -> None:
        if self._upload_manager:
            self._upload_manager.close_soon()


def _saved_config(slot: UploadSlot) -> dict[str, Any]:
    config = {key: getattr(slot, key) for key in _REPLAYABLE}
    lost = [key for key in ("validators", "on_complete") if getattr(slot, key)]
    if not isinstance(slot.sink, str | None):
        del config["sink"]
        lost.append("sink")
    return {**config, "lost": lost} if lost else config


def _wrap_context(cls: type) -> None:
    """Put ``uploads`` into the template's context. A wrapper and not an override, because the mixin
    may stand behind a base whose ``get_context_data`` does not call ``super()``."""
    original: Callable[..., dict[str, Any]] | None = getattr(cls, "get_context_data", None)
    if original is None or hasattr(original, "_adds_uploads"):
        return

    @functools.wraps(original)
    def get_context_data(self: UploadMixin, **kwargs: Any) -> dict[str, Any]:
        context = original(self, **kwargs)
        if self._upload_manager:
            context["uploads"] = self._upload_manager.get_upload_state()
        return context

    get_context_data._adds_uploads = True  # type: ignore[attr-defined]
    cls.get_context_data = get_context_data  # type: ignore[attr-defined]
