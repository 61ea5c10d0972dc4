"""The "proprietary storage": a small HTTP service that keeps blobs in memory.

Run it with ``python vault.py 9000``. Its API:

========================  =======================================================================
``PATCH /blobs/<id>``     append the body to the draft, at the byte that the ``Offset`` header says;
                          409 if the draft ends elsewhere. At 0 it begins one. 423 if somebody
                          else has the ``Lease``: a number and a word, such as ``0 a7f3``.
``HEAD /blobs/<id>``      where it ends, as ``Offset``; a ``Lease`` is taken from whoever has one
                          with the same number or a lower one; 423 if theirs is higher
``GET /blobs/<id>``       its bytes
``POST /blobs/<id>``      seal it: a draft becomes a blob to keep
``DELETE /blobs/<id>``    for good: the id can't be used again
``GET /drafts``           JSON, ``{id: age in seconds}`` of all that is not sealed
========================  =======================================================================

An id that isn't there is a 404, one that was deleted a 410; deleting either is no error.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Vault(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100  # connections at once; the default is 5, and others wait for a second

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.blobs: dict[str, bytearray] = {}
        self.born: dict[str, float] = {}  # of drafts
        self.deleted: set[str] = set()
        self.leases: dict[str, str] = {}
        self.lock = threading.Lock()
        #: Faults to test with: every request is answered with this status, such as 503; what is
        #: asked is done, and the connection is closed in place of an answer.
        self.broken: int | None = None
        self.mute = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is sent at once, not its head and then its body

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, folder, *key = self.path.split("/")
        if self.server.broken:
            self.answer(self.server.broken)
        elif folder == "drafts":
            self.list_drafts()
        else:
            with self.server.lock:
                self.answer(*self.act(key[0], body))

    do_GET = do_HEAD = do_PATCH = do_POST = do_DELETE = handle_request

    def act(self, key, body):
        vault = self.server
        if self.command == "DELETE":
            vault.deleted.add(key)
            vault.born.pop(key, None)
            vault.blobs.pop(key, None)
            return 204, b""
        if self.command == "HEAD" and "Lease" in self.headers:
            if number(vault.leases.get(key, "0")) > number(self.headers["Lease"]):
                return 423, b""
            vault.leases[key] = self.headers["Lease"]
        if self.command == "PATCH" and key not in vault.deleted and self.headers["Offset"] == "0":
            vault.born.setdefault(key, time.time())
            vault.blobs.setdefault(key, bytearray())
        blob = vault.blobs.get(key)
        if blob is None:
            return 410 if key in vault.deleted else 404, b""
        return getattr(self, self.command.lower())(key, blob, body)

    def patch(self, key, blob, body):
        if self.server.leases.setdefault(key, self.headers["Lease"]) != self.headers["Lease"]:
            return 423, b"", len(blob)
        fits = int(self.headers["Offset"]) == len(blob) and key in self.server.born
        if fits:
            blob += body
        return 200 if fits else 409, b"", len(blob)

    def head(self, key, blob, body):
        return 200, b"", len(blob)

    def get(self, key, blob, body):
        return 200, bytes(blob)

    def post(self, key, blob, body):
        self.server.born.pop(key, None)
        return 200, b""

    def list_drafts(self):
        now = time.time()
        ages = {key: now - born for key, born in list(self.server.born.items())}
        self.answer(200, json.dumps(ages).encode())

    def answer(self, status, content=b"", offset=None):
        if self.server.mute:
            self.close_connection = True
            return
        self.send_response(status)
        if offset is not None:
            self.send_header("Offset", str(offset))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Be quiet."""


def number(lease):
    return int(lease.partition(" ")[0])


if __name__ == "__main__":
    vault = Vault(int(sys.argv[1]))
    print(f"The vault is at {vault.url}")
    vault.serve_forever()
