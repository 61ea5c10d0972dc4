"""Uploads as objects in S3, Google Cloud Storage or Azure, by a library in Rust. The only importer
of obstore.

The sink and its options are here; ``object_store_client`` has what differs between the stores,
``object_store_writer`` one file on its way, ``object_store_file`` the stored object,
``object_store_errors`` what can go wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import posixpath
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from django.core.checks import CheckMessage, Error, Warning

from ...exceptions import InvalidSink, SinkError, SinkMisconfigured
from ..base import Sink, UploadInfo
from ..keys import UploadTo, check_upload_to, object_key, public_url
from ..marks import name_in
from ..options import DISPOSITIONS, MAX_URL_EXPIRES, disposition_of, is_encrypted, refuse_wrong
from ..parts import MIB
from ..s3.rules import MAX_PART, MIN_PART

try:
    import obstore
except ImportError as exc:
    raise InvalidSink(
        f"ObjectStoreSink needs obstore: pip install 'djust-uploads[obstore]' ({exc})"
    ) from exc

from .client import CHECKSUMS, PROVIDERS, STYLES, Client, config_of, foreign, split
from .errors import is_missing, translated
from .writer import ObjectStoreWriter


class ObjectStoreSink(Sink):
    """Streams each upload into a bucket, and keeps it there when it was consumed.

    =======================  ===================================================================
    ``url``                  ``"s3://bucket"``, ``"gs://bucket"`` or ``"az://container"``
    ``upload_to``            a prefix for ``strftime()``, or a callable ``(UploadInfo) -> key``
    ``endpoint_url``         of a store other than the provider's own
    ``region_name``          and ``aws_access_key_id``, ``aws_secret_access_key``,
                             ``aws_session_token``: of S3; default is what obstore finds
    ``credentials``          of Google: the path of a service account's JSON key
    ``account_name``         and ``account_key``: of Azure
    ``part_size``            bytes, 5 MiB to 5 GiB; grows where a file would need over 10,000 parts
    ``max_concurrency``      parts of one upload on their way at once
    ``checksum``             that S3 verifies: ``"CRC64NVME"``, ``"SHA256"`` or ``None``
    ``addressing_style``     of S3: ``"auto"``, ``"path"`` or ``"virtual"``
    ``cache_control``        and ``storage_class``, ``metadata`` (strings): for every object
    ``content_disposition``  ``"attachment"`` or ``"inline"``, with the client's file name
    ``url_expires``          seconds that a signed ``file.url`` is good for
    ``custom_domain``        a public host; ``file.url`` is then unsigned
    ``marks``                a folder for the marks of objects that nobody consumed yet, or ``None``
    ``config``               what else obstore's ``S3Store``, ``GCSStore`` or ``AzureStore`` takes
    ``client_options``       and its HTTP client: ``proxy_url``, ``root_certificate``, ``timeout``
    =======================  ===================================================================

    Raises ``ValueError`` for an option that can't be.
    """

    keeps_files = True

    def __init__(
        self,
        url: str,
        upload_to: UploadTo = "",
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        credentials: str | None = None,
        account_name: str | None = None,
        account_key: str | None = None,
        part_size: int = 8 * MIB,
        max_concurrency: int = 4,
        checksum: Literal["CRC64NVME", "SHA256"] | None = "CRC64NVME",
        addressing_style: Literal["auto", "path", "virtual"] = "auto",
        cache_control: str | None = None,
        storage_class: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_disposition: Literal["attachment", "inline"] | None = None,
        url_expires: int = 3600,
        custom_domain: str | None = None,
        marks: str | None = "unconsumed-uploads",
        config: Mapping[str, Any] | None = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        metadata, disposition = dict(metadata or {}), content_disposition
        scheme, bucket = split(url)
        provider = PROVIDERS[scheme]
        own = {
            "region_name": region_name,
            "aws_access_key_id": aws_access_key_id,
            "aws_secret_access_key": aws_secret_access_key,
            "aws_session_token": aws_session_token,
            "checksum": checksum,
            "addressing_style": addressing_style,
            "credentials": credentials,
            "account_name": account_name,
            "account_key": account_key,
        }
        others = foreign(scheme, own)
        keys = bool(aws_access_key_id) == bool(aws_secret_access_key)
        texts = all(isinstance(text, str) for pair in metadata.items() for text in pair)
        folder = marks is None or (bool(marks) and posixpath.normpath(f"/{marks}") == f"/{marks}")
        expires = 0 < url_expires <= MAX_URL_EXPIRES
        endpoint = endpoint_url is None or bool(re.match(r"https?://[^/]+", endpoint_url))
        refuse_wrong(
            ("url", url, not others, f"of a store that takes {', '.join(others)}"),
            ("endpoint_url", endpoint_url, endpoint, "https://host"),
            ("aws_secret_access_key", "…", keys, "given with aws_access_key_id"),
            ("account_key", "…", not account_key or account_name, "given with account_name"),
            ("part_size", part_size, MIN_PART <= part_size <= MAX_PART, "5 MiB to 5 GiB"),
            ("max_concurrency", max_concurrency, max_concurrency >= 1, "at least 1"),
            ("checksum", checksum, checksum in (*CHECKSUMS, None), f"in {CHECKSUMS} or None"),
            ("addressing_style", addressing_style, addressing_style in STYLES, f"in {STYLES}"),
            ("metadata", metadata, texts, "a dict of strings"),
            ("content_disposition", disposition, disposition in DISPOSITIONS, f"in {DISPOSITIONS}"),
            ("url_expires", url_expires, expires, "1 to 604800 s"),
            ("marks", marks, folder, "a folder, such as 'unconsumed-uploads', or None"),
        )
        check_upload_to(upload_to)
        self.bucket = bucket
        self.upload_to = upload_to
        self.part_size = part_size
        self.max_concurrency = max_concurrency
        self.owner = provider.owner
        self.keeps_blocks = provider.keeps_blocks
        self._attributes = {
            **metadata,
            **({"Cache-Control": cache_control} if cache_control else {}),
            **({"Storage-Class": storage_class} if storage_class else {}),
        }
        self._content_disposition = disposition
        self._url_expires = url_expires
        self._custom_domain = custom_domain
        self._marks = marks
        self._endpoint_url = endpoint_url
        self._where = f"bucket {scheme}://{bucket}"
        if endpoint_url:
            self._where += f" of {endpoint_url}"
        self._credentials = provider.credentials
        given = config_of(scheme, bucket, {**own, "endpoint_url": endpoint_url})
        self._client = Client(scheme, bucket, {**given, **(config or {})}, client_options or {})

    # The contract

    async def open(self, upload: UploadInfo) -> ObjectStoreWriter:
        # Nothing is sent before there are bytes that passed the validators. The thread is for an
        # application's callable.
        key = await asyncio.to_thread(object_key, self.upload_to, upload)
        if posixpath.normpath(key) != key:
            # obstore refuses "a//b", and takes "a/" for "a".
            raise SinkMisconfigured(f"upload_to gave {key!r}, which must be without empty names")
        return ObjectStoreWriter(self, upload, key)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete objects that are still marked as unconsumed and began longer than ``older_than``
        ago; return their keys. With ``dry_run``, only the keys.

        Multipart uploads that a crash left can't be found by obstore: a rule of the bucket is for
        those.
        """
        if self._marks is None:
            return []
        before, swept = time.time() - older_than.total_seconds(), []
        for mark in await self._names(self._marks):
            key = await self._marked(mark, before)
            if key is not None:
                swept.append(key)
                if not dry_run:
                    await self.delete(key)
                    await self.delete(mark)
        return swept

    def check(self) -> Sequence[CheckMessage]:
        messages: list[CheckMessage] = []
        if not is_encrypted(self._endpoint_url):
            messages.append(
                Warning(
                    f"The sink for {self._where} sends files unencrypted.",
                    hint="Use an https:// endpoint_url.",
                    id="djust_uploads.W006",
                )
            )
        try:
            self._client.made()
        except SinkMisconfigured as error:
            messages.append(Error(f"{error}", id="djust_uploads.E001"))
        return messages

    def check_store(self) -> Sequence[CheckMessage]:
        """Whether the bucket is there and lets us in: ``manage.py check --deploy``. Blocking."""
        try:
            with self.translated("list"):
                next(iter(obstore.list(self._client.get(), self._marks, chunk_size=1)), None)
        except SinkError as error:
            return [Error(f"{error}", id="djust_uploads.E006")]
        return []

    async def aclose(self) -> None:
        # Requests under way have the store until they end.
        self._client.forget()

    # What the writer and the file ask for

    def translated(self, operation: str) -> contextlib.AbstractContextManager[None]:
        return translated(self._where, operation, self._credentials)

    async def start(self, operation: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Begin a request. Who waits for it by :func:`asyncio.wait` may be cancelled, and it goes
        on; if the future is cancelled, nobody knows what the store made of the request."""
        store = await self._client.aget()
        with self.translated(operation):
            future: asyncio.Future[Any] = getattr(obstore, operation)(store, *args, **kwargs)
        # One that nobody waits for any more has failed in silence.
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return future

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        future = await self.start(operation, *args, **kwargs)
        with self.translated(operation):
            return await future

    def attributes(self, upload: UploadInfo) -> dict[str, str]:
        """What the store is told of a new object."""
        attributes = {
            **self._attributes,
            "Content-Type": upload.content_type or "application/octet-stream",
            self.owner: upload.key,
        }
        if self._content_disposition:
            attributes["Content-Disposition"] = disposition_of(self._content_disposition, upload)
        return attributes

    def fetch(self, key: str, etag: str, start: int, end: int) -> bytes:
        """The bytes ``start`` to ``end`` (excluded). Blocking."""
        options = {"range": (start, end), "if_match": etag or None}
        with self.translated("get"):
            return bytes(obstore.get(self._client.get(), key, options=options).bytes())

    def url(self, key: str) -> str:
        if self._custom_domain:
            return public_url(self._custom_domain, key)
        expires_in = datetime.timedelta(seconds=self._url_expires)
        with self.translated("signing a URL"):
            url: str = obstore.sign(self._client.get(), "GET", key, expires_in)
            return url

    async def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no error."""
        try:
            await self._call("delete_async", key)
        except SinkError as error:
            if not is_missing(error):
                raise

    def mark(self, upload_key: str) -> str | None:
        """The key of the mark of an upload that nobody consumed yet."""
        return self._marks and f"{self._marks}/{upload_key}"

    async def unmark(self, upload_key: str) -> None:
        if mark := self.mark(upload_key):
            await self.delete(mark)

    # The sweep

    async def _names(self, folder: str) -> list[str]:
        with self.translated("list"):
            pages = obstore.list(await self._client.aget(), folder)
            return [stored["path"] async for page in pages for stored in page]

    async def _marked(self, mark: str, before: float) -> str | None:
        """Where a mark set at ``before`` or earlier points."""
        try:
            answer = await self._call("get_async", mark)
            with self.translated("get_async"):
                return name_in(bytes(await answer.bytes_async()), before)
        except SinkError as error:
            # Another sweep, or the owner, was faster.
            if not is_missing(error):
                raise
            return None
