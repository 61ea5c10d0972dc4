"""A client that uploads by HTTP faster than any of the servers takes it.

    python -m benchmarks.http_client '{"port": 8000, "path": "/uploads/", "size": 200000000, …}'

Runs for one measurement and prints it as JSON; :class:`Job` is what it is told. It speaks tus 1.0.0
over a raw socket: a POST creates the upload, a PATCH carries all of it, the same payload again and
again. The clock runs from the first byte of the PATCH to its answer. Afterwards the upload is
deleted.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

#: Bytes to hand to the kernel at once.
BATCH = 1024 * 1024

#: Seconds without an answer after which the server must have failed.
PATIENCE = 120


@dataclass(frozen=True)
class Job:
    port: int
    size: int
    #: Where uploads are created.
    path: str
    #: Of each request.
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]


class Connection:
    """One kept open for all requests."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._socket = socket.create_connection(("127.0.0.1", job.port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()

    def request(
        self, method: str, path: str, headers: dict[str, str], body: memoryview, size: int = 0
    ) -> Answer:
        """Send ``size`` bytes of ``body``, repeated; raises ``ConnectionError`` for a refusal."""
        every = {
            "Host": f"127.0.0.1:{self._job.port}",
            "Tus-Resumable": "1.0.0",
            "Content-Length": str(size),
            **self._job.headers,
            **headers,
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in every.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        for start in range(0, size, len(body)):
            self._socket.sendall(body[: size - start])
        answer = self._answer()
        if answer.status >= 400:
            raise ConnectionError(f"{method} {path}: {answer}")
        return answer

    def _answer(self) -> Answer:
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._drop_body(headers)
        return Answer(int(first.split()[1]), headers)

    def _drop_body(self, headers: dict[str, str]) -> None:
        """The body of the one answer that is on its way."""
        if "chunked" in headers.get("transfer-encoding", ""):
            while not self._received.endswith(b"0\r\n\r\n"):
                self._receive()
        size = int(headers.get("content-length", 0))
        while len(self._received) < size:
            self._receive()
        self._received.clear()

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data


def run(job: Job) -> dict[str, Any]:
    """Upload once: seconds, and our CPU seconds meanwhile."""
    payload = memoryview(os.urandom(BATCH))
    connection = Connection(job)
    creation = {"Upload-Length": str(job.size), "Upload-Metadata": "filename ZGF0YS5iaW4="}
    created = connection.request("POST", job.path, creation, payload)
    path = re.sub(r"^https?://[^/]+", "", created.headers["location"])
    most = append_limit(created) or job.size
    started, cpu = time.perf_counter(), _cpu()
    for offset in range(0, job.size, most):
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
        }
        size = min(most, job.size - offset)
        answer = connection.request("PATCH", path, headers, payload, size)
    seconds, cpu = time.perf_counter() - started, _cpu() - cpu
    if answer.headers.get("upload-offset") != str(job.size):
        raise ConnectionError(f"not complete: {answer}")
    connection.request("DELETE", path, {}, payload)
    return {"seconds": seconds, "client_cpu": cpu}


def append_limit(answer: Answer) -> int | None:
    """Return how many bytes a PATCH may carry, where the server says it."""
    found = re.search(r"max-append-size=(\d+)", answer.headers.get("upload-limit", ""))
    return int(found[1]) if found else None


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
