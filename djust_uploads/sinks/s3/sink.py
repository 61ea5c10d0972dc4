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

#: The keys that ``extra_args`` may have. The sink sets the other parameters of an object itself:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
EXTRA_ARGS = {
    *("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"),
    *("BucketKeyEnabled", "ServerSideEncryption", "SSEKMSEncryptionContext", "SSEKMSKeyId"),
    *("CacheControl", "ContentEncoding", "ContentLanguage", "Expires"),
    *("Metadata", "StorageClass", "Tagging", "WebsiteRedirectLocation"),
}

#: Matches the keys that :func:`~..keys.object_key` returns if ``upload_to`` is a prefix.
_OUR_KEY = re.compile(r"(?:^|/)[0-9a-f]{32}-[^/]+$")


class S3Sink(BucketSink):
    """Streams each upload into a bucket of S3, or of a store that speaks S3.

    The object stays in the bucket when the application has consumed it. Uploads can be resumed in
    any process.

    :param bucket: The name of the bucket. It must exist.
    :param upload_to: A prefix of the keys, in which ``strftime()`` replaces codes such as ``%Y``,
        or a callable that takes an :class:`~djust_uploads.UploadInfo` and returns the key.
    :param endpoint_url: The URL of a store other than AWS.
    :param region_name: The region of the bucket. By default, the SDK looks for it in the
        environment and in its configuration files. This holds for the next four parameters too.
    :param aws_access_key_id: The id of the access key.
    :param aws_secret_access_key: The secret of the access key.
    :param aws_session_token: The token of temporary credentials.
    :param profile_name: A profile in the SDK's configuration files.
    :param part_size: Bytes of a part, from 5 MiB to 5 GiB. Parts are larger if a file would need
        more than 10,000 of them:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    :param max_concurrency: How many parts of one upload are sent at once.
    :param extra_args: Parameters of PutObject for every object, such as ``ACL``,
        ``ServerSideEncryption`` and ``StorageClass``.
    :param content_disposition: Makes browsers save the object (``"attachment"``) or show it
        (``"inline"``), with the client's file name.
    :param checksum: The checksum that is sent with each part, and that S3 verifies: ``"CRC32"``,
        ``"CRC32C"`` (needs ``awscrt``), ``"SHA256"`` or ``None``.
    :param url_expires: Seconds for which a signed ``file.url`` is valid, at most a week.
    :param custom_domain: A public host of the bucket. Then ``file.url`` is not signed.
    :param addressing_style: Whether the bucket is part of the host (``"virtual"``) or of the path
        (``"path"``). With ``"auto"``, the SDK decides.
    :param unconsumed_tag: The tag ``"key=value"`` of objects that nobody has consumed yet, or
        ``None``. Without it, a sweep cannot find such objects.

    Raises ``ValueError`` for an option that is not accepted, and
    :class:`~djust_uploads.exceptions.InvalidSink` if ``checksum`` needs a package that is not
    installed.
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
        # Nothing is sent yet. That begins with the first bytes that have passed the validators.
        return S3Writer(self._bucket, upload, await self._key_of(upload))

    async def resume(self, upload: UploadInfo, checkpoint: Mapping[str, Any]) -> S3Writer:
        """Return a writer that goes on with the parts in the store, or with the finished object.

        Raises :class:`NotResumable` if the store has neither, and for a checkpoint of another sink.
        """
        try:
            writer = S3Writer(self._bucket, upload, checkpoint["key"], checkpoint)
            await writer.restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise NotResumable(f"no checkpoint of S3Sink: {exc!r}") from exc
        return writer

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete what crashed processes have left in the bucket, and return the keys.

        This aborts multipart uploads that began longer than ``older_than`` ago, and deletes objects
        that were stored longer ago and still have the ``unconsumed_tag``. With ``dry_run``, nothing
        is deleted.

        The sweep only looks at keys that begin with the part of ``upload_to`` before its first
        ``strftime()`` code. It leaves multipart uploads alone whose keys do not look like ours. If
        ``upload_to`` is a callable, the sweep cannot recognise our keys, and aborts no multipart
        uploads. A lifecycle rule of the bucket must do that.
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
