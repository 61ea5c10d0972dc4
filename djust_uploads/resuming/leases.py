"""Which process may go on with an upload. The answer is kept in Django's cache ``RESUME_CACHE``.

The cache knows an upload by a name that contains its owner (a user or a session). Under that name
it holds the *token* of the process that has the upload now. Under the token it holds what another
process needs to go on, a :class:`~djust_uploads.resuming.saved.SavedUpload`. A process that resumes
the upload supersedes the token. ``add()`` is atomic in Django's caches, so of several processes
that try, one succeeds, and the others are told that the upload is locked.

The process that had the upload before may not know yet that it was superseded. What it saves under
its own token, nobody reads any more. It checks its token each time that it saves, before it
acknowledges any bytes to its client. It also checks its token before it finishes or deletes
anything.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.core.cache import BaseCache, caches

from ..exceptions import UploadLocked
from ..settings import upload_settings
from .saved import SavedUpload

logger: logging.Logger = logging.getLogger("djust_uploads")

T = TypeVar("T")

#: Seconds that a question to the cache may take. The upload waits for the answer.
CACHE_TIMEOUT = 5.0

#: Seconds in which a process that supersedes a token must write its own token. If the process dies
#: in between, it keeps others out for no longer than that.
_CLAIM_TIMEOUT = 10

_asking = ThreadPoolExecutor(thread_name_prefix="upload-cache")


class Lease:
    """The right of one process to go on with an upload, until another process supersedes it."""

    def __init__(self, upload_id: str, token: str) -> None:
        self._names = _Names(upload_id)
        self._token = token

    @classmethod
    async def begin(cls, upload_id: str, saved: SavedUpload) -> Lease | None:
        """Return the lease of a new upload, or ``None`` if there is an upload of that name."""
        lease = cls(upload_id, secrets.token_hex(8))
        return lease if await _in_cache(lease._begin, saved) else None

    @classmethod
    async def announce(cls, upload_id: str, saved: SavedUpload) -> Lease | None:
        """Return the lease of a new upload whose sink is not open yet.

        From now on any process can begin to store it. Return ``None`` if the cache does not answer:
        then only this process can.
        """
        try:
            return await cls.begin(upload_id, saved)
        except Exception:
            logger.exception("%s is not resumable: the resume cache failed", saved.ref)
            return None

    def _begin(self, cache: BaseCache, saved: SavedUpload) -> bool:
        self._set(cache, saved)
        begun = cache.add(self._names.holder, self._token, _ttl())
        if not begun:
            cache.delete(self._names.saved(self._token))
        return begun

    @classmethod
    async def find(cls, upload_id: str) -> SavedUpload | None:
        """Return what is saved of an upload, and leave its lease as it is."""
        names = _Names(upload_id)

        def find(cache: BaseCache) -> SavedUpload | None:
            record = None
            token = cache.get(names.holder)
            while token:
                record = cache.get(names.saved(token))
                # Another process may have taken the upload over between the two questions.
                before, token = token, cache.get(names.holder)
                if record or token == before:
                    break
            return SavedUpload.of_record(record) if record else None

        return await _in_cache(find)

    @classmethod
    async def supersede(cls, upload_id: str) -> tuple[Lease, SavedUpload] | None:
        """Take a saved upload over. Return its new lease and what is saved, or ``None`` if nothing
        is.

        Raises :class:`UploadLocked` if another process takes it over at this moment.
        """
        lease = cls(upload_id, secrets.token_hex(8))
        saved = await _in_cache(lease._supersede)
        return (lease, saved) if saved else None

    def _supersede(self, cache: BaseCache) -> SavedUpload | None:
        before = cache.get(self._names.holder)
        if before is None:
            return None
        claim = self._names.claim(before)
        if not cache.add(claim, True, _CLAIM_TIMEOUT):
            raise UploadLocked("another connection resumes it at this moment")
        # The record is read after the claim. It contains everything that the process before has
        # acknowledged. From now on, that process finds the claim and acknowledges nothing more.
        record = cache.get(self._names.saved(before))
        if record is None:
            # The upload has ended. Whoever asks next must be told the same, and not that it is
            # locked.
            cache.delete(claim)
            return None
        saved = SavedUpload.of_record(record)
        saved = replace(saved, generation=saved.generation + 1)
        self._set(cache, saved)
        cache.set(self._names.holder, self._token, _ttl())
        cache.delete(self._names.saved(before))
        return saved

    async def save(self, saved: SavedUpload) -> None:
        """Replace what is saved.

        Raises :class:`UploadLocked` if the lease is superseded. Nobody will read ``saved`` then.
        """
        await _in_cache(self._save, saved)

    def _save(self, cache: BaseCache, saved: SavedUpload) -> None:
        self._set(cache, saved)
        # The cache may have evicted the token, or the token may be older than ``RESUME_TTL``.
        if not cache.touch(self._names.holder, _ttl()):
            cache.add(self._names.holder, self._token, _ttl())
        try:
            self._check(cache)
        except UploadLocked:
            # Whoever has claimed the token may still read the record, until it is the holder.
            if cache.get(self._names.holder) != self._token:
                cache.delete(self._names.saved(self._token))
            raise

    async def conclude(self, saved: SavedUpload) -> None:
        """Save the end of the upload, and let no other process take it over meanwhile.

        If two processes try at the same time, one succeeds. Raises :class:`UploadLocked` if the
        lease is superseded, or is being superseded.
        """
        await _in_cache(self._conclude, saved)

    def _conclude(self, cache: BaseCache, saved: SavedUpload) -> None:
        self._check(cache)
        claim = self._names.claim(self._token)
        # A process that supersedes the token reads the record after it has made this claim. It must
        # not find an end there that we then do not acknowledge.
        if not cache.add(claim, True, _CLAIM_TIMEOUT):
            raise UploadLocked("another connection resumes it at this moment")
        self._set(cache, saved)
        cache.set(self._names.holder, self._token, _ttl())
        cache.delete(claim)

    async def check(self) -> None:
        """Raise :class:`UploadLocked` if the lease is superseded."""
        await _in_cache(self._check)

    def _check(self, cache: BaseCache) -> None:
        names = self._names.holder, self._names.claim(self._token)
        found = cache.get_many(names)
        if names[1] in found or found.get(names[0], self._token) != self._token:
            raise UploadLocked("another connection has resumed it")

    async def end(self) -> None:
        """Forget the upload. Raises :class:`UploadLocked` if another process goes on with it."""
        await _in_cache(self._end)

    def _end(self, cache: BaseCache) -> None:
        self._check(cache)
        # Claim the upload as if to supersede our own token. From here on no other process can.
        claim = self._names.claim(self._token)
        if not cache.add(claim, True, _CLAIM_TIMEOUT):
            raise UploadLocked("another connection has resumed it")
        # The token stays. Without it, the process before us would believe that its own token is
        # still the valid one.
        cache.delete(self._names.saved(self._token))
        cache.delete(claim)

    def _set(self, cache: BaseCache, saved: SavedUpload) -> None:
        saved = replace(saved, saved_at=time.time())
        cache.set(self._names.saved(self._token), asdict(saved), _ttl())


@dataclass(frozen=True)
class _Names:
    """The keys of one upload in the cache."""

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
    """Call ``function`` with the resume cache in a thread, because caches block.

    These threads write no files: a cache that hangs would keep the files waiting. Raises what
    ``function`` raises, and ``TimeoutError`` after ``CACHE_TIMEOUT``.
    """

    def call() -> T:
        return function(caches[upload_settings().resume_cache], *args)

    async with asyncio.timeout(CACHE_TIMEOUT):
        result: T = await database_sync_to_async(call, thread_sensitive=False, executor=_asking)()
        return result
