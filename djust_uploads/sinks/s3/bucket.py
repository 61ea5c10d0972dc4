"""One bucket: its client, and the requests that writers and files make about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from ...exceptions import SinkError
from ..base import UploadInfo
from ..keys import OWNER, public_url
from ..options import disposition_of
from ..sending import Sending
from .clients import Clients
from .copying import S3Object
from .errors import code_of, is_missing, translated


@dataclass(frozen=True)
class BucketOptions:
    """The options of an S3Sink that its writers and files need."""

    #: Bytes of a part.
    part_size: int
    #: How many parts of one upload may be sent at once.
    max_concurrency: int
    #: The checksum that S3 verifies, one of :data:`.checksums.CHECKSUMS`, or ``None``.
    checksum: str | None
    #: Parameters of ``PutObject`` for every object.
    extra_args: Mapping[str, Any] = field(default_factory=dict)
    content_disposition: str | None = None
    #: Seconds for which a signed URL is valid.
    url_expires: int = 3600
    custom_domain: str | None = None
    #: ``"key=value"`` on objects that nobody has consumed yet, or ``None``.
    unconsumed_tag: str | None = None


class Bucket:
    """A bucket of S3, or of a store that speaks S3. ``where`` names it in the log."""

    #: Whether the store knows ``If-None-Match`` on writes. The first write finds that out.
    conditional_writes = True

    def __init__(self, name: str, where: str, clients: Clients, options: BucketOptions) -> None:
        self.name = name
        self.where = where
        self.options = options
        self.sending: Sending = Sending()
        self._clients = clients

    async def aclose(self) -> None:
        """Cancel the requests of the running event loop, and close its connections."""
        await self.sending.aclose()
        await self._clients.aclose()

    # Requests

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Make a request about this bucket and return the answer.

        ``operation`` is the name of a method of the SDK's client. Raises a :class:`SinkError`.
        """
        with translated(self.where, operation):
            client = await self._clients.get()
            answer: dict[str, Any] = await getattr(client, operation)(Bucket=self.name, **params)
            return answer

    def call_blocking(self, operation: str, **params: Any) -> dict[str, Any]:
        """Do what :meth:`call` does, and block. Call it in a thread."""
        with translated(self.where, operation):
            client = self._clients.blocking()
            answer: dict[str, Any] = getattr(client, operation)(Bucket=self.name, **params)
            return answer

    async def pages(self, operation: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Make a request whose answer comes in pages, and yield the pages."""
        with translated(self.where, operation):
            client = await self._clients.get()
            async for page in client.get_paginator(operation).paginate(Bucket=self.name, **params):
                yield page

    # Multipart uploads

    async def uploads(self, prefix: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the unfinished multipart uploads of the keys that begin with ``prefix``."""
        async for page in self.pages("list_multipart_uploads", Prefix=prefix):
            for upload in page.get("Uploads", ()):
                yield upload

    async def parts(self, key: str, upload_id: str) -> dict[int, dict[str, Any]] | None:
        """Return the parts that the store has of a multipart upload, by their number.

        Return ``None`` if there is no such multipart upload.
        """
        stored = {}
        try:
            async for page in self.pages("list_parts", Key=key, UploadId=upload_id):
                stored.update({part["PartNumber"]: part for part in page.get("Parts", ())})
        except SinkError as error:
            if not is_missing(error):
                raise
            return None
        return stored

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload. It is no error if there is no such upload."""
        try:
            await self.call("abort_multipart_upload", Key=key, UploadId=upload_id)
        except SinkError as error:
            if not is_missing(error):
                raise

    # Objects

    def object_params(self, upload: UploadInfo, owner: str) -> dict[str, Any]:
        """Return the parameters of PutObject and CreateMultipartUpload that describe an object.

        ``owner`` is stored with the object, so that the upload recognises it.
        """
        extra_args = self.options.extra_args
        params = {
            **extra_args,
            "ContentType": upload.content_type or "application/octet-stream",
            "Metadata": {**extra_args.get("Metadata", {}), OWNER: owner},
        }
        if self.options.unconsumed_tag:
            tags = extra_args.get("Tagging"), self.options.unconsumed_tag
            params["Tagging"] = "&".join(filter(None, tags))
        if self.options.content_disposition:
            disposition = disposition_of(self.options.content_disposition, upload)
            params["ContentDisposition"] = disposition
        return params

    async def head(self, key: str) -> dict[str, Any] | None:
        """Return the answer to HeadObject, or ``None`` if there is no such object."""
        try:
            return await self.call("head_object", Key=key)
        except SinkError as error:
            # Without the permission to list the bucket, the answer for a free key is 403.
            if is_missing(error) or code_of(error) == "403":
                return None
            raise

    def fetch(self, key: str, start: int, end: int, **params: Any) -> bytes:
        """Return the bytes ``start`` to ``end`` (excluded) of an object. Blocks."""
        answer = self.call_blocking(
            "get_object", Key=key, Range=f"bytes={start}-{end - 1}", **params
        )
        with translated(self.where, "get_object"):
            content: bytes = answer["Body"].read()
            return content

    def s3_object(self, key: str, etag: str) -> S3Object:
        """Return an object as the source of a copy. Blocks when it creates the client."""
        return S3Object(self._clients.blocking(), self.name, key, etag)

    def url(self, key: str) -> str:
        """Return the URL of an object. It is signed, unless there is a ``custom_domain``."""
        if self.options.custom_domain:
            return public_url(self.options.custom_domain, key)
        with translated(self.where, "signing a URL"):
            url: str = self._clients.blocking().generate_presigned_url(
                "get_object",
                Params={"Bucket": self.name, "Key": key},
                ExpiresIn=self.options.url_expires,
            )
            return url

    async def delete(self, key: str) -> None:
        """Delete an object. It is no error if there is no such object."""
        await self.call("delete_object", Key=key)

    async def untag(self, key: str) -> None:
        """Remove the tag of objects that nobody has consumed. The tags of ``extra_args`` stay."""
        if not self.options.unconsumed_tag:
            return
        if tagging := self.options.extra_args.get("Tagging"):
            tags = [{"Key": name, "Value": value} for name, value in parse_qsl(tagging)]
            await self.call("put_object_tagging", Key=key, Tagging={"TagSet": tags})
        else:
            await self.call("delete_object_tagging", Key=key)
