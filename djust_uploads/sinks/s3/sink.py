"""Uploads as objects in an S3 bucket, or in a store that speaks S3. The only importer of aioboto3.

The sink, its options and its connections are here; ``s3_writer`` has one file on its way into it,
``s3_parts`` what it must know of a part, ``s3_file`` the stored object, ``s3_copy`` its copies,
``s3_errors`` what can go wrong.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from django.core.checks import CheckMessage, Error, Warning

from ...exceptions import InvalidSink, NotResumable, SinkError
from ..base import Sink, UploadInfo
from ..keys import OWNER, UploadTo, check_upload_to, literal_prefix, object_key, public_url
from ..options import DISPOSITIONS, MAX_URL_EXPIRES, disposition_of, is_encrypted, refuse_wrong
from ..parts import MIB

try:
    import aioboto3
    import aiobotocore.session
    import boto3
    import botocore.session
    from aiobotocore.config import AioConfig
except ImportError as exc:
    raise InvalidSink(f"S3Sink needs aioboto3: pip install 'djust-uploads[s3]' ({exc})") from exc

from .checksums import CHECKSUMS, load_checksum
from .copying import S3Object
from .errors import is_missing, translated
from .rules import MAX_PART, MIN_PART
from .writer import S3Writer

STYLES = ("auto", "path", "virtual")

#: How often a request is sent, with a pause of up to 1, 2, 4 and 8 seconds before it is repeated:
#: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html ("standard")
ATTEMPTS = 5

#: What may be said of every object, https://docs.aws.amazon.com/AmazonS3/latest/API and there
#: PutObject and CreateMultipartUpload. The rest is the sink's own business.
EXTRA_ARGS = {
    *("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"),
    *("BucketKeyEnabled", "ServerSideEncryption", "SSEKMSEncryptionContext", "SSEKMSKeyId"),
    *("CacheControl", "ContentEncoding", "ContentLanguage", "Expires"),
    *("Metadata", "StorageClass", "Tagging", "WebsiteRedirectLocation"),
}

#: Our keys, where ``upload_to`` is a prefix; see :func:`.keys.object_key`.
_OUR_KEY = re.compile(r"(?:^|/)[0-9a-f]{32}-[^/]+$")


class S3Sink(Sink):
    """Streams each upload into ``bucket``, and keeps it there when it was consumed.

    ======================  ====================================================================
    ``upload_to``           a prefix for ``strftime()``, or a callable ``(UploadInfo) -> key``
    ``endpoint_url``        of a store other than AWS
    ``region_name``         and ``aws_access_key_id``, ``aws_secret_access_key``,
                            ``aws_session_token``, ``profile_name``: default is what the SDK finds
    ``part_size``           bytes, 5 MiB to 5 GiB; grows where a file would need over 10,000 parts
    ``max_concurrency``     parts of one upload on their way at once
    ``extra_args``          for every object: ``ACL``, ``ServerSideEncryption``, ``StorageClass``, …
    ``content_disposition`` ``"attachment"`` or ``"inline"``, with the client's file name
    ``checksum``            that S3 verifies: ``"CRC32"``, ``"CRC32C"``, ``"SHA256"`` or ``None``
    ``url_expires``         seconds that a signed ``file.url`` is good for
    ``custom_domain``       a public host; ``file.url`` is then unsigned
    ``addressing_style``    ``"auto"``, ``"path"`` or ``"virtual"``
    ``unconsumed_tag``      ``"key=value"`` on objects that nobody consumed yet, or ``None``
    ======================  ====================================================================

    Raises ``ValueError`` for an option that can't be.
    """

    keeps_files = True

    #: Whether the store knows ``If-None-Match`` on writes; found out at the first one.
    conditional_writes = True

    def __init__(
        self,
        bucket: str,
        upload_to: UploadTo = "",
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        profile_name: str | None = None,
        part_size: int = 8 * MIB,
        max_concurrency: int = 4,
        extra_args: Mapping[str, Any] | None = None,
        content_disposition: Literal["attachment", "inline"] | None = None,
        checksum: str | None = "CRC32",
        url_expires: int = 3600,
        custom_domain: str | None = None,
        addressing_style: Literal["auto", "path", "virtual"] = "auto",
        unconsumed_tag: str | None = "djust-upload=unconsumed",
    ) -> None:
        extra_args, disposition = dict(extra_args or {}), content_disposition
        unknown = sorted(extra_args.keys() - EXTRA_ARGS)
        tags = 1 if unconsumed_tag is None else len(parse_qsl(unconsumed_tag))
        keys = bool(aws_access_key_id), bool(aws_secret_access_key)
        refuse_wrong(
            ("bucket", bucket, bucket and "/" not in bucket, "a bucket's name"),
            ("endpoint_url", endpoint_url, _is_endpoint(endpoint_url), "https://host"),
            ("aws_secret_access_key", "…", keys[0] == keys[1], "given with aws_access_key_id"),
            ("part_size", part_size, MIN_PART <= part_size <= MAX_PART, "5 MiB to 5 GiB"),
            ("max_concurrency", max_concurrency, max_concurrency >= 1, "at least 1"),
            ("extra_args", unknown, not unknown, f"of {', '.join(sorted(EXTRA_ARGS))}"),
            ("content_disposition", disposition, disposition in DISPOSITIONS, f"in {DISPOSITIONS}"),
            ("checksum", checksum, checksum in (*CHECKSUMS, None), f"in {CHECKSUMS} or None"),
            ("url_expires", url_expires, 0 < url_expires <= MAX_URL_EXPIRES, "1 to 604800 s"),
            ("addressing_style", addressing_style, addressing_style in STYLES, f"in {STYLES}"),
            ("unconsumed_tag", unconsumed_tag, tags == 1, "key=value or None"),
        )
        check_upload_to(upload_to)
        load_checksum(checksum)
        self.bucket = bucket
        self.upload_to = upload_to
        self.part_size = part_size
        self.max_concurrency = max_concurrency
        self.checksum = checksum
        self._extra_args = extra_args
        self._content_disposition = disposition
        self._url_expires = url_expires
        self._custom_domain = custom_domain
        self._unconsumed_tag = unconsumed_tag
        self._endpoint_url = endpoint_url
        self._sending: set[asyncio.Task[None]] = set()
        self._where = f"bucket {bucket!r} of {endpoint_url or 'AWS'}"
        self._clients = _Clients(
            {
                "aws_access_key_id": aws_access_key_id,
                "aws_secret_access_key": aws_secret_access_key,
                "aws_session_token": aws_session_token,
                "region_name": region_name,
                "profile_name": profile_name,
            },
            endpoint_url,
            _config(addressing_style, max_concurrency),
        )

    # The contract

    async def open(self, upload: UploadInfo) -> S3Writer:
        # Nothing is sent before there are bytes that passed the validators. The thread is for an
        # application's callable.
        key = await asyncio.to_thread(object_key, self.upload_to, upload)
        return S3Writer(self, upload, key)

    async def resume(self, upload: UploadInfo, checkpoint: Mapping[str, Any]) -> S3Writer:
        """Go on from :meth:`S3Writer.checkpoint`, with the parts that the store has, or with the
        object if it is there.

        Raises :class:`NotResumable` if neither is, and for a checkpoint that is not ours.
        """
        try:
            writer = S3Writer(self, upload, checkpoint["key"], checkpoint)
            await writer.restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise NotResumable(f"no checkpoint of S3Sink: {exc!r}") from exc
        return writer

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Abort multipart uploads begun, and delete objects still tagged as unconsumed that were
        stored, longer than ``older_than`` ago; return their keys. With ``dry_run``, only the keys.

        Looks below the literal part of ``upload_to``, and at nobody else's multipart uploads: it
        leaves alone keys that don't look like ours. A callable's keys it can't know, so their
        multipart uploads are left to the bucket's lifecycle rule.
        """
        before = datetime.datetime.now(datetime.UTC) - older_than
        swept = []
        async for key, upload_id in self._stale_uploads(before):
            swept.append(key)
            if not dry_run:
                await self.abort_upload(key, upload_id)
        async for key in self._stale_objects(before):
            swept.append(key)
            if not dry_run:
                await self.delete(key)
        return swept

    def check(self) -> Sequence[CheckMessage]:
        if is_encrypted(self._endpoint_url):
            return []
        return [
            Warning(
                f"The S3 sink for {self._where} sends files unencrypted.",
                hint="Use an https:// endpoint_url.",
                id="djust_uploads.W006",
            )
        ]

    def check_store(self) -> Sequence[CheckMessage]:
        """Whether the bucket is there and lets us in: ``manage.py check --deploy``. Blocking."""
        try:
            self._call_blocking("head_bucket")
        except SinkError as error:
            return [Error(f"{error}", id="djust_uploads.E006")]
        return []

    async def aclose(self) -> None:
        loop = asyncio.get_running_loop()
        # A request under way would open a connection again that nobody closes.
        sending = [task for task in self._sending if task.get_loop() is loop]
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await self._clients.aclose()

    # What the writer and the file ask for

    def start(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that :meth:`aclose` ends."""
        task = asyncio.create_task(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """A request about our bucket. Raises a :class:`SinkError`."""
        with translated(self._where, operation):
            client = await self._clients.get()
            answer: dict[str, Any] = await getattr(client, operation)(Bucket=self.bucket, **params)
            return answer

    def _call_blocking(self, operation: str, **params: Any) -> dict[str, Any]:
        with translated(self._where, operation):
            client = self._clients.blocking()
            answer: dict[str, Any] = getattr(client, operation)(Bucket=self.bucket, **params)
            return answer

    def object_params(self, upload: UploadInfo, owner: str) -> dict[str, Any]:
        """What PutObject and CreateMultipartUpload are told of a new object."""
        params = {
            **self._extra_args,
            "ContentType": upload.content_type or "application/octet-stream",
            "Metadata": {**self._extra_args.get("Metadata", {}), OWNER: owner},
        }
        if self._unconsumed_tag:
            tags = self._extra_args.get("Tagging"), self._unconsumed_tag
            params["Tagging"] = "&".join(filter(None, tags))
        if self._content_disposition:
            params["ContentDisposition"] = disposition_of(self._content_disposition, upload)
        return params

    def fetch(self, key: str, start: int, end: int, **params: Any) -> bytes:
        """The bytes ``start`` to ``end`` (excluded). Blocking."""
        answer = self._call_blocking(
            "get_object", Key=key, Range=f"bytes={start}-{end - 1}", **params
        )
        with translated(self._where, "get_object"):
            content: bytes = answer["Body"].read()
            return content

    def s3_object(self, key: str, etag: str) -> S3Object:
        """For a copy. Blocking."""
        return S3Object(self._clients.blocking(), self.bucket, key, etag)

    def url(self, key: str) -> str:
        if self._custom_domain:
            return public_url(self._custom_domain, key)
        with translated(self._where, "signing a URL"):
            url: str = self._clients.blocking().generate_presigned_url(
                "get_object",
                Params={"Bucket": self.bucket, "Key": key},
                ExpiresIn=self._url_expires,
            )
            return url

    async def delete(self, key: str) -> None:
        await self.call("delete_object", Key=key)

    async def untag(self, key: str) -> None:
        """Take away the mark of what nobody consumed; the tags of ``extra_args`` stay."""
        if not self._unconsumed_tag:
            return
        if tagging := self._extra_args.get("Tagging"):
            tags = [{"Key": name, "Value": value} for name, value in parse_qsl(tagging)]
            await self.call("put_object_tagging", Key=key, Tagging={"TagSet": tags})
        else:
            await self.call("delete_object_tagging", Key=key)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload; one that is gone is no error."""
        try:
            await self.call("abort_multipart_upload", Key=key, UploadId=upload_id)
        except SinkError as error:
            if not is_missing(error):
                raise

    async def uploads(self, prefix: str) -> AsyncIterator[dict[str, Any]]:
        """The unfinished multipart uploads of the keys that begin with ``prefix``."""
        async for page in self._pages("list_multipart_uploads", Prefix=prefix):
            for upload in page.get("Uploads", ()):
                yield upload

    async def _pages(self, operation: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        with translated(self._where, operation):
            client = await self._clients.get()
            async for page in client.get_paginator(operation).paginate(
                Bucket=self.bucket, **params
            ):
                yield page

    async def parts(self, key: str, upload_id: str) -> dict[int, dict[str, Any]]:
        """The parts that the store has, by their number."""
        stored = {}
        async for page in self._pages("list_parts", Key=key, UploadId=upload_id):
            stored.update({part["PartNumber"]: part for part in page.get("Parts", ())})
        return stored

    # The sweep

    async def _stale_uploads(self, before: datetime.datetime) -> AsyncIterator[tuple[str, str]]:
        prefix = literal_prefix(self.upload_to)
        if prefix is None:
            return
        async for upload in self.uploads(prefix):
            if upload["Initiated"] < before and _OUR_KEY.search(upload["Key"]):
                yield upload["Key"], upload["UploadId"]

    async def _stale_objects(self, before: datetime.datetime) -> AsyncIterator[str]:
        if not self._unconsumed_tag:
            return
        prefix = literal_prefix(self.upload_to) or ""
        async for page in self._pages("list_objects_v2", Prefix=prefix):
            for stored in page.get("Contents", ()):
                if stored["LastModified"] < before and await self._is_unconsumed(stored["Key"]):
                    yield stored["Key"]

    async def _is_unconsumed(self, key: str) -> bool:
        try:
            answer = await self.call("get_object_tagging", Key=key)
        except SinkError as error:
            if is_missing(error):
                return False
            raise
        tags = urlencode([(tag["Key"], tag["Value"]) for tag in answer["TagSet"]]).split("&")
        return urlencode(parse_qsl(self._unconsumed_tag or "")) in tags


class _Clients:
    """The SDK's clients, made when they are first used: one for threads, and one for each event
    loop, which is closed when its loop ends."""

    def __init__(
        self, credentials: Mapping[str, str | None], endpoint_url: str | None, config: AioConfig
    ) -> None:
        self._credentials = credentials
        self._options = {"endpoint_url": endpoint_url, "config": config}
        self._lock = threading.Lock()
        self._sdk: botocore.session.Session | None = None
        self._blocking: Any = None
        self._of_loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}

    def blocking(self) -> Any:
        """For any thread. The first call reads the SDK's files, and blocks for that long."""
        with self._lock:
            if self._blocking is None:
                self._sdk = botocore.session.get_session()
                session = boto3.session.Session(botocore_session=self._sdk, **self._credentials)
                self._blocking = session.client("s3", **self._options)
                # Reads what a paginator needs, which an event loop would otherwise wait for.
                self._blocking.can_paginate("list_parts")
            return self._blocking

    async def get(self) -> Any:
        """For the running event loop."""
        loop = asyncio.get_running_loop()
        ours = self._of_loops.setdefault(loop, _OfLoop())
        async with ours.lock:
            if ours.client is None:
                # The SDK's files are then in memory, once, for both; what is left to do on the loop
                # takes some 10 ms, once.
                await asyncio.to_thread(self.blocking)
                ours.life = self._live(loop)
                ours.client = await anext(ours.life)
            return ours.client

    async def _live(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[Any, None]:
        """A client's life. A loop that ends closes the generators which began on it
        (``shutdown_asyncgens()``), and so the client."""
        assert self._sdk
        session = aiobotocore.session.get_session()
        session.register_component("data_loader", self._sdk.get_component("data_loader"))
        sdk = aioboto3.Session(botocore_session=session, **self._credentials)
        try:
            async with sdk.client("s3", **self._options) as client:
                client.meta.events.register("before-sign.s3.UploadPart", _without_expect)
                yield client
        finally:
            self._of_loops.pop(loop, None)

    async def aclose(self) -> None:
        ours = self._of_loops.pop(asyncio.get_running_loop(), None)
        if ours and ours.life:
            await ours.life.aclose()


def _without_expect(request: Any, **kwargs: Any) -> None:
    """Send a part without first asking whether it is wanted. That would cost a round trip for each,
    and CreateMultipartUpload has asked: bucket and credentials are right."""
    del request.headers["Expect"]


class _OfLoop:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.client: Any = None
        self.life: AsyncGenerator[Any, None] | None = None


def _config(addressing_style: str, max_concurrency: int) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        connect_timeout=10,
        read_timeout=60,
        # A few uploads at once; more of them wait for each other's connections.
        max_pool_connections=max(64, 8 * max_concurrency),
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # We bring the checksum in a header. Left to itself the SDK sends it as a trailer of a
        # chunked body, which several stores refuse with 411.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # That alone would bring back the SHA-256 over each body. Over plain http the SDK signs
        # bodies whatever we say.
        s3={"payload_signing_enabled": False, "addressing_style": addressing_style},
    )


def _is_endpoint(url: str | None) -> bool:
    return url is None or bool(re.match(r"https?://[^/]+", url))
