"""``ObjectStoreWriter``: writes one file into a bucket by obstore.

A file that fits in one part is stored with one request, and any other file by a multipart upload.
"""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from ...exceptions import SinkError, SinkMisconfigured
from ...flow.budget import budget
from ..bucket_writer import BucketWriter, etag_despite
from ..marks import mark_of
from ..parts import PartGatherer, part_size_for
from ..s3.rules import MAX_PARTS
from ..sending import OneAtATime
from .errors import is_missing, is_taken, status_of
from .file import ObjectStoreFile
from .stream import Aborted, Stream

if TYPE_CHECKING:
    from ..base import UploadInfo
    from .bucket import Bucket

logger: logging.Logger = logging.getLogger("djust_uploads")

#: Bytes that are handed over to obstore at once.
PIECE = 1024 * 1024


class ObjectStoreWriter(BucketWriter[ObjectStoreFile]):
    """Writes one file, and holds at most ``max_concurrency`` parts and three pieces of it.

    obstore gathers and sends the parts. There are fewer of them if they do not fit in the budget.
    One piece is gathered here, one waits in the stream, and obstore may hold one while it has
    enough parts.

    The ``offset`` is 0 until the writer has finished, because obstore does not say which parts are
    stored. For the same reason a multipart upload that has failed cannot go on. obstore has aborted
    it.
    """

    def __init__(self, bucket: Bucket, upload: UploadInfo, key: str) -> None:
        self._bucket = bucket
        self._part_size = part_size_for(upload.size, bucket.options.part_size, MAX_PARTS)
        self._is_multipart = upload.size > self._part_size
        # For each piece of a multipart upload, obstore's threads call the event loop. That costs
        # more than to join a few chunks. A file that is stored with one request is one piece, and
        # its chunks are not joined.
        gathered = PIECE if self._is_multipart else self._part_size
        super().__init__(upload, key, PartGatherer(upload.size, gathered))
        self._stream: Stream | None = None
        self._requests = OneAtATime()
        #: Whether the mark may be in the store.
        self._marked = False

    async def write(self, chunk: bytes) -> None:
        for piece in self._gather(chunk):
            self._unsent.append(piece)
            if self._is_multipart:
                await self._hand_over()
        if self._stream and self._stream.outcome.done():
            self._result(self._stream.outcome)

    async def _hand_over(self) -> None:
        """Give obstore the pieces that are unsent."""
        stream = await self._begin()
        while self._unsent:
            chunks = self._unsent[0].chunks
            await stream.give(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            self._unsent.pop(0)

    async def _begin(self) -> Stream:
        if self._stream is None:
            await self._mark()
            if not self._is_unguessable:
                await self._claim()
            stream, concurrency = Stream(), self._concurrency()
            outcome = await self._bucket.start(
                "put_async",
                self.key,
                stream,
                attributes=self._bucket.attributes(self._upload),
                use_multipart=True,
                chunk_size=self._part_size,
                max_concurrency=concurrency,
            )
            stream.watch(outcome, concurrency * self._part_size)
            self._stream = stream
        return self._stream

    def _concurrency(self) -> int:
        """Return how many parts obstore may send at once, by the room in the budget.

        The number cannot be changed later. One part may be sent even without room, so no upload has
        to wait for another upload.
        """
        parts = math.ceil(self._upload.size / self._part_size)
        most = min(self._bucket.options.max_concurrency, parts)
        while most > 1 and not budget.fits(most * self._part_size):
            most -= 1
        return most

    @property
    def _is_unguessable(self) -> bool:
        return self._upload.key in self.key

    async def _mark(self) -> None:
        """Store the mark by which a sweep recognises an object that nobody has consumed."""
        if mark := self._bucket.mark(self._upload.key):
            self._marked = True
            try:
                await self._call("put_async", mark, mark_of(self.key), use_multipart=False)
            except SinkError as error:
                self._marked = not 400 <= status_of(error) < 500
                raise

    async def _claim(self) -> None:
        """Reserve a key that other people may use too, by storing an empty object under it.

        A multipart upload of obstore overwrites an existing object. This request does not. It fails
        if there is one.
        """
        try:
            await self._put([], "create")
        except SinkError as error:
            await self._despite(error, 0)

    async def _put(self, chunks: list[bytes | memoryview], mode: str) -> str:
        """Store an object with one request, and return its ETag, which some stores leave empty."""
        self._committing = True
        attributes = self._bucket.attributes(self._upload)
        options = {"attributes": attributes, "use_multipart": False, "mode": mode}
        result = await self._call("put_async", self.key, chunks, **options)
        return str(result["e_tag"] or "")

    # The end

    async def _finish(self) -> ObjectStoreFile:
        try:
            etag = await (self._complete() if self._is_multipart else self._put_all())
        except SinkError as error:
            etag = await self._despite(error, self._upload.size)
        return ObjectStoreFile(
            self._bucket,
            self.key,
            self._upload.key,
            etag,
            self._upload.safe_client_name,
            self._upload.size,
            content_type=self._upload.content_type,
        )

    async def _put_all(self) -> str:
        await self._mark()
        # When its connection breaks, obstore repeats a request that may overwrite. It does not
        # repeat a request that never overwrites.
        mode = "overwrite" if self._is_unguessable else "create"
        return await self._put(self._unsent[0].chunks if self._unsent else [], mode)

    async def _complete(self) -> str:
        await self._hand_over()
        assert self._stream
        self._committing = True
        self._stream.end()
        await asyncio.wait([self._stream.outcome])
        return str(self._result(self._stream.outcome)["e_tag"] or "")

    async def _despite(self, error: SinkError, size: int) -> str:
        if isinstance(error, SinkMisconfigured) or not self._committing:
            raise error
        etag = self._etag_if_ours(size)
        return await etag_despite(error, etag, self.key, refused=is_taken(error))

    async def _etag_if_ours(self, size: int) -> str | None:
        stored = await self._stored()
        return str(stored["e_tag"] or "") if stored and stored["size"] == size else None

    async def _stored(self) -> dict[str, Any] | None:
        """Return the object's metadata if this upload wrote it, or ``None``."""
        try:
            result = await self._call("get_async", self.key, options={"head": True})
        except SinkError as error:
            # If the credentials may not list the bucket, S3's answer for a free key is 403.
            if is_missing(error) or status_of(error) == 403:
                return None
            raise
        ours = result.attributes.get(self._bucket.provider.owner) == self._upload.key
        return dict(result.meta) if ours else None

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Make a request when the request before it has ended, and return the answer."""
        begin = partial(self._bucket.start, operation, *args, **kwargs)
        return self._result(await self._requests.run(begin))

    def _result(self, ended: asyncio.Future[Any]) -> Any:
        with self._bucket.translated(self.key):
            return ended.result()

    async def abort(self) -> None:
        if self._stream:
            await self._abort_stream(self._stream)
            self._stream = None
        # A request that still runs could create the object after we have looked for it.
        await self._requests.quiet()
        self._drop()
        if self._committing:
            if await self._stored():
                await self._bucket.delete(self.key)
            self._committing = False
        if self._marked:
            await self._bucket.unmark(self._upload.key)
            self._marked = False

    async def _abort_stream(self, stream: Stream) -> None:
        was_done = stream.outcome.done()
        stream.abort()
        await asyncio.wait([stream.outcome])
        error = stream.outcome.exception()
        if error and not was_done and not isinstance(error, Aborted):
            logger.warning("%s was aborted, but parts of it may remain: %s", self.key, error)
        if error and self._bucket.provider.keeps_blocks:
            await self._put([], "overwrite")
