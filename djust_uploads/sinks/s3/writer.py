"""One file on its way into a bucket: a PutObject if it fits in a part, else a multipart upload."""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...exceptions import NotResumable, SinkError, SinkMisconfigured, UploadError
from ...flow.budget import budget
from ..base import SinkWriter, UploadInfo
from ..keys import OWNER, key_taken
from ..parts import Part, PartGatherer, Prefix, part_size_for
from .checksums import landed_part, load_checksum
from .errors import code_of, is_missing, status_of
from .file import S3File
from .rules import MAX_PARTS

if TYPE_CHECKING:
    from .sink import S3Sink

logger = logging.getLogger("djust_uploads")


class S3Writer(SinkWriter):
    """Holds the part being gathered and one on its way; at most ``max_concurrency`` are on their
    way while those of all uploads fit in the budget.

    A process that lost the upload to another one may have requests on their way that arrive late:

    * A part. It has the bytes that the part has anyway, as the size of parts is the checkpoint's.
      Where they differ, for a client that sent something else to each process, so do their ETags,
      and CompleteMultipartUpload, which names them all, is refused.
    * The end. Then the object is there, whole and ours, and our own end finds that: it is refused
      (``If-None-Match``), or its upload is gone. Where a store can't refuse, the object is written
      twice; a file read meanwhile fails by its ETag, rather than mix both.
    * Anything, after the upload was ended. It is refused, as nobody knows the upload's id any more.
      Only a part that the store was taking already when the upload was aborted can stay behind:
      :meth:`abort` looks again, and the sweep, or a lifecycle rule, takes what came still later.
    """

    takes_views = True

    def __init__(
        self,
        sink: S3Sink,
        upload: UploadInfo,
        key: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        self._sink = sink
        self._upload = upload
        self._resumed = checkpoint is not None
        resumed = checkpoint or {}
        self.key = key
        #: The same for all writers of one upload; stored with the object.
        self._owner: str = resumed.get("owner", upload.key)
        self._upload_id: str | None = resumed.get("upload_id")
        self._part_size: int = resumed.get("part_size") or part_size_for(
            upload.size, sink.part_size, MAX_PARTS
        )
        #: That of its parts is decided when a multipart upload begins.
        self._checksum: str | None = resumed.get("checksum", sink.checksum)
        self._gatherer = PartGatherer(upload.size, self._part_size)
        self._landed: dict[int, dict[str, Any]] = {}
        self._prefix = Prefix()
        #: Parts to send: new ones, and those that failed.
        self._unsent: list[Part] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(sink.max_concurrency)
        self._error: UploadError | None = None
        #: Multipart uploads of the key may be there whose ids we don't know: an answer got lost, or
        #: the process that had it.
        self._strays = self._resumed and self._is_multipart
        #: The object may be there already.
        self._committing = self._resumed
        #: Its ETag: it is.
        self._etag: str | None = None
        self._file: S3File | None = None

    @property
    def _is_multipart(self) -> bool:
        return self._upload.size > self._part_size

    async def write(self, chunk: bytes) -> None:
        await self._raise_error()
        try:
            for part in self._gatherer.feed(chunk):
                if self._etag is None:
                    self._unsent.append(part)
                    if self._is_multipart:
                        await self._send_parts()
        except ValueError as exc:
            raise SinkError(f"{self.key}: {exc}") from exc

    async def _send_parts(self) -> None:
        """Start to send what is unsent; waits while ``max_concurrency`` parts are on their way."""
        await self._begin()
        while self._unsent and self._etag is None:
            await self._places.acquire()
            await self._wait_for_budget(self._unsent[0].size)
            if self._error:
                self._places.release()
                await self._raise_error()
                continue
            part = self._unsent.pop(0)
            budget.hold(part.size)
            task = self._sink.start(self._send(part))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._sent, part.size))

    async def _wait_for_budget(self, size: int) -> None:
        # One part may always be on its way, so that this upload waits for nobody else's.
        while self._tasks and not budget.fits(size):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _sent(self, size: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        budget.release(size)

    async def _raise_error(self) -> None:
        """Raise what befell a part, unless the file is stored all the same: the process before us
        may have asked for the end of the upload, and the store taken its time for it."""
        if self._error and is_missing(self._error):
            self._etag = await self._stored_etag()
        if self._error and self._etag is None:
            raise self._error

    async def _begin(self) -> None:
        if self._upload_id:
            return
        await self._check_key_free()
        params = self._sink.object_params(self._upload, self._owner)
        if self._checksum:
            params["ChecksumAlgorithm"] = self._checksum
        strays, self._strays = self._strays, True
        try:
            answer = await self._sink.call("create_multipart_upload", Key=self.key, **params)
        except SinkError as error:
            self._strays = strays or not 400 <= status_of(error) < 500
            raise
        self._upload_id = answer["UploadId"]
        # The answer to an earlier attempt may be what got lost.
        self._strays = strays or answer["ResponseMetadata"].get("RetryAttempts", 0) > 0

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
        if not self._checksum:
            return {}
        digest = await asyncio.to_thread(load_checksum(self._checksum), part.chunks)
        return {f"Checksum{self._checksum}": base64.b64encode(digest).decode()}

    async def flush(self) -> None:
        """Wait for the parts on their way. What fails, :meth:`finish` sends again."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def finish(self) -> S3File:
        if self._file is None:
            if self._gatherer.received != self._upload.size:
                raise SinkError(f"{self._gatherer.received} bytes of {self._upload.size}")
            if self._etag is None:
                self._etag = await (self._complete() if self._is_multipart else self._put())
            self.offset = self._upload.size
            self._unsent.clear()
            self._file = S3File(
                self._sink,
                self.key,
                self._etag,
                self._upload.safe_client_name,
                self._upload.size,
                content_type=self._upload.content_type,
            )
            try:
                await self._abort_strays()
            except SinkError as error:
                logger.warning("%s is stored, but an upload of it may remain: %s", self.key, error)
            self._upload_id = None
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
        await self.flush()
        await self._raise_error()
        if self._etag is not None:
            return self._etag
        if self._prefix.offset != self._upload.size:
            raise SinkError(f"{self._prefix.offset} bytes landed of {self._upload.size}")
        try:
            return await self._commit_parts()
        except SinkError as error:
            if code_of(error) != "InvalidPart" or not await self._take_new_etags():
                raise
            return await self._commit_parts()

    async def _commit_parts(self) -> str:
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

    async def release(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._gatherer.clear()
        self._unsent.clear()

    async def abort(self) -> None:
        # A part that is on its way may land after the first abort:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        self._strays = self._strays or bool(self._tasks)
        await self.release()
        if self._upload_id:
            await self._sink.abort_upload(self.key, self._upload_id)
        await self._abort_strays()
        self._upload_id = None
        if self._committing:
            if await self._stored_etag() is not None:
                await self._sink.delete(self.key)
            self._committing = False

    async def _abort_strays(self) -> None:
        if not self._strays:
            return
        # Under a key that can be guessed, somebody else may be uploading.
        only_ours = self._owner in self.key
        async for upload in self._sink.uploads(self.key):
            if only_ours or upload["UploadId"] == self._upload_id:
                await self._sink.abort_upload(upload["Key"], upload["UploadId"])
        self._strays = False

    # Resuming

    async def checkpoint(self) -> dict[str, Any]:
        """What landed without a gap. Parts beyond a gap are sent again by who resumes."""
        numbers = range(1, self._prefix.parts + 1) if self._file is None else ()
        return {
            "key": self.key,
            "owner": self._owner,
            "upload_id": self._upload_id,
            "part_size": self._part_size,
            "checksum": self._checksum,
            "size": self._upload.size,
            "parts": [self._landed[number] for number in numbers],
            "offset": self.offset,
        }

    async def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Find out what became of the checkpoint's upload. Raises :class:`NotResumable` if the
        store has less of it, and ``ValueError`` for what is no checkpoint."""
        size, offset = checkpoint["size"], int(checkpoint["offset"])
        if size != self._upload.size:
            raise ValueError(f"a file of {size} bytes, not {self._upload.size}")
        stored = await self._listed()
        if stored is not None:
            self._count(stored, checkpoint["parts"])
        elif (etag := await self._stored_etag()) is not None:
            self._etag, self.offset = etag, size
        elif self._upload_id:
            raise NotResumable(f"{self.key}: its upload is gone")
        if self.offset < offset:
            raise NotResumable(f"{self.key}: {self.offset} bytes of {offset} are left")
        self._gatherer = PartGatherer(size, self._part_size, self.offset)

    async def _listed(self) -> dict[int, dict[str, Any]] | None:
        """The parts that the store has; ``None`` if there is no multipart upload."""
        if not self._upload_id:
            return None
        try:
            return await self._sink.parts(self.key, self._upload_id)
        except SinkError as error:
            if not is_missing(error):
                raise
            return None

    def _count(
        self, stored: Mapping[int, Mapping[str, Any]], known: Sequence[Mapping[str, str]]
    ) -> None:
        """Take over the parts that the store has, up to the first that it has not: those that the
        checkpoint knows, and those that landed after it."""
        while self._prefix.offset < self._upload.size:
            offset, number = self._prefix.offset, self._prefix.parts + 1
            part = Part(number, offset, min(self._part_size, self._upload.size - offset), [])
            ours = known[number - 1] if number <= len(known) else None
            landed = landed_part(stored.get(number, {}), ours, part.size, self._checksum)
            if landed is None:
                break
            self._landed[number] = landed
            self._prefix.land(part)
        self.offset = self._prefix.offset

    async def _take_new_etags(self) -> bool:
        """Whether a part that landed has another ETag by now, and the same bytes. So it is when a
        late request stores a part again, and the bucket is encrypted by KMS:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html ("ETag")."""
        before = dict(self._landed)
        stored = await self._listed() or {}
        for number, ours in before.items():
            listed = stored.get(number, {})
            size = listed.get("Size", 0)
            self._landed[number] = landed_part(listed, ours, size, self._checksum) or ours
        return self._landed != before
