"""One HTTP request: its headers, parsed strictly, and its body, in blocks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...exceptions import UploadError
from .problems import BadRequest, RequestTimeout

#: Bytes that a block has at least, unless it is the last one of a body. A chunk costs memory beside
#: its bytes, so a client that sends its file in crumbs must not decide on the size of chunks. This
#: is also what a client must send within ``IDLE_TIMEOUT``.
LEAST_BLOCK = 16 * 1024

#: Digits of a number in a header: 15, as RFC 9651, section 3.3.1, allows.
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


class Disconnected(Exception):
    """The client has gone before the end of its request's body."""


class Request:
    """An HTTP request of an ASGI scope.

    Raises :class:`BadRequest` for a header that occurs twice though only one value makes sense, and
    for a ``Content-Length`` that is no number.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Any) -> None:
        self.scope = scope
        self._receive = receive
        self._headers = _headers(scope)
        self.method: str = self.header("x-http-method-override").upper() or scope["method"]
        #: The length of the body in bytes, or ``None`` if the client does not know it.
        self.content_length: int | None = (
            None if "transfer-encoding" in self else self.number("content-length")
        )
        #: Whether the whole body has been read.
        self.read: bool = False

    def header(self, name: str) -> str:
        """Return a header's value, or ``""`` if the request does not have the header."""
        return self._headers.get(name, "")

    def __contains__(self, name: str) -> bool:
        return name in self._headers

    def number(self, name: str) -> int | None:
        """Return a header's value as a number, or ``None`` if the request does not have the header.

        Raises :class:`BadRequest` for anything but digits.
        """
        value = self._headers.get(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise BadRequest(f"{name} is not a number: {value!r:.80}")
        return int(value)

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def has_body(self) -> bool:
        """Whether bytes follow, as far as the headers tell."""
        if self.content_length is not None:
            return self.content_length > 0
        # In HTTP/2 and HTTP/3 neither header is needed.
        framed = self.scope.get("http_version", "1.1") not in ("1.0", "1.1")
        return "transfer-encoding" in self or (framed and self.method in ("POST", "PUT", "PATCH"))

    async def blocks(self, timeout: asyncio.Timeout, seconds: float) -> AsyncGenerator[bytes, None]:
        """Yield the body. While the caller has a block, nothing more is read.

        ``timeout`` is the context in which the caller runs. A block that takes longer than
        ``seconds`` expires it. Raises :class:`Disconnected` if the client goes.
        """
        loop = asyncio.get_running_loop()
        gathered: list[bytes] = []
        size = 0
        timeout.reschedule(loop.time() + seconds)
        while not self.read:
            piece, gone = await self._piece()
            if piece:
                gathered.append(piece)
                size += len(piece)
            if size and (size >= LEAST_BLOCK or self.read or gone):
                block = gathered[0] if len(gathered) == 1 else b"".join(gathered)
                gathered, size = [], 0
                del piece
                timeout.reschedule(None)
                yield block
                del block
                timeout.reschedule(loop.time() + seconds)
            if gone:
                raise Disconnected
        timeout.reschedule(None)

    async def _piece(self) -> tuple[bytes, bool]:
        """Return the next bytes, and whether the client has gone."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            return b"", True
        self.read = not message.get("more_body", False)
        return message.get("body", b""), False

    async def whole(self, most: int, error: UploadError, seconds: float) -> bytes:
        """Return the whole body. Raises ``error`` if it is longer than ``most`` bytes, and
        :class:`RequestTimeout` if a block of it takes longer than ``seconds``."""
        if (self.content_length or 0) > most:
            raise error
        blocks = []
        left = most
        try:
            async with asyncio.timeout(None) as timeout:
                async for block in self.blocks(timeout, seconds):
                    left -= len(block)
                    if left < 0:
                        raise error
                    blocks.append(block)
        except TimeoutError:
            raise RequestTimeout(f"nothing came for {seconds} s") from None
        return b"".join(blocks)

    async def drop(self, seconds: float) -> None:
        """Read and drop what the client still sends, for ``seconds`` at most.

        A connection that is closed while bytes arrive is reset, and then the client does not see
        the answer: RFC 9112, section 9.6.
        """
        try:
            async with asyncio.timeout(seconds):
                gone = False
                while not self.read and not gone:
                    _, gone = await self._piece()
        except TimeoutError:
            pass


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, list[str]] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        values = headers.setdefault(name, [])
        if not values or name in _LISTS:
            values.append(value)
        elif values != [value] or name in _ONCE:
            raise BadRequest(f"two values of {name}")
    return {name: _LISTS.get(name, "").join(values) for name, values in headers.items()}


#: Headers that may occur more than once, and what joins their values.
_LISTS = {
    "accept": ", ",
    "accept-encoding": ", ",
    "accept-language": ", ",
    "cache-control": ", ",
    "connection": ", ",
    "content-digest": ", ",
    "cookie": "; ",
    "forwarded": ", ",
    "repr-digest": ", ",
    "te": ", ",
    "upgrade": ", ",
    "via": ", ",
    "want-repr-digest": ", ",
    "x-forwarded-for": ", ",
    "x-forwarded-host": ", ",
    "x-forwarded-proto": ", ",
}

#: Headers whose repetition, even with the same value, shows that somebody means harm.
_ONCE = frozenset({"content-length", "host", "transfer-encoding"})
