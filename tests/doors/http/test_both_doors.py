"""The interleavings of ``tests/uploads/test_state_machine.py``, with HTTP requests between them.

The requests go to the real endpoint, without a server: what arrives when is part of the example.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from djust_uploads import UploadEndpoint, UploadMixin
from djust_uploads.uploads.manager import UploadManager
from tests.support.simulation import Process, this_process
from tests.uploads.test_state_machine import PICK, TURNS, UNFENCED, Upload, Uploads

SLOT = "disk"
PROCESS = st.integers(0, 1)


class User:
    """The owner of the pages' uploads."""

    is_authenticated = True
    pk = 1


class Endpoint(UploadMixin, UploadEndpoint):
    def __init__(self, machine: BothDoors) -> None:
        super().__init__()
        self.machine = machine

    async def mount(self) -> None:
        self._upload_manager = UploadManager()
        for slot in self.machine.slots:
            self._upload_manager.configure(slot)

    async def uploaded(self, entry: Any) -> None:
        this_process().check_alive()
        await asyncio.sleep(0)


@dataclass
class Request:
    """One HTTP request. ``status`` is 0 until it is answered."""

    machine: BothDoors
    process: Process
    upload: Upload
    method: str
    #: The byte at which its body begins, and the bytes of its body that were not sent yet.
    offset: int = 0
    unsent: bytes = b""
    length: int = 0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        self._inbox: deque[dict[str, Any]] = deque()
        self._arrived = asyncio.Event()
        self.gone = False
        self.length = len(self.unsent)

    def start(self, path: str, **headers: str) -> None:
        raw = [
            (name.replace("_", "-").lower().encode(), value.encode())
            for name, value in headers.items()
        ]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": f"/uploads/{path}",
            "path_remaining": path,
            "query_string": b"",
            "headers": [(b"host", b"testserver"), (b"tus-resumable", b"1.0.0"), *raw],
            "user": User(),
        }
        self.task = self.machine.world.start(
            self.process, Endpoint(self.machine)(scope, self._receive, self._send)
        )

    def send(self, size: int) -> None:
        """Send the next bytes of the body."""
        piece, self.unsent = self.unsent[:size], self.unsent[size:]
        self._put({"type": "http.request", "body": piece, "more_body": bool(self.unsent)})

    def leave(self) -> None:
        """Close the connection."""
        self.gone = True
        self._put({"type": "http.disconnect"})

    def _put(self, message: dict[str, Any]) -> None:
        self._inbox.append(message)
        self._arrived.set()

    async def _receive(self) -> dict[str, Any]:
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.popleft()

    async def _send(self, message: dict[str, Any]) -> None:
        this_process().check_alive()
        if self.gone:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.body += message["body"]
            if not message["more_body"]:
                with self.machine.world.checking():
                    self.machine.answered(self)

    @property
    def running(self) -> bool:
        return not (self.task.done() or self.gone or self.process.ended)


