"""Who may upload: the one place at which every door's uploads are authorised.

An upload is asked about when it is registered, when it is resumed and when it is consumed. Each
time, the session must still be there, the user must have the slot's permissions, and the
application's ``authorize_upload()`` must return something true. What cannot be found out is
refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.core.exceptions import PermissionDenied
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from ..exceptions import Forbidden, SessionEnded, Unauthenticated, UploadError

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot
    from .sessions import Requester

logger: logging.Logger = logging.getLogger("djust_uploads")

#: An application's ``authorize_upload()``, if it is not ``async``, has threads of its own.
_asking = ThreadPoolExecutor(thread_name_prefix="upload-authorize")

#: The keys of ``entry.notes`` that name the class whose ``authorize_upload()`` judges the upload,
#: and the slot's permissions.
RULE, PERMISSIONS = "rule", "permissions"

Ask = Callable[["UploadEntry"], Any]


class NotChecked(Forbidden):
    """The upload is refused because nobody knows whether it is allowed."""

    message: str | Promise = _("It could not be checked whether you may upload. Please try again.")


class Authorization:
    """Judges the uploads of one connection."""

    def __init__(self) -> None:
        #: Whose uploads they are. Without a requester, nothing is known of a user or a session.
        self.requester: Requester | None = None
        #: The application's ``authorize_upload()``, if it has one.
        self.ask: Ask | None = None
        #: Where other processes find that method: ``"module.Class"``.
        self.rule: str = ""
        #: Why nothing more is taken of this connection, once its session has ended.
        self.ended: SessionEnded | None = None

    def asks(self, slot: UploadSlot) -> bool:
        """Return whether an upload of the slot needs more than a session that is there."""
        return self.ask is not None or bool(slot.permissions)

    def mark(self, slot: UploadSlot, entry: UploadEntry) -> None:
        """Note with an upload which rule it must keep to, for whoever consumes its receipt."""
        if self.rule:
            entry.notes[RULE] = self.rule
        if slot.permissions:
            entry.notes[PERMISSIONS] = list(slot.permissions)

    def recall(self, request: Any = None) -> None:
        """Judge uploads by the rule that is noted with them. ``request`` is Django's, if any."""

        async def ask(entry: UploadEntry) -> Any:
            if RULE not in entry.notes:
                return True
            kind = await _in_thread(import_string, entry.notes[RULE])
            judge = kind()
            judge.scope = self.requester.scope if self.requester else {}
            judge.request = request
            return await answer(judge.authorize_upload, entry)

        self.ask = ask

    async def look(self) -> None:
        """Raise :class:`SessionEnded` if the user has logged out, or the session is over."""
        if self.ended:
            raise SessionEnded(str(self.ended), message=self.ended.message)
        if self.requester is None:
            return
        try:
            await self.requester.look()
        except SessionEnded as error:
            self.ended = error
            raise
        except Exception as exc:
            logger.exception("the session could not be looked at")
            raise NotChecked("the session could not be looked at") from exc

    async def check(self, slot: UploadSlot, entry: UploadEntry) -> None:
        """Raise the :class:`UploadError` for which an upload is refused, if it is."""
        await self.look()
        await self.judge(slot, entry)

    async def check_all(
        self, uploads: Sequence[tuple[UploadSlot, UploadEntry]]
    ) -> list[UploadError | None]:
        """Return for each upload the error for which it is refused, or ``None``."""
        if not uploads or (self.requester is None and not any(self.asks(u[0]) for u in uploads)):
            return [None] * len(uploads)
        if error := await _error_of(self.look()):
            return [error] * len(uploads)
        # Of many files, the database is asked once.
        denied = {
            permissions: await _error_of(self._check_permissions(permissions))
            for permissions in {slot.permissions for slot, _entry in uploads}
        }
        return await asyncio.gather(
            *(self._judged(denied[slot.permissions], entry) for slot, entry in uploads)
        )

    async def _judged(self, denied: UploadError | None, entry: UploadEntry) -> UploadError | None:
        return denied or await _error_of(self._check_answer(entry))

    async def judge(self, slot: UploadSlot, entry: UploadEntry) -> None:
        """Do what :meth:`check` does, without a look at the session."""
        await self._check_permissions(slot.permissions)
        await self._check_answer(entry)

    async def _check_permissions(self, permissions: Sequence[str]) -> None:
        if not permissions:
            return
        requester = self.requester
        if requester is None or not requester.is_user:
            raise Unauthenticated(
                f"nobody has logged in, and {permissions} are required",
                message=_("Please log in to upload files here."),
            )
        with _refusing("has_perms()"):
            if not await requester.has_permissions(permissions):
                raise Forbidden(f"user {requester.user.pk} lacks one of {permissions}")

    async def _check_answer(self, entry: UploadEntry) -> None:
        if self.ask is None:
            return
        with _refusing("authorize_upload()"):
            if not await answer(self.ask, entry):
                raise Forbidden(f"authorize_upload() of {entry!r} returned nothing true")


async def answer(ask: Callable[..., Any], *args: Any) -> Any:
    """Return what the application answers: in a thread, unless ``ask`` is a coroutine function."""
    return await (ask(*args) if inspect.iscoroutinefunction(ask) else _in_thread(ask, *args))


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    asked = database_sync_to_async(function, thread_sensitive=False, executor=_asking)
    return await asked(*args)


async def _error_of(check: Awaitable[None]) -> UploadError | None:
    try:
        await check
    except UploadError as error:
        return error
    return None


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raise any exception as an :class:`UploadError` that refuses the upload."""
    try:
        yield
    except UploadError:
        raise
    except PermissionDenied as exc:
        raise Forbidden(f"{what} raised {exc!r}") from exc
    except Exception as exc:
        logger.exception("%s raised", what)
        raise NotChecked(f"{what} raised {exc!r}") from exc
