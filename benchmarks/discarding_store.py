"""A store over TLS that drops all bytes. It shows the cost of the senders.

    python -m benchmarks.discarding_store PORT CERTIFICATE KEY

It answers the requests of S3 and of GCS's resumable uploads that an upload makes, and checks
nothing. For GCS it computes the CRC32C of the bytes, because clients compare it.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import google_crc32c

_BLOCK = 256 * 1024

_BEGUN = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = '<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'


class Session:
    """A resumable upload of GCS."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stored = 0
        self.crc = 0

    def object(self) -> dict[str, object]:
        crc = base64.b64encode(self.crc.to_bytes(4, "big")).decode()
        numbers = {"generation": "1", "metageneration": "1", "size": str(self.stored)}
        return {"name": self.name, "bucket": "media", "crc32c": crc, **numbers}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sessions: ClassVar[dict[str, Session]] = {}

    def setup(self) -> None:
        super().setup()
        self.query: dict[str, str] = {}

    def parse_request(self) -> bool:
        ok = super().parse_request()
        if ok:
            query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            self.query = {name: values[0] for name, values in query.items()}
        return ok

    def do_POST(self) -> None:
        self._skip_body()
        if "uploadType" in self.query:
            self._begin_session()
        else:
            self._answer(200, _BEGUN if "uploads" in self.query else _COMPLETED)

    def do_PUT(self) -> None:
        if "upload_id" in self.query:
            self._put_session()
        else:
            self._skip_body()
            self._answer(200, ETag='"1"')

    def do_GET(self) -> None:
        self._answer(200, "{}")

    do_PATCH = do_POST

    def do_DELETE(self) -> None:
        self._answer(204)

    # GCS: https://cloud.google.com/storage/docs/performing-resumable-uploads

    def _begin_session(self) -> None:
        number = str(len(self.sessions) + 1)
        self.sessions[number] = Session(self.query.get("name", number))
        host = self.headers["Host"]
        self._answer(200, Location=f"https://{host}/upload/session?upload_id={number}")

    def _put_session(self) -> None:
        session = self.sessions[self.query["upload_id"]]
        for block in self._blocks():
            session.crc = google_crc32c.extend(session.crc, block)
            session.stored += len(block)
        total = self.headers["Content-Range"].rpartition("/")[2]
        if total == str(session.stored):
            self._answer(200, json.dumps(session.object()), **{"Content-Type": "application/json"})
        else:
            self._answer(308, Range=f"bytes=0-{session.stored - 1}")

    # HTTP

    def _skip_body(self) -> None:
        for _block in self._blocks():
            pass

    def _blocks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield from self._read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                """Skip the trailers, up to an empty line."""
        else:
            yield from self._read(int(self.headers.get("Content-Length", 0)))

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read1(min(size, _BLOCK))
            if not block:
                raise ConnectionError("closed within a body")
            size -= len(block)
            yield block

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, because nobody would read it."""


class Store(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors. They come from clients that close their connections."""


def main(port: str, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Store(("127.0.0.1", int(port)), Handler)
    # The handshake must be done in the connection's thread, so it is not done by accept().
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
