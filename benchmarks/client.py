"""A client that sends faster than any of the servers can receive.

    python -m benchmarks.client '{"port": 8000, "path": "/ws/", "size": 200000000, …}'

It makes one measurement and prints it as JSON. Its argument is a :class:`Job` as JSON. It uses the
standard library only, with raw sockets. All frames have the same payload, and are masked with
zeros, which RFC 6455 (section 5.3) allows. The server unmasks them like any other frame.

The time is measured from the first chunk to the message ``complete`` of the last upload. The client
connects, mounts and registers before.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
import urllib.request
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Bytes of frames that are given to the kernel at once for one upload, before the next upload has
#: its turn.
BATCH = 1024 * 1024

#: If there is nothing to read or to write for so many seconds, the server must have failed.
PATIENCE = 120

#: The limit of a server that tells no limit.
UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Job:
    """What the client must do."""

    port: int
    #: Bytes of all uploads together.
    size: int
    #: Bytes of the file in one frame.
    chunk_size: int
    #: How many uploads run at once. Each has a socket of its own.
    uploads: int = 1
    path: str = "/ws/"
    slot: str = "files"
    #: The first message, for servers that expect one.
    hello: dict[str, Any] | None = None


@dataclass
class Upload:
    """One upload on a socket of its own."""

    job: Job
    size: int
    payload: memoryview
    ref: uuid.UUID = field(default_factory=uuid.uuid4)
    sent: int = 0
    limit: int = 0
    ended_at: float | None = None

    def __post_init__(self) -> None:
        self._received = bytearray()
        self._unsent: deque[bytes | memoryview] = deque()
        self._index = 0
        self._all_sent = False
        self.socket = socket.create_connection(("127.0.0.1", self.job.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # These methods are called before the time is measured, and block.

    def prepare(self) -> None:
        """Connect, mount and register."""
        self._handshake()
        if self.job.hello:
            self._say(self.job.hello)
        self._wait_for("mount")
        self._say(
            {
                "type": "upload_register",
                "upload_name": self.job.slot,
                "ref": str(self.ref),
                "client_name": "data.bin",
                "client_type": "application/octet-stream",
                "client_size": self.size,
            }
        )
        # djust tells no limit.
        self.limit = self._wait_for("upload_registered").get("limit", UNLIMITED)
        self.socket.setblocking(False)

    def _handshake(self) -> None:
        lines = [
            f"GET {self.job.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.job.port}",
            f"Origin: http://127.0.0.1:{self.job.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        if b" 101 " not in head.splitlines()[0]:
            raise ConnectionError(head.decode("latin-1"))
        self._received = bytearray(rest)

    def _say(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode()
        self.socket.sendall(frame_header(1, len(text)) + text)

    def _wait_for(self, message_type: str) -> dict[str, Any]:
        while True:
            for message in self._messages():
                if message["type"] == message_type:
                    return message
                if message.get("status") == "error":
                    raise ConnectionError(message)
            self._receive()

    # What the server sends

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {self.sent} of {self.size} bytes")
        self._received += data

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages that have arrived, and answer pings."""
        while frame := parse(self._received):
            opcode, data = frame
            if opcode == 1:
                yield json.loads(data)
            elif opcode == 8:
                raise ConnectionError(f"closed: {data[:2].hex()} {data[2:].decode()}")
            elif opcode == 9:
                self._unsent.append(frame_header(10, len(data)) + data)

    def read(self) -> None:
        self._receive()
        for message in self._messages():
            if message.get("ref") != str(self.ref):
                continue
            if message.get("status") == "complete":
                self.ended_at = time.perf_counter()
            elif message.get("status") == "error":
                raise ConnectionError(message)
            self.limit = message.get("limit", self.limit)

    # What the client sends

    def write(self) -> bool:
        """Send a part of a batch. Return whether there is more to send within the limit."""
        if not self._unsent:
            self._fill()
        if not self._unsent:
            return False
        with contextlib.suppress(BlockingIOError):
            self._drop(self.socket.sendmsg(self._unsent))
        return True

    def _fill(self) -> None:
        """Create frames until they make up a batch, or the limit is reached."""
        end = self.sent + BATCH
        while self.sent < end and self._may_send():
            size = min(self.job.chunk_size, self.size - self.sent)
            if not size:
                self._unsent.append(frame_header(2, 17) + b"\x02" + self.ref.bytes)
                self._all_sent = True
                return
            head = b"\x01" + self.ref.bytes + self._index.to_bytes(4, "big")
            self._unsent += (frame_header(2, len(head) + size) + head, self.payload[:size])
            self._index += 1
            self.sent += size

    def _may_send(self) -> bool:
        end = min(self.sent + self.job.chunk_size, self.size)
        return not self._all_sent and end <= self.limit

    def _drop(self, written: int) -> None:
        while self._unsent and written >= len(self._unsent[0]):
            written -= len(self._unsent.popleft())
        if written:
            self._unsent[0] = memoryview(self._unsent[0])[written:]


def frame_header(opcode: int, size: int) -> bytes:
    """Return the header of an unfragmented frame from a client, with a mask of zeros."""
    if size < 126:
        return struct.pack("!BBI", 0x80 | opcode, 0x80 | size, 0)
    if size < 65536:
        return struct.pack("!BBHI", 0x80 | opcode, 0x80 | 126, size, 0)
    return struct.pack("!BBQI", 0x80 | opcode, 0x80 | 127, size, 0)


def parse(received: bytearray) -> tuple[int, bytes] | None:
    """Remove the first frame from the received bytes and return it, if it is complete."""
    if len(received) < 2:
        return None
    size, start = received[1], 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(received[2:start], "big")
    if len(received) < start + size:
        return None
    frame = received[0] & 0x0F, bytes(received[start : start + size])
    del received[: start + size]
    return frame


def run(job: Job) -> dict[str, Any]:
    """Upload everything, and return the measurement.

    It has the seconds until all uploads were complete and until the first and the last one was, the
    CPU seconds of the client, and the figures of the server's meter.
    """
    payload = memoryview(os.urandom(job.chunk_size))
    uploads = [
        Upload(job, job.size // job.uploads + (number < job.size % job.uploads), payload)
        for number in range(job.uploads)
    ]
    for upload in uploads:
        upload.prepare()
    _control(job, "start")
    started, cpu = time.perf_counter(), _cpu()
    _transfer(uploads)
    seconds, cpu = time.perf_counter() - started, _cpu() - cpu
    server = _control(job, "stop")
    for upload in uploads:
        upload.socket.close()
    each = [(upload.ended_at or 0) - started for upload in uploads]
    return {**server, "seconds": seconds, "client_cpu": cpu, "each": [min(each), max(each)]}


def _transfer(uploads: list[Upload]) -> None:
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    with selectors.DefaultSelector() as selector:
        for upload in uploads:
            selector.register(upload.socket, both, upload)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"the server was silent for {PATIENCE} s")
            for key, events in ready:
                upload: Upload = key.data
                if events & selectors.EVENT_READ:
                    upload.read()
                more = upload.write()
                if upload.ended_at:
                    selector.unregister(upload.socket)
                elif key.events != (wanted := both if more else selectors.EVENT_READ):
                    selector.modify(upload.socket, wanted, upload)


def _control(job: Job, request: str) -> Any:
    url = f"http://127.0.0.1:{job.port}/{request}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
