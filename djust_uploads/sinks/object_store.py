"""Uploads as objects in S3, Google Cloud Storage or Azure, by a library in Rust. The only importer
of obstore.

The sink, its options and its store are here; ``object_store_writer`` has one file on its way into
it, ``object_store_file`` the stored object, ``object_store_errors`` what can go wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import posixpath
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning

from ..exceptions import InvalidSink, SinkError, SinkMisconfigured
from .base import Sink, UploadInfo
from .keys import OWNER, UploadTo, check_upload_to, object_key, public_url
from .marks import name_in
from .options import DISPOSITIONS, MAX_URL_EXPIRES, disposition_of, is_encrypted, refuse_wrong
from .parts import MIB
from .s3_rules import MAX_PART, MIN_PART

try:
    import obstore
    from obstore import store as stores
except ImportError as exc:
    raise InvalidSink(
        f"ObjectStoreSink needs obstore: pip install 'djust-uploads[obstore]' ({exc})"
    ) from exc

from .object_store_errors import is_missing, translated
from .object_store_writer import ObjectStoreWriter

CHECKSUMS = ("CRC64NVME", "SHA256")
STYLES = ("auto", "path", "virtual")

#: Scheme → the store, and the options that have its credentials.
STORES = {
    "s3": (stores.S3Store, "aws_access_key_id"),
    "gs": (stores.GCSStore, "credentials"),
    "az": (stores.AzureStore, "account_name and account_key"),
}

_URL = re.compile(r"(s3|gs|az)://([^/@:?#]+)/?")

#: How often a request is sent, with a pause of up to 0.5, 1, 2 and 4 seconds before it is repeated.
ATTEMPTS = 5
PAUSE = 0.5

#: Seconds for a connection, and for a request with its body and answer. Both are the SDKs'.
CONNECT_TIMEOUT = 10
TIMEOUT = 60


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
        scheme, bucket = _split(url)
        own = {
            "s3": {
                "region": region_name,
                "access_key_id": aws_access_key_id,
                "secret_access_key": aws_secret_access_key,
                "session_token": aws_session_token,
            },
            "gs": {"service_account": credentials},
            "az": {"account_name": account_name, "account_key": account_key},
        }
        ours = [value for value in own[scheme].values() if value]
        all_given = [value for options in own.values() for value in options.values() if value]
        keys = bool(aws_access_key_id) == bool(aws_secret_access_key)
        texts = all(isinstance(text, str) for pair in metadata.items() for text in pair)
        folder = marks is None or (bool(marks) and posixpath.normpath(f"/{marks}") == f"/{marks}")
        expires = 0 < url_expires <= MAX_URL_EXPIRES
        endpoint = endpoint_url is None or bool(re.match(r"https?://[^/]+", endpoint_url))
        refuse_wrong(
            ("credentials", "another store's", ours == all_given, f"those of {scheme}://"),
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
        # Azure wants identifiers: https://learn.microsoft.com/rest/api/storageservices/
        # naming-and-referencing-containers--blobs--and-metadata
        self.owner = OWNER.replace("-", "_") if scheme == "az" else OWNER
        #: Whether blocks stay when a multipart upload is aborted: Azure knows no such thing, and
        #: keeps them for a week, or until something else is stored under their key,
        #: https://learn.microsoft.com/rest/api/storageservices/put-block#remarks
        self.keeps_blocks = scheme == "az"
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
        self._credentials = STORES[scheme][1]
        if scheme == "s3":
            own["s3"] |= _s3_config(bucket, endpoint_url, checksum, addressing_style)
        elif endpoint_url:
            own[scheme]["base_url" if scheme == "gs" else "endpoint"] = endpoint_url
        given = {name: value for name, value in own[scheme].items() if value is not None}
        self._store = _Store(scheme, bucket, {**given, **(config or {})}, client_options or {})

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
            self._store.made()
        except SinkMisconfigured as error:
            messages.append(Error(f"{error}", id="djust_uploads.E001"))
        return messages

    def check_store(self) -> Sequence[CheckMessage]:
        """Whether the bucket is there and lets us in: ``manage.py check --deploy``. Blocking."""
        try:
            with self.translated("list"):
                next(iter(obstore.list(self._store.get(), self._marks, chunk_size=1)), None)
        except SinkError as error:
            return [Error(f"{error}", id="djust_uploads.E006")]
        return []

    async def aclose(self) -> None:
        # Requests under way have the store until they end.
        self._store.forget()

    # What the writer and the file ask for

    def translated(self, operation: str) -> contextlib.AbstractContextManager[None]:
        return translated(self._where, operation, self._credentials)

    async def start(self, operation: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Begin a request. Who waits for it by :func:`asyncio.wait` may be cancelled, and it goes
        on; if the future is cancelled, nobody knows what the store made of the request."""
        store = await self._store.aget()
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
            return bytes(obstore.get(self._store.get(), key, options=options).bytes())

    def url(self, key: str) -> str:
        if self._custom_domain:
            return public_url(self._custom_domain, key)
        expires_in = datetime.timedelta(seconds=self._url_expires)
        with self.translated("signing a URL"):
            url: str = obstore.sign(self._store.get(), "GET", key, expires_in)
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
            pages = obstore.list(await self._store.aget(), folder)
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


