"""Lets the store copy an object into the bucket of an ``S3Storage`` of django-storages.

The bytes do not pass through this process. This module imports the SDK only when there is an
``S3Storage``, which has imported the SDK already.
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
from ..django_storages import has_own, is_of, key_of, name_of_key
from ..parts import MIB

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The most bytes that one CopyObject copies. A larger object is copied in parts, by UploadPartCopy:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html ("up to 5 GB in size in a
#: single atomic action").
COPY_LIMIT = 5_000_000_000

#: Bytes of a part that is copied. They must be from 5 MiB to 5 GiB. The SDK uses larger parts if an
#: object would need more than 10,000:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
COPY_PART = 512 * MIB


S3_STORAGE = ("storages.backends.s3", "S3Storage")


@dataclass(frozen=True)
class S3Object:
    """An object with a known ETag, and a ``client`` of the SDK that may read it."""

    client: Any
    bucket: str
    key: str
    etag: str


def is_s3_storage(storage: Storage) -> bool:
    """Return whether a storage is an ``S3Storage`` of django-storages, or of a subclass."""
    return is_of(storage, *S3_STORAGE)


def object_of(storage: Storage, name: str, file: SinkFile) -> S3Object | None:
    """Return the object that an ``S3Storage`` has under ``name``.

    Returns ``None`` for any other storage, and if the object's bytes are not the content of
    ``file``. Blocks.
    """
    if not is_s3_storage(storage) or not has_own(storage, *S3_STORAGE, "open", "_open"):
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    client, bucket, key = _place(storage, name)
    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError):
        return None
    # "aws-chunked" describes the request that stored the object, but some stores keep it.
    encoding = head.get("ContentEncoding", "").replace("aws-chunked", "").strip(", ")
    if head["ContentLength"] != file.size or encoding:
        return None
    return S3Object(client, bucket, key, head["ETag"])


def name_of(stored: S3Object, storage: Any) -> str | None:
    """Return the name of an object in an ``S3Storage``, if the storage has its bucket.

    Returns ``None`` for another bucket or service, for an object outside of the storage's
    ``location``, and for a storage that reads objects in a way of its own.
    """
    if not has_own(storage, *S3_STORAGE, "open", "_open") or storage.bucket_name != stored.bucket:
        return None
    if not _is_same_service(stored.client, storage):
        return None
    return name_of_key(storage, stored.key)


def copy_to_s3(source: S3Object, storage: Storage, name: str, file: SinkFile) -> str | None:
    """Copy ``source`` to ``name`` in ``storage``, and return the name that it got.

    The copy is as ``storage.save(name, file)`` would store it. ``file`` is the file of ``source``.
    Blocks.

    Returns ``None`` if the bytes must be streamed: if the storage belongs to another service or
    changes the bytes that it stores, or if the store refuses the copy.
    """
    if not is_s3_storage(storage) or not has_own(storage, *S3_STORAGE, "save", "_save"):
        return None
    # Only the ETag shows whether the storage's credentials lead to the same object.
    if not source.etag or not _is_same_service(source.client, storage):
        return None
    name = _free_name(storage, name)
    params = _params(storage, name, file)
    if params is None:
        return None
    return name if _copy(source, storage, name, params) else None


def _free_name(storage: Any, name: str) -> str:
    """Return the name that ``Storage.save()`` and ``S3Storage._save()`` would choose."""
    validate_file_name(name, allow_relative_path=True)
    free = sys.modules["storages.utils"].clean_name(storage.get_available_name(name))
    validate_file_name(free, allow_relative_path=True)
    return str(free)


def _params(storage: Any, name: str, file: SinkFile) -> dict[str, Any] | None:
    """Return the parameters with which ``S3Storage._save()`` would store an object.

    Returns ``None`` if a copy cannot have the same ones.
    """
    from boto3.s3.transfer import S3Transfer

    params = storage._get_write_parameters(storage._normalize_name(name), file)
    compressed = storage.gzip and params["ContentType"] in storage.gzip_content_types
    if compressed or not params.keys() <= set(S3Transfer.ALLOWED_COPY_ARGS):
        return None
    # REPLACE leaves out the source's metadata, with the upload's owner, and its unconsumed tag.
    return {**params, "MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}


def _copy(source: S3Object, storage: Any, name: str, params: dict[str, Any]) -> bool:
    """Copy the object, and return whether the store has done so.

    The request is made with the storage's credentials, which may write there. If they may not read
    the source, the store refuses the copy. The SDK recognises an answer 200 that contains an error,
    and aborts a copy in parts that fails.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    client, bucket, key = _place(storage, name)
    config = copy.copy(storage.transfer_config)
    # The SDK copies an object in parts if it has at least as many bytes as the threshold.
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
        logger.info("%s is streamed, because the store cannot copy it: %s", source.key, exc)
        return False
    return True


def _place(storage: Any, name: str) -> tuple[Any, str, str]:
    """Return the SDK's client of a storage, its bucket, and the key of a name."""
    return storage.bucket.meta.client, storage.bucket_name, key_of(storage, name)


def _is_same_service(client: Any, storage: Any) -> bool:
    """Return whether the client and the storage use the same endpoint.

    AWS has one endpoint for each region.
    """
    ours, theirs = client.meta.endpoint_url, storage.bucket.meta.client.meta.endpoint_url
    return bool(ours.rstrip("/") == theirs.rstrip("/"))
