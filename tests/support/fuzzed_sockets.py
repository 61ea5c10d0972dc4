"""What a hostile client says over a WebSocket, and what a right one says beside it.

The frames are written here, because no library sends wrong ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from djust_uploads import exceptions, wire
from djust_uploads.wire import Frame, FrameType

if TYPE_CHECKING:
    from tests.support.fuzzing import Fuzzer

#: Opcodes of RFC 6455, section 5.2.
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9

SLOTS = ["files", "files", "memory", "texts"]

#: Seconds that the server has to answer.
PATIENCE = 20.0

JUNK: list[Any] = [
    *(None, True, -1, 0, 1.5, 2**31, 2**64, 10**300, float("nan")),
    *("", "x" * 5000, "\ud800", "\x00", "../../etc/passwd", "texts", "memory"),
    *(str(uuid.UUID(int=0)), [], {}, [[]], {"a": {"b": []}}, ["x"] * 300),
]


def known_codes() -> set[str]:
    """The codes of all typed errors. That of the base class tells of a mistake of ours."""
    found, kinds = set(), [exceptions.UploadError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.add(kind.code)
    return found - {exceptions.UploadError.code}


CODES = known_codes()


def ws_frame(opcode: int, payload: bytes, *, head: int = 0x80) -> bytes:
    """Return a frame whose mask is zero, so that its payload needs no work."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([head | opcode]) + length + bytes(4) + payload


def text(message: Any) -> bytes:
    return ws_frame(TEXT, json.dumps(message).encode())


