"""``GCSSink``: uploads as objects in a Google Cloud Storage bucket."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from ...exceptions import NotResumable, SinkMisconfigured
from ..base import UploadInfo
from ..bucket_sink import BucketSink
from ..keys import UploadTo, check_upload_to, literal_prefix
from ..options import DISPOSITIONS, MAX_URL_EXPIRES, is_text, refuse_wrong
from ..parts import MIB
from .api import GRANULE
from .bucket import UNCONSUMED, Bucket, BucketOptions
from .client import Client
from .writer import GCSWriter

#: https://cloud.google.com/storage/docs/access-control/lists#predefined-acl
ACLS = (
    *("authenticatedRead", "bucketOwnerFullControl", "bucketOwnerRead", "private"),
    *("projectPrivate", "publicRead", None),
)

#: The permissions that the credentials must have for objects of the bucket.
PERMISSIONS = {"create", "delete", "get", "list", "update"}


class GCSSink(BucketSink):
    """Streams each upload into a bucket of Google Cloud Storage.

    The object stays in the bucket when the application has consumed it. Uploads can be resumed in
    any process.

    :param bucket: The name of the bucket. It must exist.
    :param upload_to: A prefix of the keys, in which ``strftime()`` replaces codes such as ``%Y``,
        or a callable that takes an :class:`~djust_uploads.UploadInfo` and returns the key.
    :param project: The project of the SDK's client. Uploads do not need one.
    :param credentials: The path of a service account's JSON key, or a ``Credentials`` object of
        the SDK. By default, the SDK looks for credentials in the environment.
    :param chunk_size: Bytes of one request, a multiple of 256 KiB:
        https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
    :param kms_key_name: The key that encrypts the objects, ``"projects/…/cryptoKeys/…"``.
    :param predefined_acl: The access control list of the objects, such as ``"publicRead"``.
    :param cache_control: The ``Cache-Control`` of every object.
    :param metadata: Custom metadata of every object: a dictionary of strings.
    :param content_disposition: Makes browsers save the object (``"attachment"``) or show it
        (``"inline"``), with the client's file name.
    :param if_generation_match: With ``0``, an existing object is never overwritten. With ``None``,
        the bucket's settings decide what happens to an existing object.
    :param url_expires: Seconds for which a signed ``file.url`` is valid, at most a week.
    :param custom_domain: A public host of the bucket. Then ``file.url`` is not signed.
    :param mark_unconsumed: Whether objects are marked until they are consumed. Without the mark, a
        sweep cannot find objects that nobody has consumed.
    :param custom_time: Whether objects also have a custom time until they are consumed, for a
        lifecycle rule of the bucket.
    :param api_endpoint: The URL of a private endpoint or of an emulator.
    :param threads: How many requests of this sink may run at once.

    Raises ``ValueError`` for an option that is not accepted.
    """

    def __init__(
        self,
        bucket: str,
        upload_to: UploadTo = "",
        *,
        project: str | None = None,
        credentials: Any = None,
        chunk_size: int = 8 * MIB,
        kms_key_name: str | None = None,
        predefined_acl: str | None = None,
        cache_control: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_disposition: Literal["attachment", "inline"] | None = None,
        if_generation_match: int | None = 0,
        url_expires: int = 3600,
        custom_domain: str | None = None,
        mark_unconsumed: bool = True,
        custom_time: bool = False,
        api_endpoint: str | None = None,
        threads: int = 16,
    ) -> None:
        metadata, disposition = dict(metadata or {}), content_disposition
        granules = chunk_size >= GRANULE and chunk_size % GRANULE == 0
        endpoint = (api_endpoint or "https://").startswith(("https://", "http://"))
        expires = 0 < url_expires <= MAX_URL_EXPIRES
        refuse_wrong(
            ("bucket", bucket, bucket and "/" not in bucket, "a bucket's name"),
            ("chunk_size", chunk_size, granules, "a multiple of 256 KiB"),
            ("predefined_acl", predefined_acl, predefined_acl in ACLS, f"in {ACLS}"),
            ("metadata", metadata, is_text(metadata), "a dict of strings"),
            ("content_disposition", disposition, disposition in DISPOSITIONS, f"in {DISPOSITIONS}"),
            (
                "if_generation_match",
                if_generation_match,
                if_generation_match in (0, None),
                "0, None",
            ),
            ("url_expires", url_expires, expires, "1 to 604800 s"),
            ("api_endpoint", api_endpoint, endpoint, "https://host"),
            ("threads", threads, threads >= 1, "at least 1"),
        )
        check_upload_to(upload_to)
        self.upload_to = upload_to
        self._bucket = Bucket(
            bucket,
            Client(project, credentials, api_endpoint, threads),
            BucketOptions(
                chunk_size=chunk_size,
                threads=threads,
                kms_key_name=kms_key_name,
                predefined_acl=predefined_acl,
                if_generation_match=if_generation_match,
                cache_control=cache_control,
                metadata=metadata,
                content_disposition=disposition,
                url_expires=url_expires,
                custom_domain=custom_domain,
                mark_unconsumed=mark_unconsumed,
                custom_time=custom_time,
            ),
        )

    # The contract

    async def open(self, upload: UploadInfo) -> GCSWriter:
        # Nothing is sent yet. That begins with the first bytes that have passed the validators.
        return GCSWriter(self._bucket, upload, await self._key_of(upload))

    async def resume(self, upload: UploadInfo, checkpoint: Mapping[str, Any]) -> GCSWriter:
        """Return a writer that goes on with the checkpoint's session, or with the finished object.

        Raises :class:`NotResumable` if the store has neither, and for a checkpoint of another sink.
        """
        try:
            writer = GCSWriter(self._bucket, upload, checkpoint["key"], checkpoint)
            await writer.restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise NotResumable(f"no checkpoint of GCSSink: {type(exc).__name__}") from exc
        return writer

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete objects that nobody has consumed, and return their keys.

        Those objects are still marked as unconsumed, and were stored longer than ``older_than``
        ago. With ``dry_run``, nothing is deleted. The sweep only looks at keys that begin with the
        part of ``upload_to`` before its first ``strftime()`` code. Sessions need no sweep, because
        they end after a week:
        https://cloud.google.com/storage/docs/resumable-uploads#session-uris
        """
        before = datetime.datetime.now(datetime.UTC) - older_than
        prefix, token, swept = literal_prefix(self.upload_to) or "", None, []
        bucket = self._bucket
        while True:
            page, token = await bucket.call(bucket.api.page, prefix, token)
            for stored in filter(partial(_is_stale, before), page):
                swept.append(stored["name"])
                if not dry_run:
                    # If the object is consumed at this moment, its metageneration changes, and it
                    # is not deleted.
                    seen = str(stored["generation"]), str(stored["metageneration"])
                    await bucket.call(bucket.api.delete, stored["name"], *seen)
            if not token:
                return swept

    def _ask_store(self) -> None:
        options = self._bucket.options
        updates = options.mark_unconsumed or options.custom_time
        names = PERMISSIONS if updates else PERMISSIONS - {"update"}
        wanted = sorted(f"storage.objects.{name}" for name in names)
        missing = sorted(set(wanted) - self._bucket.api.permissions(wanted))
        if missing:
            raise SinkMisconfigured(
                f"credentials lack {', '.join(missing)} in {self._bucket.where}"
            )

    async def aclose(self) -> None:
        await self._bucket.aclose()


def _is_stale(before: datetime.datetime, stored: Mapping[str, Any]) -> bool:
    created = datetime.datetime.fromisoformat(stored["timeCreated"])
    return bool(stored.get("metadata", {}).get(UNCONSUMED)) and created < before
