"""``S3Writer``: writes one file into a bucket.

A file that fits in one part is stored by PutObject, and any other file by a multipart upload.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...exceptions import NotResumable, SinkError, SinkMisconfigured, UploadError
from ...flow.budget import budget
from ..bucket_writer import BucketWriter, etag_despite
from ..keys import OWNER, key_taken
from ..parts import Part, PartGatherer, Prefix, part_size_for
from .checksums import landed_part, load_checksum
from .errors import code_of, is_missing, status_of
from .file import S3File
from .rules import MAX_PARTS

if TYPE_CHECKING:
    from ..base import UploadInfo
    from .bucket import Bucket

logger: logging.Logger = logging.getLogger("djust_uploads")


class S3Writer(BucketWriter[S3File]):
    """Gathers a part while it sends others.

    One part is gathered and one is sent, or up to ``max_concurrency`` while the budget has room.

    If another process has resumed the upload, requests of the process before may arrive late at the
    store. They cannot damage the file:

    * A late part has the same bytes as ours, because the checkpoint fixes the size of parts. If the
      client has sent different bytes to the two processes, the ETags of the parts differ. Then the
      store refuses our CompleteMultipartUpload, which names all ETags.
    * A late completion creates the object, which is complete and belongs to this upload. Our own
      completion then finds that object: the store refuses our request (``If-None-Match``), or says
      that there is no such multipart upload. A store without ``If-None-Match`` writes the object
      twice. If the file is read at that moment, the ETag has changed, and the read fails. It never
      returns a mix of both.
    * A part that arrives after the end is refused, because the multipart upload does not exist any
      more. Only a part that the store was receiving while the upload was aborted can stay behind.
      :meth:`abort` looks for such a part. If it arrives even later, a sweep or a lifecycle rule
      deletes it.
    """

    takes_views = True
    offset: int

    def __init__(
        self,
        bucket: Bucket,
        upload: UploadInfo,
        key: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        resumed, options = checkpoint or {}, bucket.options
        self._bucket = bucket
        self._part_size: int = resumed.get("part_size") or part_size_for(
            upload.size, options.part_size, MAX_PARTS
        )
        super().__init__(upload, key, PartGatherer(upload.size, self._part_size))
        #: The owner that is stored with the object. All writers of one upload have the same one.
        self._owner: str = resumed.get("owner", upload.key)
        self._upload_id: str | None = resumed.get("upload_id")
        #: The kind of checksum. A multipart upload keeps the kind with which it began.
        self._checksum: str | None = resumed.get("checksum", options.checksum)
        #: Part number to what CompleteMultipartUpload must say of the part.
        self._landed: dict[int, dict[str, Any]] = {}
        self._prefix = Prefix()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(options.max_concurrency)
        self._error: UploadError | None = None
        #: Whether there may be multipart uploads of the key whose ids we do not know. That happens
        #: if an answer of the store was lost, or if the process that received it has ended.
        self._strays = checkpoint is not None and self._is_multipart
        self._committing = checkpoint is not None
        #: The ETag of the object, once the object is known to be in the store.
        self._etag: str | None = None

    @property
    def _is_multipart(self) -> bool:
        return self._upload.size > self._part_size

    # Sending

    async def write(self, chunk: bytes) -> None:
        await self._raise_error()
        for part in self._gather(chunk):
            if self._etag is None:
                self._unsent.append(part)
                if self._is_multipart:
                    await self._send_parts()

    async def _send_parts(self) -> None:
        """Start to send the parts that are unsent.

        Waits while ``max_concurrency`` parts are being sent, or while the budget has no room.
        """
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
            task = self._bucket.sending.start(self._send(part))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._sent, part))

    async def _wait_for_budget(self, size: int) -> None:
        # One part may be sent even without room, so no upload has to wait for another upload.
        while self._tasks and not budget.fits(size):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _sent(self, part: Part, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()
        budget.release(part.size)
        # Not in the task itself, because one that is cancelled before it begins runs no code.
        if task.cancelled():
            self._unsent.append(part)

    async def _raise_error(self) -> None:
        """Raise the error of a part that failed, unless the whole file is stored already.

        The process before us may have completed the multipart upload, and the store may have needed
        a while for that.
        """
        if self._error and is_missing(self._error):
            self._etag = await self._etag_if_ours()
        if self._error and self._etag is None:
            raise self._error

    async def _begin(self) -> None:
        """Begin the multipart upload, if it has not begun yet."""
        if self._upload_id:
            return
        await self._check_key_free()
        params = self._bucket.object_params(self._upload, self._owner)
        if self._checksum:
            params["ChecksumAlgorithm"] = self._checksum
        strays, self._strays = self._strays, True
        try:
            answer = await self._bucket.call("create_multipart_upload", Key=self.key, **params)
        except SinkError as error:
            self._strays = strays or not 400 <= status_of(error) < 500
            raise
        self._upload_id = answer["UploadId"]
        # If the SDK has repeated the request, the answer to an earlier one may have been lost. Then
        # there is a second multipart upload.
        self._strays = strays or answer["ResponseMetadata"].get("RetryAttempts", 0) > 0

    async def _check_key_free(self) -> None:
        """Raise an error if an object has the key already.

        Keys that nobody can guess are not checked. ``If-None-Match`` prevents overwriting at the
        end of the upload, but some stores ignore it. This check fails before all bytes are sent.
        """
        if self._owner not in self.key:
            stored = await self._bucket.head(self.key)
            if stored is not None and not self._is_ours(stored):
                raise key_taken(self.key)

    async def _send(self, part: Part) -> None:
        try:
            checksum = await self._checksum_of(part)
            answer = await self._bucket.call(
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
        except Exception as exc:
            self._unsent.append(part)
            unexpected = SinkError(f"part {part.number} of {self.key}: {exc!r}")
            unexpected.__cause__ = exc
            self._error = self._error or (exc if isinstance(exc, UploadError) else unexpected)

    async def _checksum_of(self, part: Part) -> dict[str, str]:
        """Compute the part's checksum in a thread, and return it as a parameter of the request."""
        if not self._checksum:
            return {}
        digest = await asyncio.to_thread(load_checksum(self._checksum), part.chunks)
        return {f"Checksum{self._checksum}": base64.b64encode(digest).decode()}

    async def flush(self) -> None:
        """Wait for the parts that are being sent. :meth:`finish` repeats those that failed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # The end

    async def _finish(self) -> S3File:
        if self._etag is None:
            self._etag = await (self._complete() if self._is_multipart else self._put())
        try:
            await self._abort_strays()
        except SinkError as error:
            logger.warning(
                "%s is stored, but a multipart upload of it may remain: %s", self.key, error
            )
        self._upload_id = None
        return S3File(
            self._bucket,
            self.key,
            self._etag,
            self._upload.safe_client_name,
            self._upload.size,
            content_type=self._upload.content_type,
        )

    async def _put(self) -> str:
        await self._check_key_free()
        part = self._unsent[0] if self._unsent else Part(1, 0, 0, [])
        params = self._bucket.object_params(self._upload, self._owner)
        checksum = await self._checksum_of(part)
        return await self._commit("put_object", Body=part.body(), **params, **checksum)

    async def _complete(self) -> str:
        # Parts that failed before are sent again.
        self._error = None
        await self._send_parts()
        await self.flush()
        await self._raise_error()
        if self._etag is not None:
            return self._etag
        if self._prefix.offset != self._upload.size:
            raise SinkError(f"{self._prefix.offset} of {self._upload.size} bytes are stored")
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
        """Make the request that creates the object, and return the ETag of the object.

        Some stores return no ETag, so it may be ``""``. If the request fails, the store is asked
        whether it has the object. An object that this upload wrote counts as stored.
        """
        if self._committing and (etag := await self._etag_if_ours()) is not None:
            return etag
        self._committing = True
        condition = {"IfNoneMatch": "*"} if self._bucket.conditional_writes else {}
        try:
            answer = await self._bucket.call(operation, Key=self.key, **condition, **params)
        except SinkError as error:
            if condition and code_of(error) == "NotImplemented" and self._owner in self.key:
                # The store has no conditional writes. A key that nobody can guess needs none.
                self._bucket.conditional_writes, self._committing = False, False
                return await self._commit(operation, **params)
            if isinstance(error, SinkMisconfigured):
                raise
            refused = code_of(error) == "PreconditionFailed"
            return await etag_despite(error, self._etag_if_ours(), self.key, refused=refused)
        return str(answer.get("ETag", ""))

    async def _etag_if_ours(self) -> str | None:
        """Return the ETag of the object if this upload wrote it, or ``None``."""
        stored = await self._bucket.head(self.key)
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
        self._drop()

    async def abort(self) -> None:
        # A part that is being sent may be stored after the first abort:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        self._strays = self._strays or bool(self._tasks)
        await self.release()
        if self._upload_id:
            await self._bucket.abort_upload(self.key, self._upload_id)
        await self._abort_strays()
        self._upload_id = None
        if self._committing:
            if await self._etag_if_ours() is not None:
                await self._bucket.delete(self.key)
            self._committing = False

    async def _abort_strays(self) -> None:
        """Abort multipart uploads of this upload whose ids were lost."""
        if not self._strays:
            return
        # If the key can be guessed, other people may be uploading under it.
        only_ours = self._owner in self.key
        async for upload in self._bucket.uploads(self.key):
            if only_ours or upload["UploadId"] == self._upload_id:
                await self._bucket.abort_upload(upload["Key"], upload["UploadId"])
        self._strays = False

    # Resuming

    async def checkpoint(self) -> dict[str, Any]:
        """Return the parts that are stored without a gap. After a resume, others are sent again."""
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
        """Find out what the store has of the checkpoint's upload.

        Raises :class:`NotResumable` if the store has less than the checkpoint says, and
        ``ValueError`` for what is not a checkpoint.
        """
        size, offset = checkpoint["size"], int(checkpoint["offset"])
        if size != self._upload.size:
            raise ValueError(f"a file of {size} bytes instead of {self._upload.size}")
        stored = await self._listed()
        if stored is not None:
            self._count(stored, checkpoint["parts"])
        elif (etag := await self._etag_if_ours()) is not None:
            self._etag, self.offset = etag, size
        elif self._upload_id:
            raise NotResumable(f"{self.key}: its multipart upload is gone")
        if self.offset < offset:
            raise NotResumable(f"{self.key}: {self.offset} of {offset} bytes are left")
        self._gatherer = PartGatherer(size, self._part_size, self.offset)

    async def _listed(self) -> dict[int, dict[str, Any]] | None:
        """Return the parts that the store has, or ``None`` if there is no multipart upload."""
        return await self._bucket.parts(self.key, self._upload_id) if self._upload_id else None

    def _count(
        self, stored: Mapping[int, Mapping[str, Any]], known: Sequence[Mapping[str, str]]
    ) -> None:
        """Count the parts in the store, up to the first one that is missing.

        ``known`` are the parts in the checkpoint. More parts may have been stored after it.
        """
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
        """Look for parts whose ETag has changed, and return whether there are any.

        If KMS encrypts the bucket, a part gets another ETag when a late request stores the same
        bytes again: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html ("ETag").
        """
        before = dict(self._landed)
        stored = await self._listed() or {}
        for number, ours in before.items():
            listed = stored.get(number, {})
            size = listed.get("Size", 0)
            self._landed[number] = landed_part(listed, ours, size, self._checksum) or ours
        return self._landed != before
