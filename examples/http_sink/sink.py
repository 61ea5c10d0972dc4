"""Uploads into the store of ``store.py``: parts in any process, and a seal."""

import io
import secrets

import httpx
from django.utils.asyncio import async_unsafe

from djust_uploads import Sink, SinkFile, SinkWriter
from djust_uploads.exceptions import NotResumable, SinkError, SinkMisconfigured, SinkUnavailable

PART = 256 * 1024  # bytes of a part
TLS = httpx.create_ssl_context()  # loading certificates takes longer than a request


class HttpSink(Sink):
    keeps_files = True

    def __init__(self, url):
        self.url = url
        self.client = None

    async def open(self, upload):
        return HttpWriter(self, upload)

    async def resume(self, upload, checkpoint):
        writer = HttpWriter(self, upload)
        match checkpoint:
            case {"key": upload.key, "parts": [*parts]}:
                await writer.restore(parts)
                return writer
        raise NotResumable(f"not a checkpoint of HttpSink: {checkpoint}")

    async def sweep(self, older_than, *, dry_run=False):
        swept, last = [], ""
        while page := (await self.request("GET", f"/?after={last}")).json():
            swept += [key for key, age in page.items() if age >= older_than.total_seconds()]
            last = max(page)
        for key in [] if dry_run else swept:
            await self.request("DELETE", f"/{key}")
        return swept

    async def aclose(self):
        client, self.client = self.client, None
        if client:
            await client.aclose()

    async def request(self, method, path, also=(), **options):
        """Return the answer. Raises one of our errors unless its status is 200 or in ``also``."""
        self.client = self.client or httpx.AsyncClient(base_url=self.url, verify=TLS)
        try:
            answer = await self.client.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise SinkUnavailable(f"{method} {path}: {exc!r}") from exc
        if answer.status_code in (200, *also):
            return answer
        raise error_for(answer.status_code)(f"{method} {path}: {answer.status_code}")


def error_for(status):
    if status >= 500 or status in (408, 429):
        return SinkUnavailable
    return SinkMisconfigured if status in (401, 403) else SinkError


class HttpWriter(SinkWriter):
    """Each writer names its parts by a word of its own: one whose upload goes on elsewhere can
    send what it likes, for nobody puts its parts into the file."""

    def __init__(self, sink, upload):
        self.sink, self.upload, self.path = sink, upload, f"/{upload.key}"
        self.word, self.parts, self.buffer = secrets.token_hex(4), [], bytearray()
        self.file = None

    async def write(self, chunk):
        self.buffer += chunk
        while len(self.buffer) >= PART:
            await self.send()

    async def send(self):
        part, name = bytes(self.buffer[:PART]), f"{self.word}-{self.offset}"
        await self.sink.request("PUT", f"{self.path}/{name}", content=part)
        # Now the store has it. Before, a failed call could not have been made again.
        self.parts.append([name, len(part)])
        self.offset += len(part)
        del self.buffer[: len(part)]

    async def flush(self):
        while self.buffer:
            await self.send()

    async def finish(self):
        if self.file is None:
            await self.flush()
            seal = {"parts": [name for name, size in self.parts], "size": self.upload.size}
            await self.sink.request("POST", self.path, json=seal)
            self.file = HttpFile(self.sink, self.upload)
        return self.file

    async def abort(self):
        await self.sink.request("DELETE", self.path)

    async def release(self):
        self.buffer.clear()

    async def checkpoint(self):
        return {"key": self.upload.key, "parts": list(self.parts)}

    async def restore(self, parts):
        answer = await self.sink.request("GET", self.path, also=[410])
        if answer.status_code == 410:
            raise NotResumable(f"{self.path} was deleted")
        stored = answer.json()
        if any(stored["parts"].get(name) != size for name, size in parts):
            raise NotResumable(f"the parts of {self.path} are gone")
        self.parts, self.offset = list(parts), sum(size for name, size in parts)
        if stored["sealed"]:
            # A process before us has finished it, and did not get so far as to say so.
            self.offset, self.file = self.upload.size, HttpFile(self.sink, self.upload)


class HttpFile(SinkFile):
    def __init__(self, sink, upload):
        super().__init__(upload.safe_client_name, upload.size, content_type=upload.content_type)
        self.sink, self.path = sink, f"/{upload.key}"

    @property
    def url(self):
        return f"{self.sink.url}{self.path}/content"

    @async_unsafe("The store is a network away: use aread() or achunks().")
    def open_stored(self):
        return io.BytesIO(httpx.get(self.url, verify=TLS).raise_for_status().content)

    async def akeep(self):
        await self.sink.request("POST", f"{self.path}/kept", also=[410])

    async def adelete(self):
        self.close()
        await self.sink.request("DELETE", self.path)
