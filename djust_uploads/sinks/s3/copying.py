"""Copies from a bucket into django-storages' ``S3Storage`` that the store makes itself: no byte
comes here. Imports no SDK before there is such a storage, which has imported it.
"""

from __future__ import annotations

import copy
import logging
import sys
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import Storage
from django.core.files.utils import validate_file_name

from ...files import SinkFile
from ..parts import MIB

logger: logging.Logger = logging.getLogger("djust_uploads")

#: Bytes that one CopyObject takes; a larger object is copied in parts, by UploadPartCopy:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html ("up to 5 GB in size in a
#: single atomic action").
COPY_LIMIT = 5_000_000_000

#: Bytes of such a part, 5 MiB to 5 GiB; the SDK takes larger ones where an object would need over
#: 10,000: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
COPY_PART = 512 * MIB


@dataclass(frozen=True)
class S3Object:
    """An object as it is now, and the ``client`` of the SDK that may read it."""

    client: Any
    bucket: str
    key: str
    etag: str


def is_s3_storage(storage: Storage) -> bool:
    """Whether it is django-storages' ``S3Storage``, or a subclass."""
    module = sys.modules.get("storages.backends.s3")
    return module is not None and isinstance(storage, module.S3Storage)


def object_of(storage: Storage, name: str, file: SinkFile) -> S3Object | None:
    """The object behind a name of an ``S3Storage``; ``None`` for any other storage, and where the
    object's bytes are not ``file``'s content. Blocking."""
    if not is_s3_storage(storage) or not _has_own(storage, "open", "_open"):
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    client, bucket, key = _place(storage, name)
    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError):
        return None
    # Some stores keep what only described the request that brought the object.
    encoding = head.get("ContentEncoding", "").replace("aws-chunked", "").strip(", ")
    if head["ContentLength"] != file.size or encoding:
        return None
    return S3Object(client, bucket, key, head["ETag"])


def copy_to_s3(source: S3Object, storage: Storage, name: str, file: SinkFile) -> str | None:
    """Have ``source``, which is ``file``, copied to ``name`` in ``storage`` as its ``save()`` would
    store it, and return the name it got. ``None`` if it must be streamed: for another service, a
    storage that changes what it stores, or when the store refuses. Blocking.
    """
    if not is_s3_storage(storage) or not _has_own(storage, "save", "_save"):
        return None
    # Without an ETag nobody knows whether the storage's credentials see the same object.
    if not source.etag or not _is_same_service(source.client, storage):
        return None
    name = _free_name(storage, name)
    params = _params(storage, name, file)
    if params is None:
        return None
    return name if _copy(source, storage, name, params) else None


def _free_name(storage: Any, name: str) -> str:
    """As ``Storage.save()`` and ``S3Storage._save()`` find it."""
    validate_file_name(name, allow_relative_path=True)
    free = sys.modules["storages.utils"].clean_name(storage.get_available_name(name))
    validate_file_name(free, allow_relative_path=True)
    return str(free)


def _params(storage: Any, name: str, file: SinkFile) -> dict[str, Any] | None:
    """What ``S3Storage._save()`` says of a new object; ``None`` if a copy can't say it."""
    from boto3.s3.transfer import S3Transfer

    params = storage._get_write_parameters(storage._normalize_name(name), file)
    compressed = storage.gzip and params["ContentType"] in storage.gzip_content_types
    if compressed or not params.keys() <= set(S3Transfer.ALLOWED_COPY_ARGS):
        return None
    # Nothing of the source's own: not whose upload it was, nor the tag that it is unconsumed.
    return {**params, "MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}


def _copy(source: S3Object, storage: Any, name: str, params: dict[str, Any]) -> bool:
    """Whether the store did it. The request is the storage's: its credentials may write there, and
    where they may not read the source, there is no copy. The SDK takes a 200 with an error in it
    for the error that it is, and aborts a copy in parts that fails."""
    from botocore.exceptions import BotoCoreError, ClientError

    client, bucket, key = _place(storage, name)
    config = copy.copy(storage.transfer_config)
    # The SDK copies in parts from the threshold on.
    config.multipart_threshold, config.multipart_chunksize = COPY_LIMIT + 1, COPY_PART
    try:
        client.copy(
            {"Bucket": source.bucket, "Key": source.key},
            bucket,
            key,
            ExtraArgs={**params, "CopySourceIfMatch": source.etag},
            Config=config,
        )
    except (BotoCoreError, ClientError) as exc:
        logger.info("%s is streamed, as no copy can be made: %s", source.key, exc)
        return False
    return True


def _place(storage: Any, name: str) -> tuple[Any, str, str]:
    """The client, the bucket and the key of a name."""
    key = storage._normalize_name(sys.modules["storages.utils"].clean_name(name))
    return storage.bucket.meta.client, storage.bucket_name, key


def _is_same_service(client: Any, storage: Any) -> bool:
    """Whether both speak to one endpoint. That of a region has the region in its name."""
    ours, theirs = client.meta.endpoint_url, storage.bucket.meta.client.meta.endpoint_url
    return bool(ours.rstrip("/") == theirs.rstrip("/"))


def _has_own(storage: Storage, *methods: str) -> bool:
    """Whether ``S3Storage``'s methods are in use, and not a subclass's that may change bytes. A
    ``default_storage`` has another type, but the right ``__class__``."""
    own = sys.modules["storages.backends.s3"].S3Storage
    return all(getattr(storage.__class__, name) is getattr(own, name) for name in methods)
