"""The provider that a URL means, the provider's options, and obstore's store."""

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

#: The most times that a request is sent. obstore waits up to 0.5, 1, 2 and 4 seconds in between.
ATTEMPTS = 5
PAUSE = 0.5

#: The most seconds to connect, and for a request with its body and its answer.
CONNECT_TIMEOUT = 10
TIMEOUT = 60


@dataclass(frozen=True)
class Provider:
    """S3, Google or Azure."""

    #: obstore's class for the provider's stores.
    store: Any
    #: The names of the options with the credentials, for error messages.
    credentials: str
    #: The options that this provider has, and what obstore calls them.
    options: Mapping[str, str]
    #: The name of the metadata by which an upload recognises its object.
    owner: str = OWNER
    #: Whether the parts stay in the store when a multipart upload is aborted.
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
    # The names of metadata must be identifiers: https://learn.microsoft.com/rest/api/
    # storageservices/naming-and-referencing-containers--blobs--and-metadata. Azure has blocks
    # instead of multipart uploads. They stay for a week, or until something else is stored under
    # their key: https://learn.microsoft.com/rest/api/storageservices/put-block#remarks
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
    """Return the scheme and the bucket of a URL.

    Raises ``ValueError`` if it is not the URL of a bucket.
    """
    found = _URL.fullmatch(url)
    refuse_wrong(("url", url, found, "s3://bucket, gs://bucket or az://container, without a path"))
    assert found
    return found[1], found[2]


def foreign(scheme: str, options: Mapping[str, Any]) -> list[str]:
    """Return the names of the given options that belong to another provider."""
    defaults = (None, CHECKSUMS[0], STYLES[0])
    ours = PROVIDERS[scheme].options
    return [name for name, value in options.items() if name not in ours and value not in defaults]


def config_of(scheme: str, bucket: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's options, under the names that obstore gives them."""
    named = {theirs: options[ours] for ours, theirs in PROVIDERS[scheme].options.items()}
    if scheme == "s3":
        named |= _s3_config(bucket, options)
    return {name: value for name, value in named.items() if value is not None}


def _s3_config(bucket: str, options: Mapping[str, Any]) -> dict[str, Any]:
    endpoint_url = options["endpoint_url"]
    is_plain = (endpoint_url or "").startswith("http://")
    # AWS's SDK decides in the same way: if the bucket's name has a dot, AWS's certificate for
    # *.s3.amazonaws.com does not cover the host.
    auto = not endpoint_url and "." not in bucket
    virtual = {"auto": auto, "path": False, "virtual": True}[options["addressing_style"]]
    if virtual and endpoint_url:
        # obstore puts the bucket into the host only for AWS's own endpoint.
        url = urlsplit(endpoint_url)
        endpoint_url = url._replace(netloc=f"{bucket}.{url.netloc}").geturl()
    return {
        "endpoint": endpoint_url,
        "virtual_hosted_style_request": virtual,
        # To sign the body means to hash it with SHA-256. TLS and checksums protect it for less.
        "unsigned_payload": bool(options["checksum"]) or not is_plain,
        # To delete one object, obstore would send a request for many, which some stores lack.
        "disable_bulk_delete": True,
    }


class Client:
    """Creates obstore's store when it is first used.

    All threads and event loops share the store.
    """

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
        """Create and return a store. Blocks, because it reads certificates and credentials.

        Raises :class:`SinkMisconfigured` if an option or a file is wrong.
        """
        timeouts = {"connect_timeout": f"{CONNECT_TIMEOUT}s", "timeout": f"{TIMEOUT}s"}
        backoff = {"init_backoff": datetime.timedelta(seconds=PAUSE)}
        try:
            return self._class(
                self._bucket,
                config=self._config,
                # An endpoint_url without TLS is allowed. The sink's check() warns of it.
                client_options={"allow_http": True, **timeouts, **self._client_options},
                retry_config={"max_retries": ATTEMPTS - 1, "backoff": backoff},
            )
        except (obstore.exceptions.BaseError, ValueError, TypeError, OSError) as exc:
            said = str(exc).partition("\n\nDebug source")[0].strip().rstrip(".")
            raise SinkMisconfigured(
                f"{said}. Check the credentials, config and client_options of the sink."
            ) from exc

    def get(self) -> Any:
        """Return the store. The first call blocks."""
        with self._lock:
            if self._store is None:
                self._store = self.made()
            return self._store

    async def aget(self) -> Any:
        """Return the store, which is created in a thread."""
        return self._store or await asyncio.to_thread(self.get)

    def forget(self) -> None:
        """Drop the store. The next call creates a new one."""
        self._store = None