class BothDoors(Uploads):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        #: The offset that HTTP clients were told last, by ref.
        self.offsets: dict[str, int] = {}

    def _patch(self) -> None:
        super()._patch()
        self.patch.setattr("djust_uploads.doors.http.request.LEAST_BLOCK", 4)

    def request(self, process: int, upload: Upload, method: str, **options: Any) -> Request:
        request = Request(self, self.processes[process], upload, method, **options)
        self.requests.append(request)
        return request

    def on_disk(self, pick: int) -> Upload:
        uploads = [upload for upload in self.all_uploads.values() if upload.slot == SLOT]
        return uploads[pick % len(uploads)]

    # What is answered

    def answered(self, request: Request) -> None:
        upload, size = request.upload, len(request.upload.data)
        assert request.status != 500 or self.excuses(upload), request
        if request.method == "GET" and request.status == 200:
            assert request.body == upload.data
            assert upload.completions
        if request.status in (200, 204) and "upload-offset" in request.headers:
            offset = int(request.headers["upload-offset"])
            assert offset <= size
            if upload.excuses & UNFENCED:
                upload.acknowledged = 0
            assert offset >= upload.acknowledged, (request, upload)
            self.offsets[upload.ref] = offset
            if offset == size:
                # tus knows no other sign of a complete upload.
                assert upload.completions, (request, upload)
        if request.method == "PATCH" and request.status == 204:
            sent = request.offset + request.length
            assert int(request.headers["upload-offset"]) == sent, request
        if request.method in ("HEAD", "PATCH") and request.status == 404:
            self.not_found(upload)

    # Rules

    @rule(pick=PICK, process=PROCESS, size=st.sampled_from([0, 5, 40, 100]))
    def http_create(self, pick: int, process: int, size: int) -> None:
        number = len(self.all_uploads)
        data = bytes(97 + (number + i) % 26 for i in range(size))
        upload = Upload("", SLOT, data, "")
        if self.world.cache_fails or self.world.cache_hangs:
            upload.excuses.add("fails")
        request = self.request(process, upload, "POST")
        request.start(f"{SLOT}/", upload_length=str(size))
        self.world.wait(6)
        if request.status == 201:
            upload.ref = request.headers["location"].rpartition("/")[2]
            assert uuid.UUID(upload.ref)
            upload.name = "unnamed"
            self.all_uploads[upload.ref] = upload

    @rule(pick=PICK, process=PROCESS)
    def http_head(self, pick: int, process: int) -> None:
        upload = self.on_disk(pick)
        self.request(process, upload, "HEAD").start(f"{SLOT}/{upload.ref}")

    @rule(
        pick=PICK,
        process=PROCESS,
        first=st.integers(0, 40),
        length=st.integers(1, 100),
        shift=st.sampled_from([0, 0, 0, -3, 3]),
    )
    def http_patch(self, pick: int, process: int, first: int, length: int, shift: int) -> None:
        """From the byte that the client was told, or from a wrong one."""
        upload = self.on_disk(pick)
        offset = min(max(0, self.offsets.get(upload.ref, 0) + shift), len(upload.data))
        body = upload.data[offset : offset + length]
        request = self.request(process, upload, "PATCH", offset=offset, unsent=body)
        request.start(
            f"{SLOT}/{upload.ref}",
            upload_offset=str(offset),
            content_length=str(len(body)),
            content_type="application/offset+octet-stream",
        )
        request.send(first)

    @rule(pick=PICK, size=st.integers(1, 60))
    def http_send(self, pick: int, size: int) -> None:
        if request := self._sending(pick):
            request.send(size)

    @rule(pick=PICK)
    def http_leave(self, pick: int) -> None:
        if request := self._sending(pick):
            request.leave()

    def _sending(self, pick: int) -> Request | None:
        sending = [request for request in self.requests if request.running and request.unsent]
        return sending[pick % len(sending)] if sending else None

    @rule(pick=PICK, process=PROCESS)
    def http_get(self, pick: int, process: int) -> None:
        upload = self.on_disk(pick)
        self.request(process, upload, "GET").start(f"{SLOT}/{upload.ref}")

    @rule(pick=PICK, process=PROCESS, turns=TURNS)
    def http_delete(self, pick: int, process: int, turns: int) -> None:
        if turns > 10:
            # Rarely: nothing can happen to the upload after that.
            return
        upload = self.on_disk(pick)
        upload.excuses.add("cancel")
        self.request(process, upload, "DELETE").start(f"{SLOT}/{upload.ref}")

    # The end

    def finish(self) -> None:
        self.mend()
        for request in self.requests:
            if request.running:
                request.leave()
        self.world.wait(20)
        for request in self.requests:
            assert request.task.done() or request.process.ended, request
        super().finish()


BothDoors.TestCase.settings = settings(
    max_examples=int(os.environ.get("EXAMPLES", "50")),
    derandomize="EXAMPLES" not in os.environ,
    database=None,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
TestBothDoors = BothDoors.TestCase
