"""Upload one file, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from . import answers
from .errors import (
    ClientError,
    DigestMismatch,
    FileChanged,
    NotAuthorized,
    Refused,
    ServerFailed,
    UploadGone,
)
from .records import Record
from .source import Source
from .tus import Headers, Tus

logger: logging.Logger = logging.getLogger("djust_uploads.client")

#: Bytes offered so far, and of the file. The first may fall when a connection breaks.
Progress = Callable[[int, int], object]

#: Seconds. A server may need long to answer the last request: a store may copy a large file.
TIMEOUT = httpx.Timeout(30.0, read=300.0)

#: Bytes of a request that carries a checksum, because a server must buffer them.
CHECKED_PIECE = 4 * 1024 * 1024

#: Seconds before the second attempt, and between later ones at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


@dataclass(frozen=True)
class Uploaded:
    """A complete upload."""

    #: The upload's URL at the server.
    url: str
    #: Bytes.
    size: int
    #: Whether the server told the SHA-256 of what it has, and it is that of the file.
    verified: bool
    #: The headers of the answer that told that the upload is complete.
    headers: httpx.Headers


async def upload(
    url: str,
    path: str | os.PathLike[str],
    *,
    headers: Headers | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    checksums: bool = False,
    chunk_size: int | None = None,
    retries: int = 8,
    client: httpx.AsyncClient | None = None,
    state_directory: Path | None = None,
) -> Uploaded:
    """Upload the file at ``path`` to the endpoint ``url``; return when the server has all of it.

    When a connection breaks or the server fails, it goes on at the byte that the server wants next.
    When the process ends in the middle, the next call with the same file and URL goes on, because
    the upload's URL is remembered in a file of ``state_directory``; by default that is the
    directory where the user's programs keep state. The file is never in memory as a whole.

    ``headers`` go with each request, for example ``{"Authorization": "Bearer …"}``. A function, or
    a coroutine function, that returns them is called for each request, so that it can renew a
    token. ``metadata`` is told to the server beside ``filename`` and ``filetype``. ``progress`` is
    called with the bytes sent so far and the file's size. ``resume=False`` starts anew and
    remembers nothing. ``checksums=True`` sends the file in requests of 4 MiB with a checksum each,
    which the server compares before it keeps them. ``chunk_size`` is how many bytes a request
    carries at most, for servers behind a proxy with a limit. ``retries`` is how many attempts in a
    row may fail without a byte gained. ``client`` is used instead of a new one, for proxies and
    certificates of your own.

    Raises :class:`.ClientError`, whose subclasses say why, or :class:`OSError` for a file that
    can't be read.
    """
    async with contextlib.AsyncExitStack() as stack:
        source = await Source.open(path)
        stack.callback(source.close)
        if client is None:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT))
        run = _Run(source, Tus(client, url, headers), progress or (lambda sent, size: None))
        run.retries = retries
        run.metadata = {**_described(source.path), **(metadata or {})}
        run.chunk_size = chunk_size or (CHECKED_PIECE if checksums else None)
        run.checksums = checksums
        if resume:
            run.record = Record(url, source.fingerprint, state_directory)
        return await run.to_the_end()


def _described(path: Path) -> dict[str, str]:
    filetype, _encoding = mimetypes.guess_type(path.name)
    return {"filename": path.name, "filetype": filetype or "application/octet-stream"}


class _Run:
    """One call of :func:`upload`."""

    def __init__(self, source: Source, tus: Tus, progress: Progress) -> None:
        self.source = source
        self.tus = tus
        self.progress = progress
        self.metadata: dict[str, str] = {}
        self.chunk_size: int | None = None
        self.checksums = False
        self.retries = 0
        self.record: Record | None = None
        self._url: str | None = None
        #: Whether the URL comes from an earlier process, so that the upload may have expired.
        self._from_record = False
        #: What the server has; ``None``: it must be asked.
        self._offset: int | None = None
        self._farthest = -1
        self._failures = 0
        self._algorithm = ""

    async def to_the_end(self) -> Uploaded:
        if self.record:
            self._url = await asyncio.to_thread(self.record.find)
            self._from_record = self._url is not None
        while True:
            try:
                return await self._attempt()
            except ClientError as exc:
                await self._go_on_after(exc)

    async def _attempt(self) -> Uploaded:
        """Create the upload, or ask where it stands, and send the rest."""
        if self.checksums and not self._algorithm:
            self._algorithm = await self.tus.checksum_algorithm()
        answer = await (self._ask(self._url) if self._url else self._create())
        while self._offset is not None and self._offset < self.source.size:
            answer = await self._append(str(self._url), self._offset)
        self.source.check_unchanged()
        return await self._completed(answer)

    async def _create(self) -> httpx.Response:
        answer = await self.tus.create(self.source.size, self.metadata)
        self._url = answers.location(answer)
        if self.record:
            await asyncio.to_thread(self.record.keep, self._url)
        self._note(answer, 0)
        return answer

    async def _ask(self, url: str) -> httpx.Response:
        answer = await self.tus.ask(url)
        self._note(answer, answers.offset(answer, self.source.size))
        self._from_record = False
        return answer

    async def _append(self, url: str, offset: int) -> httpx.Response:
        self.source.check_unchanged()
        end = min(offset + (self.chunk_size or self.source.size), self.source.size)
        if self._algorithm:
            data = await self.source.read(offset, end)
            answer = await self.tus.append_checked(url, offset, data, self._algorithm)
        else:
            content = self._sent(offset, end)
            answer = await self.tus.append(url, offset, end - offset, content)
        self._note(answer, answers.offset(answer, self.source.size))
        return answer

    async def _sent(self, offset: int, end: int) -> AsyncIterator[bytes]:
        async for piece in self.source.pieces(offset, end):
            yield piece
            offset += len(piece)
            self.progress(offset, self.source.size)

    def _note(self, answer: httpx.Response, offset: int) -> None:
        """The server has ``offset`` bytes. Whoever gets on may fail again."""
        self._offset = offset
        if offset > self._farthest:
            self._farthest = offset
            self._failures = 0
        if limit := answers.append_limit(answer):
            self.chunk_size = min(limit, self.chunk_size or limit)
        self.progress(offset, self.source.size)

    async def _completed(self, answer: httpx.Response) -> Uploaded:
        digest = answers.digest(answer)
        if digest and digest != await self.source.sha256():
            raise DigestMismatch(f"{self._url}: the server has SHA-256 {digest.hex()}")
        await self._forget()
        return Uploaded(str(self._url), self.source.size, bool(digest), answer.headers)

    # What may go wrong

    async def _go_on_after(self, exc: ClientError) -> None:
        """Wait until the next attempt, or raise ``exc``."""
        self._offset = None
        if isinstance(exc, UploadGone | NotAuthorized) and self._from_record:
            # It has expired, or is not ours any more. Only a new upload will tell whether the
            # credentials are wrong, so the record stays until there is one.
            logger.info("The upload is gone, and starts anew: %s", exc)
            self._url, self._from_record, self._farthest = None, False, -1
            return
        if not self._may_try_again(exc):
            await self._give_up(exc)
            raise exc
        self._failures += 1
        pause = self._pause(exc)
        logger.warning("%s. Trying again in %.1f seconds.", exc, pause)
        await asyncio.sleep(pause)

    def _may_try_again(self, exc: ClientError) -> bool:
        renewed = isinstance(exc, NotAuthorized) and self.tus.renews_headers and not self._failures
        return renewed or (exc.retryable and self._failures < self.retries)

    def _pause(self, exc: ClientError) -> float:
        """https://tus.io/protocols/resumable-upload#patch wants random and growing pauses."""
        longest = min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
        wanted = exc.retry_after if isinstance(exc, ServerFailed) else 0.0
        return max(wanted, random.uniform(longest / 2, longest))

    async def _give_up(self, exc: ClientError) -> None:
        """Forget an upload that can't be completed. The next call must not meet it again."""
        worthless = isinstance(exc, FileChanged | DigestMismatch)
        if worthless and self._url:
            with contextlib.suppress(ClientError):
                await self.tus.terminate(self._url)
        if worthless or (isinstance(exc, Refused) and not isinstance(exc, NotAuthorized)):
            await self._forget()

    async def _forget(self) -> None:
        if self.record:
            await asyncio.to_thread(self.record.forget)
