"""Who may go on with which upload, in which process: on Django's cache ``RESUME_CACHE``.

An upload is known by its owner (a user or a session) and its ref, so nobody can so much as ask for
another one's. Under that name the cache has the *token* of who holds the upload now, and under the
token what is needed to go on, a :class:`SavedUpload`. Whoever resumes supersedes the token:
``add()`` is atomic in Django's caches, so one does, and the others are told that it is locked.

The holder before may not know yet. It saves under its own token, which nobody reads any more, and
finds out there, before it acknowledges a byte; it also asks before it makes or deletes anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.core.cache import BaseCache, caches

from ..exceptions import UploadLocked
from ..settings import upload_settings

T = TypeVar("T")

#: Seconds for a question to the cache: an upload waits for it.
CACHE_TIMEOUT = 5.0

#: Seconds in which somebody who superseded a token must have written the next one. Then a process
#: that died in between no longer keeps others out.
_CLAIM_TIMEOUT = 10


_asking = ThreadPoolExecutor(thread_name_prefix="upload-cache")


def owner_of(scope: Mapping[str, Any]) -> str | None:
    """The user of a connection, else its session; ``None`` where there is neither.

    Needs ``AuthMiddlewareStack`` or ``SessionMiddlewareStack`` around the consumer, and a session
    that was saved, for example by a view that called ``request.session.save()``.
    """
    user = scope.get("user")
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    session = scope.get("session")
    key = getattr(session, "session_key", None)
    return f"session:{key}" if key else None


def upload_id_of(owner: str, ref: str) -> str:
    """The name of an upload in the cache and in this process."""
    return hashlib.sha256(f"{owner}\0{ref}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class SavedUpload:
    """What another process needs to go on. All of it is JSON."""

    ref: str
    upload_name: str
    client_name: str
    client_relative_path: str
    client_type: str
    client_size: int
    content_type: str
    chunk_size: int
    #: The ``UploadInfo.key`` of the first process.
    key: str
    #: Alias or class of the sink, which must be the same.
    sink: str
    checkpoint: dict[str, Any]
    #: How often it was superseded.
    generation: int = 0
    #: ``"uploading"``, ``"complete"``, ``"consumed"`` or ``"error"``, with the error's code and
    #: sentence.
    status: str = "uploading"
    code: str = ""
    error: str = ""


class Lease:
    """The right to go on with one upload, until somebody supersedes it."""

    def __init__(self, upload_id: str, token: str) -> None:
        self._names = _Names(upload_id)
        self._token = token

    @classmethod
    async def begin(cls, upload_id: str, saved: SavedUpload) -> Lease | None:
        """For a new upload; ``None`` if there is one of that name."""
        lease = cls(upload_id, secrets.token_hex(8))
        return lease if await _in_cache(lease._begin, saved) else None

    def _begin(self, cache: BaseCache, saved: SavedUpload) -> bool:
        self._set(cache, saved)
        begun = cache.add(self._names.holder, self._token, _ttl())
        if not begun:
            cache.delete(self._names.saved(self._token))
        return begun

    @classmethod
    async def find(cls, upload_id: str) -> SavedUpload | None:
        """What is saved of an upload, for one who may not want it."""
        names = _Names(upload_id)

        def find(cache: BaseCache) -> SavedUpload | None:
            token = cache.get(names.holder)
            record = cache.get(names.saved(token)) if token else None
            return SavedUpload(**record) if record else None

        return await _in_cache(find)

    @classmethod
    async def supersede(cls, upload_id: str) -> tuple[Lease, SavedUpload] | None:
        """Go on with a saved upload; ``None`` if there is none.

        Raises :class:`UploadLocked` if somebody else does in this moment.
        """
        lease = cls(upload_id, secrets.token_hex(8))
        saved = await _in_cache(lease._supersede)
        return (lease, saved) if saved else None

    def _supersede(self, cache: BaseCache) -> SavedUpload | None:
        before = cache.get(self._names.holder)
        if before is None:
            return None
        if not cache.add(self._names.claim(before), True, _CLAIM_TIMEOUT):
            raise UploadLocked("somebody else resumes it")
        # Read after the claim: what the holder saved before it is in there, and what it saves from
        # now on it does not acknowledge.
        record = cache.get(self._names.saved(before))
        if record is None:
            return None
        saved = SavedUpload(**record)
        saved = replace(saved, generation=saved.generation + 1)
        self._set(cache, saved)
        cache.set(self._names.holder, self._token, _ttl())
        cache.delete(self._names.saved(before))
        return saved

    async def save(self, saved: SavedUpload) -> None:
        """Replace what is saved. Raises :class:`UploadLocked` if the lease is superseded; then
        nothing of ``saved`` will be read."""
        await _in_cache(self._save, saved)

    def _save(self, cache: BaseCache, saved: SavedUpload) -> None:
        self._set(cache, saved)
        # It may have been evicted, or be older than the TTL.
        if not cache.touch(self._names.holder, _ttl()):
            cache.add(self._names.holder, self._token, _ttl())
        self._check(cache)

    async def check(self) -> None:
        """Raises :class:`UploadLocked` if the lease is superseded."""
        await _in_cache(self._check)

    def _check(self, cache: BaseCache) -> None:
        names = self._names.holder, self._names.claim(self._token)
        found = cache.get_many(names)
        if names[1] in found or found.get(names[0], self._token) != self._token:
            raise UploadLocked("another connection has resumed it")

    async def end(self) -> None:
        """Forget the upload, unless somebody else goes on with it."""
        await _in_cache(self._end)

    def _end(self, cache: BaseCache) -> None:
        self._check(cache)
        # As one who goes on with it: from here on, nobody else can.
        claim = self._names.claim(self._token)
        if not cache.add(claim, True, _CLAIM_TIMEOUT):
            raise UploadLocked("another connection has resumed it")
        # The holder stays, or the one before us would believe that it is still theirs.
        cache.delete(self._names.saved(self._token))
        cache.delete(claim)

    def _set(self, cache: BaseCache, saved: SavedUpload) -> None:
        cache.set(self._names.saved(self._token), asdict(saved), _ttl())


@dataclass(frozen=True)
class _Names:
    upload_id: str

    @property
    def holder(self) -> str:
        return f"djust_uploads:{self.upload_id}"

    def saved(self, token: str) -> str:
        return f"{self.holder}:{token}"

    def claim(self, token: str) -> str:
        return f"{self.holder}:{token}:claim"


def _ttl() -> int:
    return int(upload_settings().resume_ttl)


async def _in_cache(function: Callable[..., T], *args: Any) -> T:
    """In a thread: caches block. Not in one of those that write files, because some hang.

    Raises what ``function`` raises, and ``TimeoutError``.
    """

    def call() -> T:
        return function(caches[upload_settings().resume_cache], *args)

    async with asyncio.timeout(CACHE_TIMEOUT):
        result: T = await database_sync_to_async(call, thread_sensitive=False, executor=_asking)()
        return result
