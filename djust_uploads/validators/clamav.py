"""``ClamAVValidator``: scans files for viruses by clamd, ClamAV's daemon, while they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from typing import Literal

from ..exceptions import Infected, NotScanned
from ..slots.entry import UploadEntry
from ..slots.validators import Validator

logger: logging.Logger = logging.getLogger("djust_uploads")

_LENGTH = struct.Struct(">I")

#: What clamd answers to ``INSTREAM`` when the stream is longer than its ``StreamMaxLength``.
_TOO_LONG = b"INSTREAM size limit exceeded"

Policy = Literal["refuse", "accept"]


class ClamAVValidator(Validator):
    """Refuses files in which clamd finds a virus.

    ========================  ==================================================================
    ``address``               path of clamd's socket, or ``"host:port"``
    ``max_size``              bytes that clamd takes at most: its ``StreamMaxLength``. Larger files
                              are not scanned. If clamd takes less than that, it may close the
                              connection without an answer, and counts as unavailable
    ``when_too_large``        ``"refuse"`` or ``"accept"`` files that are larger than that
    ``when_unavailable``      ``"refuse"`` or ``"accept"`` files while clamd does not answer
    ``timeout``               seconds that clamd may take to connect, to take a chunk, to answer
    ========================  ==================================================================

    The bytes go to clamd before the sink gets them, and clamd's verdict comes before the sink
    finishes the file. So an infected file never becomes an object in a cloud store. The upload is
    as fast as clamd scans.

    ``entry.findings["clamav"]`` is ``"clean"`` for a file that clamd scanned, and ``"not scanned"``
    for a file that was accepted without that.

    Raises :class:`~djust_uploads.exceptions.Infected` and
    :class:`~djust_uploads.exceptions.NotScanned`. The protocol is described in the manual page
    ``clamd(8)``, under ``INSTREAM``.
    """

    def __init__(
        self,
        address: str = "/run/clamav/clamd.ctl",
        *,
        max_size: int = 100 * 1024 * 1024,
        when_too_large: Policy = "refuse",
        when_unavailable: Policy = "refuse",
        timeout: float = 30.0,
    ) -> None:
        for name, policy in (
            ("when_too_large", when_too_large),
            ("when_unavailable", when_unavailable),
        ):
            if policy not in ("refuse", "accept"):
                raise ValueError(f"{name} must be 'refuse' or 'accept'. Got: {policy!r}")
        self._address = address
        self._max_size = max_size
        self._when_too_large = when_too_large
        self._when_unavailable = when_unavailable
        self._timeout = timeout
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._skipped = False

    async def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Connect to clamd, unless the file is too large for it."""
        if entry.client_size > self._max_size:
            self._skip(
                entry, self._when_too_large, f"{entry.client_size} bytes, over {self._max_size}"
            )
            return
        try:
            async with asyncio.timeout(self._timeout):
                self._stream = await self._connect()
                self._stream[1].write(b"zINSTREAM\0")
        except OSError as exc:
            self._unavailable(entry, exc)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def check_chunk(self, entry: UploadEntry, chunk: bytes) -> None:
        """Pass the chunk on to clamd."""
        if self._skipped or not chunk:
            return
        assert self._stream
        reader, writer = self._stream
        try:
            async with asyncio.timeout(self._timeout):
                writer.write(_LENGTH.pack(len(chunk)))
                writer.write(chunk)
                await writer.drain()
        except OSError as exc:
            # clamd answers before the end, and closes the connection, when the stream is too long.
            self._judge(entry, await self._answer(reader), exc)

    async def check_end(self, entry: UploadEntry) -> None:
        """Ask clamd for its verdict."""
        if self._skipped:
            return
        assert self._stream
        reader, writer = self._stream
        error: OSError | None = None
        try:
            writer.write(_LENGTH.pack(0))
            await writer.drain()
        except OSError as exc:
            error = exc
        self._judge(entry, await self._answer(reader), error)

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """Return clamd's answer, or ``b""`` if there is none."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(self._timeout):
                return (await reader.readuntil(b"\0")).rstrip(b"\0")
        return b""

    def _judge(self, entry: UploadEntry, answer: bytes, error: OSError | None) -> None:
        result = answer.removeprefix(b"stream: ")
        if result == b"OK":
            entry.findings["clamav"] = "clean"
        elif result.endswith(b" FOUND"):
            raise Infected(f"{entry!r}: clamd found {result[: -len(b' FOUND')].decode()}")
        elif answer.startswith(_TOO_LONG):
            self._skip(entry, self._when_too_large, "over clamd's StreamMaxLength")
        else:
            self._unavailable(entry, error or OSError(f"clamd answered {answer[:200]!r}"))

    def _unavailable(self, entry: UploadEntry, error: OSError) -> None:
        self._skip(entry, self._when_unavailable, f"clamd at {self._address}: {error!r}")

    def _skip(self, entry: UploadEntry, policy: Policy, reason: str) -> None:
        """Go on without a scan, or refuse the file."""
        if policy == "refuse":
            raise NotScanned(f"{entry!r} was not scanned: {reason}")
        logger.error("%r is accepted, but was not scanned: %s", entry, reason)
        entry.findings["clamav"] = "not scanned"
        self._skipped = True

    async def ended(self, entry: UploadEntry) -> None:
        """Close the connection to clamd."""
        if self._stream:
            self._stream[1].close()
