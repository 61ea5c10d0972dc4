"""Uploads into the vault of ``vault.py``, by its HTTP API."""

import io
import secrets

import httpx
from django.utils.asyncio import async_unsafe

from djust_uploads import Sink, SinkFile, SinkWriter
from djust_uploads.exceptions import NotResumable, SinkError, SinkMisconfigured, SinkUnavailable

PART = 256 * 1024  # bytes to send in one request
TLS = httpx.create_ssl_context()  # loading certificates takes longer than a request


class VaultSink(Sink):
    keeps_files = True

    def __init__(self, url):
        self.url = url
        self.client = None

    async def open(self, upload):
        return VaultWriter(self, upload, upload.key)

    async def resume(self, upload, checkpoint):
        writer = VaultWriter(self, upload, checkpoint.get("key"))
        lease = {"Lease": writer.lease}
        answer = await self.request("HEAD", writer.path, (200, 404, 410, 423), headers=lease)
        # 423: of two that resume the upload, the other one has the higher generation.
        if answer.status_code in (410, 423) or writer.key != upload.key:
            raise NotResumable(f"the vault has no draft for {checkpoint}")
        writer.offset = int(answer.headers.get("Offset", 0))
        if not checkpoint.get("offset", 0) <= writer.offset <= upload.size:
            raise NotResumable(f"{writer.key} has {writer.offset} bytes after {checkpoint}")
        return writer

    async def sweep(self, older_than, *, dry_run=False):
        drafts = (await self.request("GET", "/drafts")).json()
        old = [key for key, age in drafts.items() if age >= older_than.total_seconds()]
        for key in [] if dry_run else old:
            await self.request("DELETE", f"/blobs/{key}")
        return old

    async def aclose(self):
        if self.client:
            await self.client.aclose()
            self.client = None

    async def request(self, method, path, ok=(200, 204), **options):
        self.client = self.client or httpx.AsyncClient(base_url=self.url, verify=TLS)
        try:
            answer = await self.client.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise SinkUnavailable(f"{method} {path}: {exc!r}") from exc
        if answer.status_code in ok:
            return answer
        raise error_for(answer)(f"{method} {path}: {answer}")


def error_for(answer):
    if answer.is_server_error:
        return SinkUnavailable
    return SinkMisconfigured if answer.status_code in (401, 403) else SinkError


class VaultWriter(SinkWriter):
    def __init__(self, sink, upload, key):
        self.sink, self.upload, self.key = sink, upload, key
        self.path, self.buffer = f"/blobs/{key}", bytearray()
        self.lease = f"{upload.generation} {secrets.token_hex(8)}"

    async def write(self, chunk):
        self.buffer += chunk
        while len(self.buffer) >= PART:
            await self.send()

    async def send(self):
        part, at = bytes(self.buffer[:PART]), {"Offset": str(self.offset), "Lease": self.lease}
        answer = await self.sink.request("PATCH", self.path, (200, 409), content=part, headers=at)
        # A 409 with more: the bytes had arrived before, and the answer was lost.
        stored = int(answer.headers["Offset"])
        if not self.offset <= stored <= self.offset + len(self.buffer):
            raise SinkError(f"{self.key} ends at {stored}, not at {self.offset}")
        del self.buffer[: stored - self.offset]
        self.offset = stored

    async def finish(self):
        if not self.offset:
            await self.send()
        await self.flush()
        # Somebody may have deleted the draft, for example a sweep.
        stored = int((await self.sink.request("HEAD", self.path)).headers["Offset"])
        if stored != self.upload.size:
            raise SinkError(f"{self.key} has {stored} bytes, not {self.upload.size}")
        return VaultFile(self.sink, self.upload, self.path)

    async def abort(self):
        await self.sink.request("DELETE", self.path)

    async def checkpoint(self):
        return {"key": self.key, "offset": self.offset}

    async def flush(self):
        while self.buffer:
            await self.send()

    async def release(self):
        self.buffer.clear()


class VaultFile(SinkFile):
    def __init__(self, sink, upload, path):
        super().__init__(upload.safe_client_name, upload.size, content_type=upload.content_type)
        self.sink, self.path = sink, path

    @async_unsafe("The vault is a network away: use aread() or achunks().")
    def open_stored(self):
        answer = httpx.get(self.sink.url + self.path, verify=TLS)
        return io.BytesIO(answer.raise_for_status().content)

    async def akeep(self):
        await self.sink.request("POST", self.path, (200, 410))

    async def adelete(self):
        self.close()
        await self.sink.request("DELETE", self.path)
