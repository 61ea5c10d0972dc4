"""``ObjectStoreSink``: uploads as objects in S3, Google Cloud Storage or Azure, by obstore."""

from __future__ import annotations

import datetime
import posixpath
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from django.core.checks import CheckMessage, Error

from ...exceptions import InvalidSink, SinkError, SinkMisconfigured
from ..base import UploadInfo
from ..bucket_sink import BucketSink, unencrypted
from ..keys import UploadTo, check_upload_to
from ..marks import name_in
from ..options import (
    DISPOSITIONS,
    MAX_URL_EXPIRES,
    is_endpoint,
    is_text,
    refuse_wrong,
)
from ..parts import MIB
from ..s3.rules import MAX_PART, MIN_PART

try:
    import obstore
except ImportError as _exc:
    raise InvalidSink(
        f"ObjectStoreSink needs obstore: pip install 'djust-uploads[obstore]' ({_exc})"
    ) from _exc

from .bucket import Bucket, BucketOptions
from .client import CHECKSUMS, PROVIDERS, STYLES, Client, config_of, foreign, split
from .errors import is_missing
from .writer import ObjectStoreWriter


class ObjectStoreSink(BucketSink):
    """Streams each upload into a bucket of S3 or Google Cloud Storage, or a container of Azure.

    The requests are made by obstore, a library in Rust. The object stays in the bucket when the
    application has consumed it. Uploads can be resumed in the same process only.

    :param url: ``"s3://bucket"``, ``"gs://bucket"`` or ``"az://container"``. It must exist.
    :param upload_to: A prefix of the keys, in which ``strftime()`` replaces codes such as ``%Y``,
        or a callable that takes an :class:`~djust_uploads.UploadInfo` and returns the key.
    :param endpoint_url: The URL of a store other than the provider's own.
    :param region_name: For S3: the region of the bucket. By default, obstore looks for it in the
        environment. This holds for all credentials too.
    :param aws_access_key_id: For S3: the id of the access key.
    :param aws_secret_access_key: For S3: the secret of the access key.
    :param aws_session_token: For S3: the token of temporary credentials.
    :param credentials: For Google: the path of a service account's JSON key.
    :param account_name: For Azure: the name of the storage account.
    :param account_key: For Azure: the key of the storage account.
    :param part_size: Bytes of a part, from 5 MiB to 5 GiB. Parts are larger if a file would need
        more than 10,000 of them.
    :param max_concurrency: How many parts of one upload are sent at once.
    :param checksum: The checksum that S3 verifies: ``"CRC64NVME"``, ``"SHA256"`` or ``None``.
    :param addressing_style: For S3: whether the bucket is part of the host (``"virtual"``) or of
        the path (``"path"``). With ``"auto"``, it is part of the host on AWS, unless its name has a
        dot.
    :param cache_control: The ``Cache-Control`` of every object.
    :param storage_class: The storage class of every object.
    :param metadata: Custom metadata of every object: a dictionary of strings.
    :param content_disposition: Makes browsers save the object (``"attachment"``) or show it
        (``"inline"``), with the client's file name.
    :param url_expires: Seconds for which a signed ``file.url`` is valid, at most a week.
    :param custom_domain: A public host of the bucket. Then ``file.url`` is not signed.
    :param marks: The folder in the bucket for marks, by which a sweep recognises objects that
        nobody has consumed. With ``None`` there are no marks.
    :param config: Other options of obstore's ``S3Store``, ``GCSStore`` or ``AzureStore``:
        https://developmentseed.org/obstore/latest/
    :param client_options: Options of obstore's HTTP client, such as ``proxy_url``,
        ``root_certificate`` and ``timeout``.

    Raises ``ValueError`` for an option that is not accepted.
    """

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
        folder = marks is None or (bool(marks) and posixpath.normpath(f"/{marks}") == f"/{marks}")
        expires = 0 < url_expires <= MAX_URL_EXPIRES
        refuse_wrong(
            ("url", url, not others, f"of a store that takes {', '.join(others)}"),
            ("endpoint_url", endpoint_url, is_endpoint(endpoint_url), "https://host"),
            ("aws_secret_access_key", "…", keys, "given with aws_access_key_id"),
            ("account_key", "…", not account_key or account_name, "given with account_name"),
            ("part_size", part_size, MIN_PART <= part_size <= MAX_PART, "5 MiB to 5 GiB"),
            ("max_concurrency", max_concurrency, max_concurrency >= 1, "at least 1"),
            ("checksum", checksum, checksum in (*CHECKSUMS, None), f"in {CHECKSUMS} or None"),
            ("addressing_style", addressing_style, addressing_style in STYLES, f"in {STYLES}"),
            ("metadata", metadata, is_text(metadata), "a dict of strings"),
            ("content_disposition", disposition, disposition in DISPOSITIONS, f"in {DISPOSITIONS}"),
            ("url_expires", url_expires, expires, "1 to 604800 s"),
            ("marks", marks, folder, "a folder, such as 'unconsumed-uploads', or None"),
        )
        check_upload_to(upload_to)
        given = config_of(scheme, bucket, {**own, "endpoint_url": endpoint_url})
        self.upload_to = upload_to
        self._endpoint_url = endpoint_url
        self._bucket = Bucket(
            bucket,
            f"bucket {scheme}://{bucket}" + (f" of {endpoint_url}" if endpoint_url else ""),
            PROVIDERS[scheme],
            Client(scheme, bucket, {**given, **(config or {})}, client_options or {}),
            BucketOptions(
                part_size=part_size,
                max_concurrency=max_concurrency,
                attributes={
                    **metadata,
                    **({"Cache-Control": cache_control} if cache_control else {}),
                    **({"Storage-Class": storage_class} if storage_class else {}),
                },
                content_disposition=disposition,
                url_expires=url_expires,
                custom_domain=custom_domain,
                marks=marks,
            ),
        )

    # The contract

    async def open(self, upload: UploadInfo) -> ObjectStoreWriter:
        # Nothing is sent yet. That begins with the first bytes that have passed the validators.
        key = await self._key_of(upload)
        if posixpath.normpath(key) != key:
            # obstore refuses "a//b", and stores "a/" under "a".
            raise SinkMisconfigured(f"upload_to gave {key!r}, which has an empty component")
        return ObjectStoreWriter(self._bucket, upload, key)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete objects that nobody has consumed, and return their keys.

        Those objects still have a mark, and their uploads began longer than ``older_than`` ago.
        With ``dry_run``, nothing is deleted. obstore cannot list multipart uploads, so a lifecycle
        rule of the bucket must abort those that a crash has left behind.
        """
        bucket, marks = self._bucket, self._bucket.options.marks
        if marks is None:
            return []
        before, swept = time.time() - older_than.total_seconds(), []
        for mark in await self._names(marks):
            key = await self._marked(mark, before)
            if key is not None:
                swept.append(key)
                if not dry_run:
                    await bucket.delete(key)
                    await bucket.delete(mark)
        return swept

    def check(self) -> Sequence[CheckMessage]:
        messages = unencrypted(self._bucket.where, self._endpoint_url)
        try:
            self._bucket.client.made()
        except SinkMisconfigured as error:
            messages.append(Error(f"{error}", id="djust_uploads.E001"))
        return messages

    def _ask_store(self) -> None:
        bucket = self._bucket
        with bucket.translated("list"):
            listing = obstore.list(bucket.client.get(), bucket.options.marks, chunk_size=1)
            next(iter(listing), None)

    async def aclose(self) -> None:
        # Requests that are running hold a reference to the store until they end.
        self._bucket.client.forget()

    # The sweep

    async def _names(self, folder: str) -> list[str]:
        with self._bucket.translated("list"):
            pages = obstore.list(await self._bucket.client.aget(), folder)
            return [stored["path"] async for page in pages for stored in page]

    async def _marked(self, mark: str, before: float) -> str | None:
        """Return the key that a mark points to, if the mark was set at ``before`` or earlier."""
        try:
            answer = await self._bucket.call("get_async", mark)
            with self._bucket.translated("get_async"):
                return name_in(bytes(await answer.bytes_async()), before)
        except SinkError as error:
            # Another sweep, or the upload itself, may have deleted the mark.
            if not is_missing(error):
                raise
            return None
