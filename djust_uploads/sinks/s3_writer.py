"""One file on its way into a bucket: a PutObject if it fits in a part, else a multipart upload."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import InvalidSink, SinkError, SinkMisconfigured, UploadError
from .base import SinkWriter, UploadInfo
from .keys import OWNER, key_taken
from .parts import Part, PartGatherer, Prefix, part_size_for
from .s3_errors import code_of, is_missing, status_of
from .s3_file import S3File
from .s3_rules import MAX_PARTS

if TYPE_CHECKING:
    from .s3 import S3Sink

logger = logging.getLogger("djust_uploads")

Chunks = Sequence[bytes | memoryview]

CHECKSUMS = ("CRC32", "CRC32C", "SHA256")


class S3Writer(SinkWriter):
    """Holds at most ``max_concurrency`` parts on their way and the one being gathered."""

    def __init__(
        self,
        sink: S3Sink,
        upload: UploadInfo,
        key: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        self._sink = sink
        self._upload = upload
        resumed = checkpoint or {}
        self.key = key
        #: The same for all writers of one upload; stored with the object.
        self._owner: str = resumed.get("owner", upload.key)
        self._upload_id: str | None = resumed.get("upload_id")
        self._part_size: int = resumed.get("part_size") or part_size_for(
            upload.size, sink.part_size, MAX_PARTS
        )
        self._gatherer = PartGatherer(upload.size, self._part_size)
        self._landed: dict[int, dict[str, Any]] = {}
        self._prefix = Prefix()
        #: Parts to send: new ones, and those that failed.
        self._unsent: list[Part] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(sink.max_concurrency)
        self._error: UploadError | None = None
        #: A multipart upload may be there whose id we never heard.
        self._lost_id = False
        #: The object may be there already.
        self._committing = False
        self._file: S3File | None = None

    @property
    def _is_multipart(self) -> bool:
        return self._upload.size > self._part_size

    async def write(self, chunk: bytes) -> None:
        if self._error:
            raise self._error
        try:
            for part in self._gatherer.feed(chunk):
                self._unsent.append(part)
                if self._is_multipart:
                    await self._send_parts()
        except ValueError as exc:
            raise SinkError(f"{self.key}: {exc}") from exc

    async def _send_parts(self) -> None:
        """Start to send what is unsent; waits while ``max_concurrency`` parts are on their way."""
        await self._begin()
        while self._unsent:
            await self._places.acquire()
            if self._error:
                self._places.release()
                raise self._error
            task = self._sink.start(self._send(self._unsent.pop(0)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self) -> None:
        if self._upload_id:
            return
        await self._check_key_free()
        params = self._sink.object_params(self._upload, self._owner)
        if self._sink.checksum:
            params["ChecksumAlgorithm"] = self._sink.checksum
        self._lost_id = True
        try:
            answer = await self._sink.call("create_multipart_upload", Key=self.key, **params)
        except SinkError as error:
            self._lost_id = not 400 <= status_of(error) < 500
            raise
        self._upload_id = answer["UploadId"]
        # The answer to an earlier attempt may be what got lost.
        self._lost_id = answer["ResponseMetadata"].get("RetryAttempts", 0) > 0

    async def _check_key_free(self) -> None:
        """A key that can be guessed may be taken. ``If-None-Match`` has the last word, but some
        stores ignore it, and here it is said before a gigabyte was sent."""
        if self._owner not in self.key:
            stored = await self._head()
            if stored is not None and not self._is_ours(stored):
                raise key_taken(self.key)

    async def _send(self, part: Part) -> None:
        try:
            checksum = await self._checksum_of(part)
            answer = await self._sink.call(
                "upload_part",
                Key=self.key,
                UploadId=self._upload_id,
                PartNumber=part.number,
                Body=part.body(),
                **checksum,
            )
            self._landed[part.number] = {"ETag": answer["ETag"], **checksum}
            self._prefix.land(part)
            self.offset = self._prefix.offset
        except asyncio.CancelledError:
            self._unsent.append(part)
            raise
        except Exception as exc:
            self._unsent.append(part)
            unexpected = SinkError(f"part {part.number} of {self.key}: {exc!r}")
            unexpected.__cause__ = exc
            self._error = self._error or (exc if isinstance(exc, UploadError) else unexpected)
        finally:
            self._places.release()

    async def _checksum_of(self, part: Part) -> dict[str, str]:
        """The request's checksum header, computed in a thread."""
        if not self._sink.checksum:
            return {}
        digest = await asyncio.to_thread(load_checksum(self._sink.checksum), part.chunks)
        return {f"Checksum{self._sink.checksum}": base64.b64encode(digest).decode()}

    async def finish(self) -> S3File:
        if self._file is None:
            if self._gatherer.received != self._upload.size:
                raise SinkError(f"{self._gatherer.received} bytes of {self._upload.size}")
            etag = await (self._complete() if self._is_multipart else self._put())
            self.offset = self._upload.size
            self._unsent.clear()
            self._upload_id = None
            self._file = S3File(
                self._sink,
                self.key,
                etag,
                self._upload.safe_client_name,
                self._upload.size,
                content_type=self._upload.content_type,
            )
            try:
                await self._abort_lost()
            except SinkError as error:
                logger.warning("%s is stored, but an upload of it may remain: %s", self.key, error)
        return self._file

    async def _put(self) -> str:
        await self._check_key_free()
        part = self._unsent[0] if self._unsent else Part(1, 0, 0, [])
        params = self._sink.object_params(self._upload, self._owner)
        checksum = await self._checksum_of(part)
        return await self._commit("put_object", Body=part.body(), **params, **checksum)

    async def _complete(self) -> str:
        # What failed before gets another chance.
        self._error = None
        await self._send_parts()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._error:
            raise self._error
        if self._prefix.offset != self._upload.size:
            raise SinkError(f"{self._prefix.offset} bytes landed of {self._upload.size}")
        parts = [{"PartNumber": n, **self._landed[n]} for n in sorted(self._landed)]
        return await self._commit(
            "complete_multipart_upload",
            UploadId=self._upload_id,
            MultipartUpload={"Parts": parts},
        )

    async def _commit(self, operation: str, **params: Any) -> str:
        """Make the object appear, and return its ETag, which some stores leave empty.

        Whatever the answer was, and if none came: the object is there if it is there and ours.
        """
        if self._committing and (etag := await self._stored_etag()) is not None:
            return etag
        self._committing = True
        condition = {"IfNoneMatch": "*"} if self._sink.conditional_writes else {}
        try:
            answer = await self._sink.call(operation, Key=self.key, **condition, **params)
        except SinkError as error:
            if condition and code_of(error) == "NotImplemented" and self._owner in self.key:
                # The store has no conditional writes. A key that nobody can guess needs none.
                self._sink.conditional_writes, self._committing = False, False
                return await self._commit(operation, **params)
            if isinstance(error, SinkMisconfigured):
                raise
            return await self._etag_despite(error)
        return str(answer.get("ETag", ""))

    async def _etag_despite(self, error: SinkError) -> str:
        """The ETag if the object is there after all; else raises ``error``, or what it means."""
        refused = code_of(error) == "PreconditionFailed"
        try:
            etag = await self._stored_etag()
        except SinkError as unknown:
            # The refusal may have been for an object that we wrote and never heard of.
            raise (unknown if refused else error) from error.__cause__
        if etag is not None:
            return etag
        raise (key_taken(self.key) if refused else error) from error.__cause__

    async def _head(self) -> dict[str, Any] | None:
        try:
            return await self._sink.call("head_object", Key=self.key)
        except SinkError as error:
            # Without leave to list the bucket, the answer for a key that is free is 403.
            if is_missing(error) or code_of(error) == "403":
                return None
            raise

    async def _stored_etag(self) -> str | None:
        """The ETag of the object, if it is there and complete and we wrote it."""
        stored = await self._head()
        if stored is None or not self._is_ours(stored):
            return None
        return str(stored.get("ETag", ""))

    def _is_ours(self, stored: Mapping[str, Any]) -> bool:
        owner = stored.get("Metadata", {}).get(OWNER)
        return bool(owner == self._owner and stored["ContentLength"] == self._upload.size)

    async def abort(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._gatherer.clear()
        self._unsent.clear()
        if self._upload_id:
            await self._sink.abort_upload(self.key, self._upload_id)
            if tasks:
                # A part that was on its way may have landed after the first abort:
                # https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
                await self._abort_listed()
            self._upload_id = None
        await self._abort_lost()
        if self._committing:
            if await self._stored_etag() is not None:
                await self._sink.delete(self.key)
            self._committing = False

    async def _abort_lost(self) -> None:
        if self._lost_id:
            await self._abort_listed()
            self._lost_id = False

    async def _abort_listed(self) -> None:
        # Under a key that can be guessed, somebody else may be uploading.
        only_ours = self._owner in self.key
        async for upload in self._sink.uploads(self.key):
            if only_ours or upload["UploadId"] == self._upload_id:
                await self._sink.abort_upload(upload["Key"], upload["UploadId"])

    # Resuming

    async def checkpoint(self) -> dict[str, Any]:
        """What landed without a gap. Parts beyond a gap are sent again by who resumes."""
        numbers = range(1, self._prefix.parts + 1)
        return {
            "key": self.key,
            "owner": self._owner,
            "upload_id": self._upload_id,
            "part_size": self._part_size,
            "size": self._upload.size,
            "parts": [self._landed[number] for number in numbers],
            "offset": self.offset,
        }

    async def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Take over the checkpoint's parts that the store still has, up to the first it has not."""
        parts, size = checkpoint["parts"], checkpoint["size"]
        if size != self._upload.size:
            raise ValueError(f"a file of {size} bytes, not {self._upload.size}")
        if not self._upload_id:
            return
        stored = await self._sink.parts(self.key, self._upload_id)
        for number, landed in enumerate(parts, 1):
            if stored.get(number) != landed["ETag"]:
                break
            offset = (number - 1) * self._part_size
            self._landed[number] = dict(landed)
            self._prefix.land(Part(number, offset, min(self._part_size, size - offset), []))
        self.offset = self._prefix.offset
        self._gatherer = PartGatherer(self._upload.size, self._part_size, self.offset)


def load_checksum(name: str | None) -> Callable[[Chunks], bytes]:
    """The function for one of :data:`CHECKSUMS`. Raises :class:`InvalidSink` if it is not there."""
    if name == "CRC32C":
        try:
            from awscrt.checksums import crc32c
        except ImportError as exc:
            raise InvalidSink("checksum 'CRC32C' needs awscrt: pip install awscrt") from exc
        return functools.partial(_crc, lambda chunk, crc: crc32c(bytes(chunk), crc))
    return _sha256 if name == "SHA256" else functools.partial(_crc, zlib.crc32)


def _crc(update: Callable[[bytes | memoryview, int], int], chunks: Chunks) -> bytes:
    crc = 0
    for chunk in chunks:
        crc = update(chunk, crc)
    return crc.to_bytes(4, "big")


def _sha256(chunks: Chunks) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
