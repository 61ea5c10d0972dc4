"""A store for files over HTTP, in memory. Run it with ``python store.py 9000``.

=========================  ==================================================================
``PUT /<id>/<part>``       store a part under a name; again, if the answer was lost
``GET /<id>``              JSON: ``parts`` with their sizes, and whether it is ``sealed``
``POST /<id>``             JSON, ``parts`` and ``size``: the parts of these names become the
                           file, in this order; 409 if they have another size. A file stays
``POST /<id>/kept``        the file is no upload any more
``GET /<id>/content``      the file
``DELETE /<id>``           for good: the id can't be used again, and answers 410
``GET /?after=<id>``       JSON, ``{id: age in seconds}``: the next 10 that are not kept
=========================  ==================================================================
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Store(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100  # connections at once; the default is 5, and others wait for a second

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.parts, self.files, self.born, self.deleted = {}, {}, {}, set()
        self.broken = None  # a status, such as 503, to answer everything with

    def act(self, method, key, name, body):
        if key in self.deleted and method != "DELETE":
            return 410, b""
        match method, name:
            case "PUT", _:
                self.born.setdefault(key, time.time())
                self.parts.setdefault(key, {})[name] = body
            case "POST", "kept":
                self.born.pop(key, None)
            case "POST", "" if key not in self.files:
                seal, parts = json.loads(body), self.parts.setdefault(key, {})
                content = b"".join(parts.get(name, b"") for name in seal["parts"])
                if len(content) != seal["size"]:
                    return 409, b""
                self.born.setdefault(key, time.time())
                self.files[key] = content
            case "GET", "" if key.startswith("?after="):
                waiting = sorted(each for each in self.born if each > key.removeprefix("?after="))
                ages = {each: time.time() - self.born[each] for each in waiting[:10]}
                return 200, json.dumps(ages).encode()
            case "GET", "":
                sizes = {name: len(part) for name, part in self.parts.get(key, {}).items()}
                return 200, json.dumps({"parts": sizes, "sealed": key in self.files}).encode()
            case "GET", "content":
                return (200, self.files[key]) if key in self.files else (404, b"")
            case "DELETE", _:
                self.deleted.add(key)
                for things in (self.parts, self.files, self.born):
                    things.pop(key, None)
        return 200, b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is sent at once, not its head and then its body

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key, _, name = self.path.strip("/").partition("/")
        with self.server.lock:
            broken = self.server.broken
            status, content = (
                (broken, b"") if broken else self.server.act(self.command, key, name, body)
            )
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = handle_request

    def log_message(self, *args):
        """Be quiet."""


if __name__ == "__main__":
    store = Store(int(sys.argv[1]))
    print(f"The store is at {store.url}")
    store.serve_forever()
