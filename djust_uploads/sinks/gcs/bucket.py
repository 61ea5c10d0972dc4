"""One bucket: its threads, its requests, and the description of its objects."""

from __future__ import annotations

import asyncio
import datetime
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from ...exceptions import SinkUnavailable
from ..base import UploadInfo
from ..keys import OWNER, public_url
from ..options import disposition_of
from ..sending import Sending
from .api import Api
from .client import Client
from .errors import translated

P = ParamSpec("P")
T = TypeVar("T")

#: The most times that a request is sent. In between, there are random pauses of up to 1, 2, 4 and 8
#: times ``PAUSE`` seconds:
#: https://cloud.google.com/storage/docs/retry-strategy#exponential-backoff
ATTEMPTS = 5
PAUSE = 1.0

#: The custom metadata of an object that nobody has consumed yet.
UNCONSUMED = "djust-upload-unconsumed"

#: The custom time of an object that was consumed. A custom time cannot be removed. It can only be
#: replaced by a later one, and no lifecycle rule applies before this one:
#: https://cloud.google.com/storage/docs/metadata#custom-time
NEVER = "9999-12-31T00:00:00Z"


@dataclass(frozen=True)
class BucketOptions:
    """The options of a GCSSink that its writers and files need."""

    #: Bytes of a request.
    chunk_size: int
    #: How many requests may run at once.
    threads: int
    kms_key_name: str | None = None
    predefined_acl: str | None = None
    if_generation_match: int | None = 0
    cache_control: str | None = None
    #: Custom metadata of every object.
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_disposition: str | None = None
    #: Seconds for which a signed URL is valid.
    url_expires: int = 3600
    custom_domain: str | None = None
    #: Whether objects are marked until they are consumed.
    mark_unconsumed: bool = True
    #: Whether objects have a custom time until they are consumed.
    custom_time: bool = False


class Bucket:
    """A bucket of Google Cloud Storage. ``api`` has its requests, which block."""

    def __init__(self, name: str, client: Client, options: BucketOptions) -> None:
        self.name = name
        self.options = options
        self.where: str = f"bucket {name!r}"
        self.api: Api = Api(name, self.where, client.connect)
        self.sending: Sending = Sending()
        self._client = client
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    async def aclose(self) -> None:
        """Cancel the tasks that send, wait for the requests, and close the connections."""
        await self.sending.aclose()
        with self._lock:
            executor, self._executor = self._executor, None
        if executor:
            # This waits for the requests that are running.
            await asyncio.to_thread(executor.shutdown)
        await asyncio.to_thread(self._client.close)

    # Requests

    def base_url(self) -> str:
        """Return the base URL of the store. The first call blocks, as it looks for credentials."""
        return self._client.base_url()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``function`` in a thread of this bucket."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.options.threads, "djust-uploads-gcs")
            return self._executor.submit(function, *args, **kwargs)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread, and return what it returns.

        While it raises :class:`SinkUnavailable`, it is called again, at most ``ATTEMPTS`` times in
        all. So it must be a function that may be repeated.
        """
        failures = 0
        while True:
            try:
                return await asyncio.wrap_future(self.submit(function, *args, **kwargs))
            except SinkUnavailable:
                failures += 1
                if not await self.pause_after(failures):
                    raise

    async def pause_after(self, failures: int) -> bool:
        """Wait before a request is repeated. Return whether it should be repeated at all."""
        if failures >= ATTEMPTS:
            return False
        await asyncio.sleep(random.uniform(0, PAUSE * 2 ** (failures - 1)))
        return True

    # Objects

    def resource(self, upload: UploadInfo, owner: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the description of a new object, and the parameters of its session.

        ``owner`` is stored with the object, so that the upload recognises it.
        """
        options = self.options
        resource: dict[str, Any] = {
            "contentType": upload.content_type or "application/octet-stream",
            "metadata": {**options.metadata, OWNER: owner},
        }
        if options.mark_unconsumed:
            resource["metadata"][UNCONSUMED] = "true"
        if options.custom_time:
            now = datetime.datetime.now(datetime.UTC)
            resource["customTime"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        if options.cache_control:
            resource["cacheControl"] = options.cache_control
        if options.content_disposition:
            disposition = disposition_of(options.content_disposition, upload)
            resource["contentDisposition"] = disposition
        params = {
            "kmsKeyName": options.kms_key_name,
            "predefinedAcl": options.predefined_acl,
            "ifGenerationMatch": options.if_generation_match,
        }
        return resource, params

    async def keep(self, key: str, generation: str) -> None:
        """Remove an object's mark, because the application has consumed the object."""
        # ``None`` removes a key of the metadata and leaves the others:
        # https://cloud.google.com/storage/docs/json_api/v1/how-tos/performance#patch
        marked = self.options.mark_unconsumed
        kept: dict[str, Any] = {"metadata": {UNCONSUMED: None}} if marked else {}
        if self.options.custom_time:
            kept["customTime"] = NEVER
        if kept:
            await self.call(self.api.patch, key, generation, kept)

    def url(self, key: str) -> str:
        """Return the URL of an object.

        It is signed, unless there is a ``custom_domain`` or everybody may read the object.
        """
        if self.options.custom_domain:
            return public_url(self.options.custom_domain, key)
        if self.options.predefined_acl == "publicRead":
            return f"{self._client.base_url()}/{self.name}/{quote(key)}"
        with translated(self.where, "signing a URL"):
            return self._client.signed_url(self.name, key, self.options.url_expires)
