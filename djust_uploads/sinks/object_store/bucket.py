"""One bucket: its requests, its marks, and the description of its objects."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import obstore

from ...exceptions import SinkError
from ..base import UploadInfo
from ..keys import public_url
from ..options import disposition_of
from .client import Client, Provider
from .errors import is_missing, translated


@dataclass(frozen=True)
class BucketOptions:
    """The options of an ObjectStoreSink that its writers and files need."""

    #: Bytes of a part.
    part_size: int
    #: How many parts of one upload may be sent at once.
    max_concurrency: int
    #: The attributes of every object, as obstore names them.
    attributes: Mapping[str, str] = field(default_factory=dict)
    content_disposition: str | None = None
    #: Seconds for which a signed URL is valid.
    url_expires: int = 3600
    custom_domain: str | None = None
    #: The folder for the marks of objects that nobody has consumed yet, or ``None``.
    marks: str | None = None


class Bucket:
    """A bucket of S3 or Google, or a container of Azure. ``where`` names it in the log."""

    def __init__(
        self, name: str, where: str, provider: Provider, client: Client, options: BucketOptions
    ) -> None:
        self.name = name
        self.where = where
        self.provider = provider
        self.client = client
        self.options = options

    def translated(self, operation: str) -> contextlib.AbstractContextManager[None]:
        """Return the context in which obstore's errors are raised as ours."""
        return translated(self.where, operation, self.provider.credentials)

    # Requests

    async def start(self, operation: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Begin a request and return its future.

        Wait for it with :func:`asyncio.wait`. If the waiter is cancelled, the request goes on. Do
        not cancel the future, because then nobody would know what the store has done.
        """
        store = await self.client.aget()
        with self.translated(operation):
            future: asyncio.Future[Any] = getattr(obstore, operation)(store, *args, **kwargs)
        # If the waiter is cancelled, nobody looks at the error. asyncio must not report that.
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return future

    async def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Make a request and return the answer. Raises a :class:`SinkError`."""
        future = await self.start(operation, *args, **kwargs)
        with self.translated(operation):
            return await future

    # Objects

    def attributes(self, upload: UploadInfo) -> dict[str, str]:
        """Return the attributes of a new object, as obstore takes them."""
        attributes = {
            **self.options.attributes,
            "Content-Type": upload.content_type or "application/octet-stream",
            self.provider.owner: upload.key,
        }
        if self.options.content_disposition:
            disposition = disposition_of(self.options.content_disposition, upload)
            attributes["Content-Disposition"] = disposition
        return attributes

    def fetch(self, key: str, etag: str, start: int, end: int) -> bytes:
        """Return the bytes ``start`` to ``end`` (excluded) of an object. Blocks."""
        options = {"range": (start, end), "if_match": etag or None}
        with self.translated("get"):
            return bytes(obstore.get(self.client.get(), key, options=options).bytes())

    def url(self, key: str) -> str:
        """Return the URL of an object. It is signed, unless there is a ``custom_domain``."""
        if self.options.custom_domain:
            return public_url(self.options.custom_domain, key)
        expires_in = datetime.timedelta(seconds=self.options.url_expires)
        with self.translated("signing a URL"):
            url: str = obstore.sign(self.client.get(), "GET", key, expires_in)
            return url

    async def delete(self, key: str) -> None:
        """Delete an object. It is no error if there is no such object."""
        try:
            await self.call("delete_async", key)
        except SinkError as error:
            if not is_missing(error):
                raise

    # Marks

    def mark(self, upload_key: str) -> str | None:
        """Return the key of an upload's mark, or ``None`` if the bucket has no marks."""
        return self.options.marks and f"{self.options.marks}/{upload_key}"

    async def unmark(self, upload_key: str) -> None:
        """Delete an upload's mark."""
        if mark := self.mark(upload_key):
            await self.delete(mark)
