"""``S3Sink``: uploads as objects in an S3 bucket, or in a store that speaks S3."""

from __future__ import annotations

import datetime
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from django.core.checks import CheckMessage

from ...exceptions import NotResumable, SinkError
from ..base import UploadInfo
from ..bucket_sink import BucketSink, unencrypted
from ..keys import UploadTo, check_upload_to, literal_prefix
from ..options import DISPOSITIONS, MAX_URL_EXPIRES, is_endpoint, refuse_wrong
from ..parts import MIB
from .bucket import Bucket, BucketOptions
from .checksums import CHECKSUMS, load_checksum
from .clients import Clients, config
from .errors import is_missing
from .rules import MAX_PART, MIN_PART
from .writer import S3Writer

STYLES = ("auto", "path", "virtual")

#: The ``extra_args`` that may be given for every object. The sink sets the others itself. See
#: PutObject and CreateMultipartUpload in https://docs.aws.amazon.com/AmazonS3/latest/API
EXTRA_ARGS = {
    *("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"),
    *("BucketKeyEnabled", "ServerSideEncryption", "SSEKMSEncryptionContext", "SSEKMSKeyId"),
    *("CacheControl", "ContentEncoding", "ContentLanguage", "Expires"),
    *("Metadata", "StorageClass", "Tagging", "WebsiteRedirectLocation"),
}

#: What our keys look like where ``upload_to`` is a prefix; see :func:`~..keys.object_key`.
_OUR_KEY = re.compile(r"(?:^|/)[0-9a-f]{32}-[^/]+$")


class S3Sink(BucketSink):
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
            ("endpoint_url", endpoint_url, is_endpoint(endpoint_url), "https://host"),
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
        self.upload_to = upload_to
        self._endpoint_url = endpoint_url
        self._bucket = Bucket(
            bucket,
            f"bucket {bucket!r} of {endpoint_url or 'AWS'}",
            Clients(
                {
                    "aws_access_key_id": aws_access_key_id,
                    "aws_secret_access_key": aws_secret_access_key,
                    "aws_session_token": aws_session_token,
                    "region_name": region_name,
                    "profile_name": profile_name,
                },
                endpoint_url,
                config(addressing_style, max_concurrency),
            ),
            BucketOptions(
                part_size=part_size,
                max_concurrency=max_concurrency,
                checksum=checksum,
                extra_args=extra_args,
                content_disposition=disposition,
                url_expires=url_expires,
                custom_domain=custom_domain,
                unconsumed_tag=unconsumed_tag,
            ),
        )

    # The contract

    async def open(self, upload: UploadInfo) -> S3Writer:
        # Nothing is sent before there are bytes that have passed the validators.
        return S3Writer(self._bucket, upload, await self._key_of(upload))

    async def resume(self, upload: UploadInfo, checkpoint: Mapping[str, Any]) -> S3Writer:
        """Go on from a checkpoint, with the parts that the store has or with the finished object.

        Raises :class:`NotResumable` if the store has neither, and for a checkpoint of another sink.
        """
        try:
            writer = S3Writer(self._bucket, upload, checkpoint["key"], checkpoint)
            await writer.restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise NotResumable(f"no checkpoint of S3Sink: {exc!r}") from exc
        return writer

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete what crashed processes left in the bucket, and return the keys.

        That is multipart uploads that began, and objects still tagged as unconsumed that were
        stored, longer than ``older_than`` ago. With ``dry_run``, nothing is deleted.

        The sweep looks below the literal part of ``upload_to``. It leaves multipart uploads alone
        whose keys do not look like ours. If ``upload_to`` is a callable, it cannot know the keys:
        their multipart uploads are left to a lifecycle rule of the bucket.
        """
        before = datetime.datetime.now(datetime.UTC) - older_than
        swept = []
        async for key, upload_id in self._stale_uploads(before):
            swept.append(key)
            if not dry_run:
                await self._bucket.abort_upload(key, upload_id)
        async for key in self._stale_objects(before):
            swept.append(key)
            if not dry_run:
                await self._bucket.delete(key)
        return swept

    def check(self) -> Sequence[CheckMessage]:
        return unencrypted(self._bucket.where, self._endpoint_url)

    def _ask_store(self) -> None:
        self._bucket.call_blocking("head_bucket")

    async def aclose(self) -> None:
        await self._bucket.aclose()

    # The sweep

    async def _stale_uploads(self, before: datetime.datetime) -> AsyncIterator[tuple[str, str]]:
        prefix = literal_prefix(self.upload_to)
        if prefix is None:
            return
        async for upload in self._bucket.uploads(prefix):
            if upload["Initiated"] < before and _OUR_KEY.search(upload["Key"]):
                yield upload["Key"], upload["UploadId"]

    async def _stale_objects(self, before: datetime.datetime) -> AsyncIterator[str]:
        if not self._bucket.options.unconsumed_tag:
            return
        prefix = literal_prefix(self.upload_to) or ""
        async for page in self._bucket.pages("list_objects_v2", Prefix=prefix):
            for stored in page.get("Contents", ()):
                if stored["LastModified"] < before and await self._is_unconsumed(stored["Key"]):
                    yield stored["Key"]

    async def _is_unconsumed(self, key: str) -> bool:
        try:
            answer = await self._bucket.call("get_object_tagging", Key=key)
        except SinkError as error:
            if is_missing(error):
                return False
            raise
        tags = urlencode([(tag["Key"], tag["Value"]) for tag in answer["TagSet"]]).split("&")
        return urlencode(parse_qsl(self._bucket.options.unconsumed_tag or "")) in tags
