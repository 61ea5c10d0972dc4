"""A Google Cloud Storage to test against: an emulator in a process of its own, and a proxy in front
of it that does what the emulator doesn't.

What the proxy does always, since the store does:

* A session that was cancelled answers 499, and so does the DELETE:
  https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
* The status of a session without bytes has no ``Range``, and that of a complete one is 200 with the
  object: …#status-check
* ``ifGenerationMatch=0`` refuses to begin, and to complete, where there is an object: 412,
  https://cloud.google.com/storage/docs/request-preconditions#precondition_criteria
* ``ifGenerationMatch`` and ``ifMetagenerationMatch`` of DELETE and PATCH: the same page.
* PATCH merges ``metadata``, and takes away a key that is ``null``:
  https://cloud.google.com/storage/docs/json_api/v1/how-tos/performance#patch
* ``X-Goog-Hash`` with the last bytes is compared with the object's, else 400:
  https://cloud.google.com/storage/docs/data-validation#server-validation
* Bytes that a session has already are skipped: …/resumable-uploads#considerations

And what it does when told, once for each fault in :attr:`Proxy.faults`: see the constants.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c
import requests
from google.auth.credentials import AnonymousCredentials

from tests.support.servers import free_port

GRANULE = 256 * 1024

#: The request is forwarded, the answer never arrives.
LOST = "lost"
#: The connection ends before the request is forwarded.
DROPPED = "dropped"
#: One granule less is stored than was sent: the 308's Range tells, "Use this value to determine
#: where to start the next chunk", …/performing-resumable-uploads#chunked-upload
PARTIAL = "partial"
#: Nothing of what was sent is stored.
NOTHING = "nothing"
#: The object has another CRC32C than what was sent, and nobody said so.
CORRUPT = "corrupt"
#: A byte changes on its way to the store.
DAMAGED = "damaged"
#: Half of the answer's body.
TRUNCATED = "truncated"


@dataclass
class Store:
    """An emulator or the proxy, with an empty bucket ``media``."""

    url: str

    @property
    def target(self) -> str:
        """To look at what is in the store."""
        return self.url

    @property
    def options(self) -> dict[str, Any]:
        return {"api_endpoint": self.url, "credentials": AnonymousCredentials()}

    def objects(self) -> list[dict[str, Any]]:
        return requests.get(f"{self.target}/storage/v1/b/media/o", timeout=10).json()["items"]

    def keys(self) -> list[str]:
        return sorted(stored["name"] for stored in self.objects())

    def stat(self, key: str) -> dict[str, Any]:
        (found,) = (stored for stored in self.objects() if stored["name"] == key)
        return found

    def read(self, key: str) -> bytes:
        path = f"/storage/v1/b/media/o/{quote(key, safe='')}?alt=media"
        return requests.get(self.target + path, timeout=60).content

    def put(self, key: str, content: bytes) -> None:
        path = f"/upload/storage/v1/b/media/o?uploadType=media&name={quote(key)}"
        requests.post(self.target + path, data=content, timeout=10).raise_for_status()

    def empty(self) -> None:
        requests.get(f"{self.target}/wipe?keep-buckets=1", timeout=10)


@contextlib.contextmanager
def emulator() -> Iterator[Store]:
    port = free_port()
    program = shutil.which("gcp-storage-emulator")
    program = program or str(Path(sys.executable).with_name("gcp-storage-emulator"))
    process = subprocess.Popen(
        [
            *(program, "start", "--in-memory", "--host=127.0.0.1"),
            *(f"--port={port}", "--default-bucket=media"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, "the emulator ended"
            time.sleep(0.05)
        yield Store(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@dataclass
class Session:
    key: str
    if_generation_match: str | None
    body: bytearray = field(default_factory=bytearray)
    cancelled: bool = False
    object: dict[str, Any] | None = None


class Proxy(Store):
    """``requests`` lists what it was asked, by operation; ``faults`` maps an operation to what
    happens instead, in order: a status, or one of the constants."""

    def __init__(self, url: str, target: str) -> None:
        super().__init__(url)
        self._target = target
        self.reset()

    @property
    def target(self) -> str:
        return self._target

    def reset(self) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.faults: dict[str, list[str | int]] = {}
        self.sessions: dict[str, Session] = {}
        #: Set: PUTs wait until it is set again.
        self.gate = threading.Event()
        self.gate.set()

    def live_sessions(self) -> list[str]:
        """The keys of sessions that nobody ended."""
        return [s.key for s in self.sessions.values() if not (s.cancelled or s.object)]

    def count(self, operation: str) -> int:
        return self.requests.count(operation)

    def stored(self, key: str) -> dict[str, Any] | None:
        path = f"/storage/v1/b/media/o/{quote(key, safe='')}"
        answer = requests.get(self.target + path, timeout=10)
        return answer.json() if answer.status_code == 200 else None


class Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        self.query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self._operation()
        self.proxy.requests.append(operation)
        self.proxy.headers.append(dict(self.headers))
        self.proxy.queries.append(self.query)
        faults = self.proxy.faults.get(operation)
        fault = faults.pop(0) if faults else None
        if operation == "put":
            self.proxy.gate.wait()
        if isinstance(fault, int):
            message = f"as told, upload_id={quote(self.query.get('upload_id', ''))}"
            return self._answer(fault, {"error": {"message": message}})
        if fault == DROPPED:
            return self._drop()
        answer = getattr(self, f"_{operation}", self._forward)(body, fault)
        return self._drop() if fault == LOST else self._answer(*answer, fault=fault)

    def _operation(self) -> str:
        if "upload_id" in self.query:
            range_ = self.headers.get("Content-Range", "")
            query = "bytes */" in range_ and "X-Goog-Hash" not in self.headers
            return {"PUT": "query" if query else "put", "DELETE": "cancel"}[self.command]
        if self.path.startswith("/upload") and self.query["uploadType"] == "resumable":
            return "begin"
        if self.command == "GET":
            return "read" if self.query.get("alt") == "media" else "get"
        return self.command.lower()

    def _answer(self, status: int, body: Any = b"", headers: Any = None, fault: Any = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == TRUNCATED else content)
        self.close_connection = True

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    # What the store does

    def _forward(self, body: bytes, fault: Any = None) -> tuple[int, bytes, dict[str, str]]:
        skip = ("Content-Length", "Connection", "Transfer-Encoding", "Accept-Encoding")
        headers = {k: v for k, v in self.headers.items() if k not in skip}
        answer = requests.request(
            self.command, self.proxy.target + self.path, headers=headers, data=body, timeout=60
        )
        return answer.status_code, answer.content, _kept(answer)

    def _begin(self, body: bytes, fault: Any) -> tuple[int, bytes, dict[str, str]]:
        name = self.query["name"]
        if self.query.get("ifGenerationMatch") == "0" and self.proxy.stored(name):
            return 412, b"", {}
        status, content, headers = self._forward(body)
        if status == 200:
            session = parse_qs(urlsplit(headers["Location"]).query)["upload_id"][0]
            self.proxy.sessions[session] = Session(name, self.query.get("ifGenerationMatch"))
        return status, content, headers

    def _ended(self, session: Session | None) -> tuple[int, Any] | None:
        if session is None:
            return 404, b""
        if session.cancelled:
            return 499, b""
        return (200, session.object) if session.object else None

    def _put(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        session = self.proxy.sessions.get(self.query["upload_id"])
        if ended := self._ended(session):
            return ended
        assert session
        start, size = _range(self.headers["Content-Range"])
        start = len(session.body) if start is None else start
        if start > len(session.body) or (start + len(body) < size and len(body) % GRANULE):
            return 400, b"a gap, or no multiple of 256 KiB"
        if fault == NOTHING:
            body = b""
        if fault == PARTIAL:
            body = body[: -(len(body) % GRANULE or GRANULE)]
        if fault == DAMAGED:
            body = bytes([body[0] ^ 1]) + body[1:]
        # What it has already, it skips.
        session.body += body[len(session.body) - start :]
        if len(session.body) < size:
            return self._incomplete(session)
        return self._complete(session, fault)

    def _incomplete(self, session: Session) -> tuple[Any, ...]:
        have = len(session.body)
        return 308, b"", {"Range": f"bytes=0-{have - 1}"} if have else {}

    def _complete(self, session: Session, fault: Any) -> tuple[Any, ...]:
        if session.if_generation_match == "0" and self.proxy.stored(session.key):
            return 412, b""
        crc = base64.b64encode(google_crc32c.Checksum(bytes(session.body)).digest()).decode()
        if self.headers.get("X-Goog-Hash", f"crc32c={crc}") != f"crc32c={crc}":
            session.cancelled = True
            return 400, {"error": {"message": "Provided CRC32C doesn't match", "errors": []}}
        if fault == CORRUPT:
            session.body[0] ^= 1
        answer = requests.put(
            self.proxy.target + self.path,
            data=bytes(session.body),
            headers={"Content-Range": _whole(len(session.body))},
            timeout=60,
        )
        session.object = answer.json()
        session.body.clear()
        return answer.status_code, session.object

    def _query(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        session = self.proxy.sessions.get(self.query["upload_id"])
        return self._ended(session) or self._incomplete(session)  # type: ignore[arg-type]

    def _cancel(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        session = self.proxy.sessions.get(self.query["upload_id"])
        if session is None or session.object:
            return 404, b""
        session.cancelled = True
        return 499, b""

    def _refused(self) -> dict[str, Any] | int:
        """The object, or the status for a precondition that doesn't hold."""
        key = unquote(urlsplit(self.path).path.partition("/o/")[2])
        stored = self.proxy.stored(key)
        if stored is None:
            return 404
        for name in ("generation", "metageneration"):
            wanted = self.query.get(f"if{name.capitalize()}Match")
            if wanted not in (None, stored[name]):
                return 412
        return stored

    def _read(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        """``generation``: https://cloud.google.com/storage/docs/json_api/v1/objects/get"""
        stored = self._refused()
        if isinstance(stored, int) or self.query["generation"] != stored["generation"]:
            return 404, b""
        return self._forward(body)

    def _delete(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        stored = self._refused()
        return (stored, b"") if isinstance(stored, int) else self._forward(body)

    def _patch(self, body: bytes, fault: Any) -> tuple[Any, ...]:
        stored = self._refused()
        if isinstance(stored, int):
            return stored, b""
        resource = json.loads(body)
        metadata = {**stored.get("metadata", {}), **resource.get("metadata", {})}
        resource["metadata"] = {k: v for k, v in metadata.items() if v is not None}
        return self._forward(json.dumps(resource).encode())


def _kept(answer: requests.Response) -> dict[str, str]:
    skip = ("content-length", "connection", "transfer-encoding", "server", "date")
    return {k: v for k, v in answer.headers.items() if k.lower() not in skip}


def _range(header: str) -> tuple[int | None, int]:
    """Where the bytes begin, ``None`` if there are none, and the whole size."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", header)
    assert found, header
    return (int(found[1]) if found[1] else None), int(found[2])


def _whole(size: int) -> str:
    return f"bytes 0-{size - 1}/{size}" if size else "bytes */0"


@contextlib.contextmanager
def proxy(target: Store) -> Iterator[Proxy]:
    handler = type("ProxyHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.proxy = Proxy(f"http://127.0.0.1:{server.server_port}", target.url)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield handler.proxy  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