class Socket:
    """A WebSocket, and what the server has said over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.endings: dict[str, list[str]] = {}

    async def next(self) -> dict[str, Any]:
        """Return the next message. Raises ``IncompleteReadError`` at the end of the connection."""
        while True:
            opcode, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            payload = await self.reader.readexactly(size)
            if opcode & 0x0F == TEXT:
                message: dict[str, Any] = json.loads(payload)
                for one in [message, *message.get("uploads", ())]:
                    self._hear(one)
                return message
            if opcode & 0x0F == CLOSE:
                raise asyncio.IncompleteReadError(payload, None)

    def _hear(self, message: dict[str, Any]) -> None:
        if "code" in message:
            assert message["code"] in CODES, message
            assert message["error"], message
        ref, status = message.get("ref"), message.get("status")
        if isinstance(ref, str) and status in ("complete", "error", "cancelled"):
            self.endings.setdefault(ref, []).append(status)

    async def until(self, **keys: Any) -> dict[str, Any]:
        while True:
            message = await self.next()
            if all(message.get(key) == value for key, value in keys.items()):
                return message


@contextlib.asynccontextmanager
async def connected(fuzzer: Fuzzer, rng: random.Random) -> AsyncIterator[Socket]:
    cookie = f"Cookie: sessionid={rng.choice(fuzzer.cookies)}\r\n" if rng.random() < 0.8 else ""
    reader, writer = await asyncio.open_connection("127.0.0.1", fuzzer.port)
    try:
        writer.write(
            f"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1:{fuzzer.port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        yield Socket(reader, writer)
    finally:
        writer.close()


def registration(rng: random.Random, size: int, slot: str = "", ref: str = "") -> dict[str, Any]:
    return {
        "type": "upload_register",
        "upload_name": slot or rng.choice(SLOTS),
        "ref": ref or str(uuid.UUID(int=rng.getrandbits(128))),
        "client_name": rng.choice(["a.txt", "b.bin", "c.png"]),
        "client_type": "",
        "client_size": size,
        "resumable": rng.random() < 0.7,
    }


def frames(ref: str, data: bytes, step: int) -> list[bytes]:
    """The frames of a file, after its registration."""
    kind = FrameType.CHECKED_CHUNK if len(data) % 2 else FrameType.CHUNK
    starts = enumerate(range(0, len(data), step))
    chunks = [Frame(kind, ref, index, data[start : start + step]) for index, start in starts]
    return [wire.serialize(frame) for frame in (*chunks, Frame(FrameType.COMPLETE, ref))]


async def honest_socket(fuzzer: Fuzzer, rng: random.Random) -> None:
    """Among all the hostile ones, a right client uploads a file."""
    data = rng.randbytes(rng.choice([0, 10, 3000, 70_000]))
    async with connected(fuzzer, rng) as page:
        slot, report = rng.choice([("files", "areport"), ("memory", "report")])
        message = registration(rng, len(data), slot) | {"client_name": "a.bin"}
        ref = message["ref"]
        page.writer.write(text(message))
        answer = await page.until(ref=ref)
        assert answer["type"] == "upload_registered", answer
        for frame in frames(ref, data, answer["chunk_size"]):
            page.writer.write(ws_frame(BINARY, frame))
        ending = await page.until(ref=ref, type="upload_progress", status="complete")
        assert ending["offset"] == len(data)
        page.writer.write(text({"type": "event", "event": report, "params": {}, "ref": 1}))
        answer = await page.until(type="push_event")
        assert answer["payload"] == {"ref": ref, "sha256": hashlib.sha256(data).hexdigest()}
        await page.until(type="noop", ref=1)
        await leave(page, rng)


async def hostile_socket(fuzzer: Fuzzer, rng: random.Random) -> None:
    async with connected(fuzzer, rng) as page:
        messages = mutated(conversation(fuzzer, rng), fuzzer, rng)
        if rng.random() < 0.15:
            messages.insert(rng.randrange(len(messages) + 1), protocol_error(rng))
        try:
            await send(page.writer, messages, rng)
            if rng.random() < 0.5:
                # It has handled everything, or has closed the connection.
                page.writer.write(text({"type": "event", "event": "ping", "ref": 4711}))
                await page.until(ref=4711)
            await leave(page, rng)
        except (asyncio.IncompleteReadError, OSError):
            # The server has closed the connection.
            pass
        for ref, statuses in page.endings.items():
            # A complete upload may be cancelled, and one that was resumed may end again.
            assert len(statuses) <= 2 or ref in fuzzer.refs, (ref, statuses)


def conversation(fuzzer: Fuzzer, rng: random.Random) -> list[dict[str, Any] | bytes]:
    """What one or two right clients could send, one after the other: messages and frames."""
    messages: list[dict[str, Any] | bytes] = []
    for _ in range(rng.randint(1, 2)):
        data = bytes(rng.choice([0, 1, 500, 900, 4000]))
        message = registration(rng, len(data))
        ref = message["ref"]
        fuzzer.refs.append(ref)
        messages += [message, *frames(ref, data, rng.choice([400, 64 * 1024]))]
    if rng.random() < 0.1:
        files = [registration(rng, 10) for _ in range(rng.randint(0, 5))]
        messages.insert(0, {"type": "upload_register", "uploads": files})
    return messages


def mutated(
    messages: list[dict[str, Any] | bytes], fuzzer: Fuzzer, rng: random.Random
) -> list[bytes]:
    """Return the messages as frames of WebSocket, with some things wrong."""
    for _ in range(rng.choice([0, 1, 1, 2, 3, 6])):
        rng.choice(REARRANGE)(messages, fuzzer, rng)
    sent = []
    for message in messages:
        wrong = rng.random() < 0.2
        if isinstance(message, bytes):
            frame = mutated_frame(message, fuzzer, rng) if wrong else message
            sent.append(ws_frame(BINARY, frame))
        else:
            sent.append(mutated_text(message, fuzzer, rng) if wrong else text(message))
    return sent


Messages = list[dict[str, Any] | bytes]


def drop(messages: Messages, fuzzer: Fuzzer, rng: random.Random) -> None:
    if messages:
        del messages[rng.randrange(len(messages))]


def repeat(messages: Messages, fuzzer: Fuzzer, rng: random.Random) -> None:
    if messages:
        messages.insert(rng.randrange(len(messages)), rng.choice(messages))


def swap(messages: Messages, fuzzer: Fuzzer, rng: random.Random) -> None:
    if messages:
        one, two = rng.randrange(len(messages)), rng.randrange(len(messages))
        messages[one], messages[two] = messages[two], messages[one]


def stray(messages: Messages, fuzzer: Fuzzer, rng: random.Random) -> None:
    """Insert a message about an upload of this session or of another one."""
    ref = rng.choice(fuzzer.refs)
    found: list[dict[str, Any] | bytes] = [
        {"type": "upload_resume", "ref": ref, "upload_name": "files", "client_size": 10},
        {"type": "upload_keep", "refs": [ref, rng.choice(JUNK)]},
        {"type": "upload_configs"},
        {"type": "ping"},
        {"type": "event", "event": rng.choice(["report", "areport"]), "params": {}, "ref": 1},
        {"type": "event", "event": "ping", "params": rng.choice(JUNK), "language": "de"},
        wire.serialize(Frame(FrameType.CANCEL, ref)),
        wire.serialize(Frame(FrameType.COMPLETE, ref)),
        wire.serialize(Frame(FrameType.CHUNK, ref, rng.randrange(3), b"stray")),
    ]
    messages.insert(rng.randrange(len(messages) + 1), rng.choice(found))


REARRANGE = (drop, repeat, swap, stray, stray)


def mutated_frame(frame: bytes, fuzzer: Fuzzer, rng: random.Random) -> bytes:
    where = rng.randrange(len(frame) + 1)
    return rng.choice(
        [
            frame[:where],
            frame + rng.randbytes(rng.choice([1, 1000, 200_000])),
            bytes([rng.randrange(256)]) + frame[1:],
            frame[:1] + uuid.UUID(rng.choice(fuzzer.refs)).bytes + frame[17:],
            frame[:17] + rng.randbytes(4) + frame[21:],
            frame[:where] + rng.randbytes(3) + frame[where + 3 :],
            rng.randbytes(40),
            b"",
        ]
    )


def mutated_text(message: dict[str, Any], fuzzer: Fuzzer, rng: random.Random) -> bytes:
    changed = dict(message)
    key = rng.choice(list(changed))
    what = rng.randrange(6)
    if what == 0:
        del changed[key]
    elif what == 1:
        changed["ref"] = rng.choice(fuzzer.refs)
    elif what == 2:
        changed["client_size"] = rng.choice([0, 1, 899, 2000, 99_999])
    else:
        changed[key] = rng.choice(JUNK)
    raw = json.dumps(changed).encode()
    if what == 5:
        where = rng.randrange(len(raw))
        # All ASCII: of text that is no UTF-8, uvicorn itself makes an exception.
        raw = rng.choice([raw[:where], b"[" * 5000, raw + raw, b"x" * 70_000])
    return ws_frame(TEXT, raw)


def protocol_error(rng: random.Random) -> bytes:
    """A frame that RFC 6455 does not allow, or one that only looks unusual."""
    return rng.choice(
        [
            # Not masked; a reserved opcode; a reserved bit; more bytes than anybody takes.
            b"\x82\x05hello",
            ws_frame(11, b"reserved"),
            ws_frame(BINARY, b"reserved", head=0xC0),
            b"\x82\xff" + (2**40).to_bytes(8, "big") + bytes(4),
            # The beginning of a message in parts, a part of none, and a frame between the parts.
            ws_frame(BINARY, b"\x01" + bytes(20), head=0),
            ws_frame(0, b"end"),
            ws_frame(TEXT, b"{", head=0) + ws_frame(PING, b"?") + ws_frame(0, b"}"),
            ws_frame(PING, bytes(125)),
            ws_frame(CLOSE, b"\x03"),
        ]
    )


async def send(writer: asyncio.StreamWriter, messages: Sequence[bytes], rng: random.Random) -> None:
    """Send everything at once, or in pieces that end anywhere."""
    data = b"".join(messages)
    for _ in range(rng.choice([0, 0, 1, 3])):
        where = rng.randrange(len(data) + 1)
        writer.write(data[:where])
        data = data[where:]
        await asyncio.sleep(0)
    writer.write(data)
    await writer.drain()


async def leave(page: Socket, rng: random.Random) -> None:
    """Say goodbye and wait for the answer, go without a word, or go in the middle of a frame."""
    writer = page.writer
    how = rng.randrange(4)
    if how == 0:
        writer.write(ws_frame(CLOSE, b"\x03\xe8"))
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await page.next()
    elif how == 1:
        reset(writer)
    elif how == 2:
        writer.write(b"\x82\xfe\x10\x00" + bytes(4) + b"\x01half")
        writer.write_eof()
    # Or the connection is just closed.


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST, as a process does that is killed."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