class _Store:
    """obstore's store, made when it is first used. It is for all threads and event loops."""

    def __init__(
        self,
        scheme: str,
        bucket: str,
        config: Mapping[str, Any],
        client_options: Mapping[str, Any],
    ) -> None:
        self._class = STORES[scheme][0]
        self._bucket = bucket
        self._config = config
        self._client_options = client_options
        self._lock = threading.Lock()
        self._store: Any = None

    def made(self) -> Any:
        """A new one. Reads files: certificates, credentials. Raises :class:`SinkMisconfigured`."""
        seconds = {"connect_timeout": CONNECT_TIMEOUT, "timeout": TIMEOUT}
        timeouts = {name: f"{value}s" for name, value in seconds.items()}
        retries = {
            "max_retries": ATTEMPTS - 1,
            "backoff": {"init_backoff": datetime.timedelta(seconds=PAUSE)},
        }
        try:
            return self._class(
                self._bucket,
                config=self._config,
                # Whoever gives such an endpoint_url means it; check() warns.
                client_options={"allow_http": True, **timeouts, **self._client_options},
                retry_config=retries,
            )
        except (obstore.exceptions.BaseError, ValueError, TypeError, OSError) as exc:
            said = str(exc).partition("\n\nDebug source")[0].strip().rstrip(".")
            raise SinkMisconfigured(
                f"{said}. Check the credentials, config and client_options of the sink."
            ) from exc

    def get(self) -> Any:
        """For any thread. Blocks for the files the first time."""
        with self._lock:
            if self._store is None:
                self._store = self.made()
            return self._store

    async def aget(self) -> Any:
        return self._store or await asyncio.to_thread(self.get)

    def forget(self) -> None:
        self._store = None


def _split(url: str) -> tuple[str, str]:
    found = _URL.fullmatch(url)
    refuse_wrong(("url", url, found, "s3://bucket, gs://bucket or az://container, without a path"))
    assert found
    return found[1], found[2]


def _s3_config(
    bucket: str, endpoint_url: str | None, checksum: str | None, style: str
) -> dict[str, Any]:
    # As the SDK chooses: a certificate for *.s3.amazonaws.com is none for a.b.s3.amazonaws.com.
    virtual = style == "virtual" or (style == "auto" and not endpoint_url and "." not in bucket)
    if virtual and endpoint_url:
        # obstore adds the bucket to AWS's own endpoint only.
        url = urlsplit(endpoint_url)
        endpoint_url = url._replace(netloc=f"{bucket}.{url.netloc}").geturl()
    return {
        "endpoint": endpoint_url,
        "virtual_hosted_style_request": virtual,
        "checksum_algorithm": checksum,
        # TLS and the checksum keep the body whole; over plain http only a signature does.
        "unsigned_payload": not (endpoint_url or "").startswith("http://"),
        # A request for many objects, which some stores don't know. We delete one at a time.
        "disable_bulk_delete": True,
    }
