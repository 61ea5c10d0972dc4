"""``UploadMixin``: what an application's view or consumer declares, and what its handlers call."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..exceptions import InvalidSink, InvalidSlot
from ..slots.entry import UploadEntry
from ..slots.slot import UploadSlot
from ..uploads.authorization import answer
from ..uploads.consuming import ConsumedEntries
from ..uploads.manager import UploadManager
from .handlers import run_handlers_in_turns

if TYPE_CHECKING:
    from ..sinks.base import Sink
    from ..slots.validators import Validator

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The options of a slot that can be saved as JSON. A ``sink`` can be saved if it is an alias.
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
    "min_entries",
    "max_total_size",
    "image_max_size",
    "permission_required",
    "quotas",
)


class UploadMixin:
    """Adds uploads to a djust ``LiveView`` or to an :class:`~djust_uploads.UploadConsumer`.

    The mixin may stand before or after the other base class. djust calls three of its private
    names, so they cannot change: ``_upload_manager``, ``_restore_upload_configs`` and
    ``_cleanup_uploads``. djust's session keeps ``_upload_configs_saved``.
    """

    #: Django's permissions that a user must have to upload, for example ``"films.add_film"`` or a
    #: list of them. A slot may have its own.
    permission_required: str | Iterable[str] | None = None

    _upload_manager: UploadManager | None = None
    _upload_configs_saved: list[dict[str, Any]] | None = None
    #: djust renders a view again only if one of its attributes has changed. Entries change in
    #: place, so this number changes when they do.
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
        min_entries: int = 0,
        max_total_size: int | None = None,
        image_max_size: int | None = None,
        permission_required: str | Iterable[str] | None = None,
        quotas: Mapping[str, Mapping[str, int | None]] | None = None,
        writer: type | None = None,
    ) -> UploadSlot:
        """Declare a slot. Call it in ``mount()``; the template has ``dj-upload="name"``.

        :param name: The name of the slot.
        :param accept: Extensions and MIME types, separated by commas as in HTML. ``""`` accepts any
            type.
        :param max_entries: How many files the slot takes at once. A file counts while it is on its
            way and while it waits to be consumed.
        :param max_file_size: The most bytes of a file.
        :param chunk_size: Bytes of the file in one WebSocket message, at most 16 MiB. daphne takes
            messages of at most 1 MiB, including a header of 21 bytes.
        :param auto_upload: Whether files are sent as soon as they are selected. With ``False``,
            they are sent when the form is submitted.
        :param sink: An alias of ``DJUST_UPLOADS["SINKS"]``, a :class:`~djust_uploads.Sink`, or a
            callable that takes the entry and returns one of these. The callable is called on the
            event loop when the content type is known. ``None`` means the alias ``"default"``.
        :param resumable: Whether an interrupted upload can go on where it was, in any process. The
            connection needs a user or a session, and all processes must share ``RESUME_CACHE``.
        :param allow_active_content: Whether to accept HTML, SVG and scripts. If so, serve the files
            from another origin.
        :param validators: Your own checks, as instances of :class:`~djust_uploads.Validator`.
        :param on_complete: A function or coroutine function that is called with each entry when its
            file is stored, before the client is told.
        :param min_entries: How many files must be complete before they are consumed. The page does
            not submit a form with fewer, and :meth:`consume_uploaded_entries` raises
            :class:`~djust_uploads.exceptions.TooFewFiles`.
        :param max_total_size: The most bytes of all files of the slot together.
        :param image_max_size: Pixels. The browser makes JPEG, PNG and WebP pictures smaller before
            it sends them, so that neither side is longer. The picture that is sent is upright, and
            does not say where it was taken. A client that is not our page may send larger ones.
        :param permission_required: Django's permissions that a user must have to upload here, as
            ``"films.add_film"`` or as a list. ``None`` means those of the class.
        :param quotas: How much may be uploaded into this slot, beside ``DJUST_UPLOADS["QUOTAS"]``
            and in the same form: ``{"user": {"BYTES_PER_DAY": 10**9}}``. The key ``"slot"`` counts
            all clients together.
        :param writer: A djust ``UploadWriter`` class, instead of a ``sink``. It runs in a thread.

        Raises :class:`~djust_uploads.exceptions.InvalidSlot` or
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
            min_entries=min_entries,
            max_total_size=max_total_size,
            image_max_size=image_max_size,
            permission_required=(
                (self.permission_required or ())
                if permission_required is None
                else permission_required
            ),
            quotas=quotas or {},
        )
        if self._upload_manager is None:
            self._upload_manager = self._new_manager()
        self._upload_manager.configure(slot)
        self._upload_configs_saved = [
            *(c for c in self._upload_configs_saved or () if c["name"] != slot.name),
            _saved_config(slot),
        ]
        return slot

    def authorize_upload(self, entry: UploadEntry) -> Any:
        """Return whether the user may upload this file. Override it; it may be ``async``.

        It is called when the file is registered, when its upload is resumed, and when it is
        consumed. ``self.scope["user"]``, or ``self.request.user`` in djust, was looked up just
        before. Return something true to let the file in. Anything else refuses it, and so does an
        exception. Raise :class:`~djust_uploads.exceptions.Forbidden` with a ``message`` to say why.

        A method that is not ``async`` runs in a thread. When a receipt is consumed, it is called on
        a new instance of the class, which has ``self.scope`` and ``self.request`` and was not
        mounted.
        """
        return True

    def _new_manager(self) -> UploadManager:
        manager = UploadManager()
        cls = type(self)
        if cls.authorize_upload is not UploadMixin.authorize_upload:
            manager.authorization.ask = _asking(self)
            manager.authorization.rule = f"{cls.__module__}.{cls.__qualname__}"
        return manager

    def consume_uploaded_entries(self, name: str) -> ConsumedEntries:
        """Return the slot's complete entries in the order of selection.

        Iterate over them with ``for`` or ``async for``. An entry is consumed when the loop asks for
        the next one. The last entry that the loop has returned is consumed when the event handler
        returns. If the handler raises an exception, that entry and the entries after it stay for
        the next call. An entry on which ``entry.postpone()`` was called stays too. Files that the
        sink does not keep are deleted after the handler has returned, so ``list()`` works.

        Raises :class:`~djust_uploads.exceptions.TooFewFiles` if fewer entries are complete than the
        slot's ``min_entries``.
        """
        self._uploads_version += 1
        return (self._upload_manager or UploadManager()).consume(name)

    def cancel_upload(self, name: str, ref: str) -> None:
        """Stop an upload, or delete a complete file that was not consumed.

        A ref that is not in the slot is ignored.
        """
        self._uploads_version += 1
        if self._upload_manager and any(entry.ref == ref for entry in self.get_uploads(name)):
            self._upload_manager.cancel(ref)

    def get_uploads(self, name: str) -> list[UploadEntry]:
        """Return the slot's entries: unfinished ones, complete ones, and the latest failed ones."""
        return self._upload_manager.entries(name) if self._upload_manager else []

    # A door calls these, and so may an application that calls handlers itself.

    def uploads_turn(self) -> contextlib.AbstractContextManager[None]:
        """Return the context in which an event handler runs.

        What the handler consumes is settled when the context ends.
        """
        return self._upload_manager.turn() if self._upload_manager else contextlib.nullcontext()

    def saved_upload_slots(self) -> list[dict[str, Any]]:
        """Return the slots as JSON, for a door that restores a view without calling ``mount()``."""
        return list(self._upload_configs_saved or ())

    def restore_upload_slots(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """Declare the saved slots again. The log says which could not be restored, and why."""
        self._upload_configs_saved = None
        for config in saved:
            options = {key: value for key, value in config.items() if key in _REPLAYABLE}
            if lost := config.get("lost"):
                # Without its validators, or with another sink, it would be another slot.
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


def _asking(view: UploadMixin) -> Callable[[UploadEntry], Any]:
    """Return a view's ``authorize_upload()``."""

    async def ask(entry: UploadEntry) -> Any:
        _renew_user(view)
        return await answer(view.authorize_upload, entry)

    return ask


def _renew_user(view: UploadMixin) -> None:
    """Let a djust view's request have the user as the database knows him now."""
    manager, request = view._upload_manager, getattr(view, "request", None)
    requester = manager.authorization.requester if manager else None
    if request is not None and requester and requester.user is not None:
        request.user = requester.user


def _saved_config(slot: UploadSlot) -> dict[str, Any]:
    config = {key: getattr(slot, key) for key in _REPLAYABLE}
    config["permission_required"] = list(slot.permissions)
    lost = [key for key in ("validators", "on_complete") if getattr(slot, key)]
    if not isinstance(slot.sink, str | None):
        del config["sink"]
        lost.append("sink")
    return {**config, "lost": lost} if lost else config


def _wrap_context(cls: type) -> None:
    """Put ``uploads`` into the template's context.

    This wraps the method of the class instead of overriding it, because the mixin may stand behind
    a base class whose ``get_context_data`` does not call ``super()``.
    """
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
