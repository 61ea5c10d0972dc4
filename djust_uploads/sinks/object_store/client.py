"""Which store a URL means, what obstore calls its options, and obstore's store itself."""

from __future__ import annotations

import asyncio
import datetime
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import store as stores

from ...exceptions import SinkMisconfigured
from ..keys import OWNER
from ..options import refuse_wrong

CHECKSUMS = ("CRC64NVME", "SHA256")
STYLES = ("auto", "path", "virtual")

_URL = re.compile(r"(s3|gs|az)://([^/@:?#]+)/?")

#: How often a request is sent, with a pause of up to 0.5, 1, 2 and 4 seconds before it is repeated.
ATTEMPTS = 5
PAUSE = 0.5

#: Seconds for a connection, and for a request with its body and its answer.
CONNECT_TIMEOUT = 10
TIMEOUT = 60


@dataclass(frozen=True)
class Provider:
    store: Any
    #: The options that have the credentials, for messages.
    credentials: str
    #: What obstore calls the options that are this provider's own.
    options: Mapping[str, str]
    #: Metadata of every object that we write.
    owner: str = OWNER
    #: Whether blocks stay when a multipart upload is aborted.
    keeps_blocks: bool = False


PROVIDERS = {
    "s3": Provider(
        stores.S3Store,
        "aws_access_key_id",
        {
            "region_name": "region",
            "aws_access_key_id": "access_key_id",
            "aws_secret_access_key": "secret_access_key",
            "aws_session_token": "session_token",
            "checksum": "checksum_algorithm",
            "addressing_style": "virtual_hosted_style_request",
            "endpoint_url": "endpoint",
        },
    ),
    "gs": Provider(
        stores.GCSStore,
        "credentials",
        {"credentials": "service_account", "endpoint_url": "base_url"},
    ),
    # It wants identifiers for metadata: https://learn.microsoft.com/rest/api/storageservices/
    # naming-and-referencing-containers--blobs--and-metadata. And it knows of no multipart uploads:
    # blocks stay for a week, or until something else is stored under their key,
    # https://learn.microsoft.com/rest/api/storageservices/put-block#remarks
    "az": Provider(
        stores.AzureStore,
        "account_name and account_key",
        {
            "account_name": "account_name",
            "account_key": "account_key",
            "endpoint_url": "endpoint",
        },
        owner=OWNER.replace("-", "_"),
        keeps_blocks=True,
    ),
}


def split(url: str) -> tuple[str, str]:
    """The scheme and the bucket. Raises ``ValueError`` for what is no URL of a bucket."""
    found = _URL.fullmatch(url)
    refuse_wrong(("url", url, found, "s3://bucket, gs://bucket or az://container, without a path"))
    assert found
    return found[1], found[2]


def foreign(scheme: str, options: Mapping[str, Any]) -> list[str]:
    """Those that were given, and are another provider's."""
    defaults = (None, CHECKSUMS[0], STYLES[0])
    ours = PROVIDERS[scheme].options
    return [name for name, value in options.items() if name not in ours and value not in defaults]


def config_of(scheme: str, bucket: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as obstore has them."""
    named = {theirs: options[ours] for ours, theirs in PROVIDERS[scheme].options.items()}
    if scheme == "s3":
        named |= _s3_config(bucket, options)
    return {name: value for name, value in named.items() if value is not None}


def _s3_config(bucket: str, options: Mapping[str, Any]) -> dict[str, Any]:
    endpoint_url = options["endpoint_url"]
    is_plain = (endpoint_url or "").startswith("http://")
    # As the SDK chooses: a certificate for *.s3.amazonaws.com is none for a.b.s3.amazonaws.com.
    auto = not endpoint_url and "." not in bucket
    virtual = {"auto": auto, "path": False, "virtual": True}[options["addressing_style"]]
    if virtual and endpoint_url:
        # obstore adds the bucket to AWS's own endpoint only.
        url = urlsplit(endpoint_url)
        endpoint_url = url._replace(netloc=f"{bucket}.{url.netloc}").geturl()
    return {
        "endpoint": endpoint_url,
        "virtual_hosted_style_request": virtual,
        # A signature hashes the body, with SHA-256. TLS or a checksum keep it whole for less.
        "unsigned_payload": bool(options["checksum"]) or not is_plain,
        # Otherwise it is a request for many objects, which some stores don't know.
        "disable_bulk_delete": True,
    }


class Client:
    """obstore's store, made when it is first used. It is for all threads and event loops."""

    def __init__(
        self,
        scheme: str,
        bucket: str,
        config: Mapping[str, Any],
        client_options: Mapping[str, Any],
    ) -> None:
        self._class = PROVIDERS[scheme].store
        self._bucket = bucket
        self._config = config
        self._client_options = client_options
        self._lock = threading.Lock()
        self._store: Any = None

    def made(self) -> Any:
        """A new one. Reads files: certificates, credentials. Raises :class:`SinkMisconfigured`."""
        timeouts = {"connect_timeout": f"{CONNECT_TIMEOUT}s", "timeout": f"{TIMEOUT}s"}
        backoff = {"init_backoff": datetime.timedelta(seconds=PAUSE)}
        try:
            return self._class(
                self._bucket,
                config=self._config,
                # Who gives an endpoint_url without TLS means it; the sink's check() warns.
                client_options={"allow_http": True, **timeouts, **self._client_options},
                retry_config={"max_retries": ATTEMPTS - 1, "backoff": backoff},
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
