"""``DiscardSink``: a sink that drops all bytes. It shows the cost of everything but the sink."""

from __future__ import annotations

from djust_uploads import Sink, SinkFile, SinkWriter
from djust_uploads.sinks.base import UploadInfo


class DiscardSink(Sink):
    async def open(self, upload: UploadInfo) -> DiscardWriter:
        return DiscardWriter(upload)


class DiscardWriter(SinkWriter):
    takes_views = True

    def __init__(self, upload: UploadInfo) -> None:
        self._upload = upload

    async def write(self, chunk: bytes) -> None:
        self.offset += len(chunk)

    async def finish(self) -> SinkFile:
        return Discarded(self._upload.safe_client_name, self._upload.size)

    async def abort(self) -> None:
        """Do nothing, because nothing is stored."""


class Discarded(SinkFile):
    async def adelete(self) -> None:
        """Do nothing, because nothing is stored."""
