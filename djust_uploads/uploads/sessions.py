"""Who uploads over a connection: its user and its session, which may end before the connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.auth.signals import user_logged_out
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from ..exceptions import SessionEnded
from ..resuming.owners import owner_of
from .clients import client_address

T = TypeVar("T")

#: Seconds that a look at the session may take.
LOOK_TIMEOUT = 10.0

#: These threads ask the database and the cache. No upload waits for them but those of the
#: connection that asks.
_looking = ThreadPoolExecutor(thread_name_prefix="upload-session")


class Requester:
    """The user and the session of one connection, looked at anew whenever it matters.

    ``scope`` is the ASGI scope. Its ``"user"`` is replaced by what the database says now, so that
    an application that looks at it sees the present permissions. ``fresh`` says that the scope was
    made for this request, so that the first look is not needed.
    """

    def __init__(self, scope: MutableMapping[str, Any], *, fresh: bool = False) -> None:
        self.scope: MutableMapping[str, Any] = scope
        self._owner = owner_of(scope)
        self._fresh = fresh
        #: Whether there was a session. A cookie of one that had ended before means nothing.
        self._had_session = fresh

    @property
    def user(self) -> Any:
        """The user, or ``None`` if nothing looks up users."""
        return self.scope.get("user")

    @property
    def is_user(self) -> bool:
        """Whether the client has logged in."""
        return self.user is not None and bool(self.user.is_authenticated)

    @property
    def session_key(self) -> str | None:
        """The key of the session, or ``None`` if there is none that was saved."""
        return getattr(self.scope.get("session"), "session_key", None)

    @functools.cached_property
    def address(self) -> str | None:
        """The client's address, as far as it can be trusted, or ``None``."""
        return client_address(self.scope)

    async def look(self) -> None:
        """Look at the session and the user again. Raises :class:`SessionEnded`.

        Raises other exceptions if the database or the cache fails.
        """
        if self._owner is None and not self.is_user:
            return
        fresh, self._fresh = self._fresh, False
        if not fresh:
            await _in_thread(self._look)

    async def has_permissions(self, permissions: Sequence[str]) -> bool:
        """Return whether the user has all of these permissions of Django."""
        has: bool = await _in_thread(self.user.has_perms, permissions)
        return has

    def _look(self) -> None:
        if self._owner and self._owner.startswith("user:") and owner_of(self.scope) != self._owner:
            raise SessionEnded("the connection has another user now")
        session: Any = self.scope.get("session")
        if self.is_user and not (
            self.session_key and str(session.get(SESSION_KEY)) == str(self.user.pk)
        ):
            self._look_at_user()
        elif self.session_key:
            self._look_at_session(session.__class__(self.session_key))

    def _look_at_user(self) -> None:
        """Look at a user whom no session knows, for example one of a token."""
        user = self.user
        if isinstance(user, Model):
            now = user._meta.model._default_manager.filter(pk=user.pk).first()
            if now is None or not getattr(now, "is_active", True):
                raise SessionEnded(f"user {user.pk} is not there any more")
            self.scope["user"] = now

    def _look_at_session(self, session: Any) -> None:
        key = session.session_key
        # To look changes nothing: get_user() would end the session of a user whose password has
        # changed, or give it another key, which the browser would not hear of.
        session.flush = session.cycle_key = lambda: None
        # A session is loaded when it is first read, and has no key then if it is not there.
        session.get(SESSION_KEY)
        is_there = session.session_key == key
        if self.is_user:
            user = get_user(SimpleNamespace(session=session)) if is_there else None  # type: ignore[arg-type]
            if user is None or user.pk != self.user.pk:
                raise SessionEnded(f"the session of user {self.user.pk} has ended")
            self.scope["user"] = user
        elif self._had_session and not is_there:
            raise SessionEnded(
                "the session has ended",
                message=_("Your session has ended. Please reload the page."),
            )
        self._had_session = is_there


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function that asks the database. Raises ``TimeoutError`` after ``LOOK_TIMEOUT``."""
    async with asyncio.timeout(LOOK_TIMEOUT):
        result: T = await database_sync_to_async(
            function, thread_sensitive=False, executor=_looking
        )(*args)
        return result


#: By session key: what is to be called when the user of the session logs out in this process.
_listening: dict[str, set[Callable[[], None]]] = {}


@contextlib.contextmanager
def when_logged_out(session_key: str | None, call: Callable[[], None]) -> Iterator[None]:
    """Call a function if the user of a session logs out in this process, within the block.

    The function is called on the event loop. Of other processes, :meth:`Requester.look` knows.
    """
    if session_key is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def call_on_loop() -> None:
        # The loop of a server that has ended is closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call)

    calls = _listening.setdefault(session_key, set())
    calls.add(call_on_loop)
    try:
        yield
    finally:
        calls.discard(call_on_loop)
        if not calls and _listening.get(session_key) is calls:
            del _listening[session_key]


def _logged_out(*, request: Any = None, **kwargs: Any) -> None:
    # Django sends the signal before it ends the session, so its key is still known.
    key = getattr(getattr(request, "session", None), "session_key", None)
    for call in list(_listening.get(key or "", ())):
        call()


user_logged_out.connect(_logged_out, dispatch_uid="djust_uploads")
