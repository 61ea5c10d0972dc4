"""Uploads as objects in a Google Cloud Storage bucket. The only importer of google.cloud.

The sink, its options and its threads are here; ``gcs_writer`` has one file on its way into it,
``gcs_api`` the requests, ``gcs_file`` the stored object, ``gcs_errors`` what can go wrong.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import quote

from django.core.checks import CheckMessage, Error

from ...exceptions import InvalidSink, NotResumable, SinkError, SinkMisconfigured, SinkUnavailable
from ..base import Sink, UploadInfo
from ..keys import OWNER, UploadTo, check_upload_to, literal_prefix, object_key, public_url
from ..options import DISPOSITIONS, MAX_URL_EXPIRES, disposition_of, refuse_wrong
from ..parts import MIB

try:
    import google_crc32c  # noqa: F401 (its absence is said here)
    import requests.adapters
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud import storage
    from google.oauth2 import service_account
except ImportError as exc:
    raise InvalidSink(
        f"GCSSink needs google-cloud-storage: pip install 'djust-uploads[gcs]' ({exc})"
    ) from exc

from .api import GRANULE, Api
from .errors import translated
from .writer import GCSWriter

P = ParamSpec("P")
T = TypeVar("T")

#: https://cloud.google.com/storage/docs/access-control/lists#predefined-acl
ACLS = (
    *("authenticatedRead", "bucketOwnerFullControl", "bucketOwnerRead", "private"),
    *("projectPrivate", "publicRead", None),
)

#: How often a request is sent, with a random pause of up to 1, 2, 4 and 8 times ``PAUSE`` seconds
#: before it is repeated: https://cloud.google.com/storage/docs/retry-strategy#exponential-backoff
ATTEMPTS = 5
PAUSE = 1.0

#: Custom metadata of an object that nobody consumed yet.
UNCONSUMED = "djust-upload-unconsumed"

#: A custom time can't be taken away and only be moved on, so what was consumed gets one that no
#: rule reaches: https://cloud.google.com/storage/docs/metadata#custom-time
NEVER = "9999-12-31T00:00:00Z"

PERMISSIONS = {"create", "delete", "get", "list", "update"}


class GCSSink(Sink):
    """Streams each upload into ``bucket``, and keeps it there when it was consumed.

    =======================  ===================================================================
    ``upload_to``            a prefix for ``strftime()``, or a callable ``(UploadInfo) -> key``
    ``project``              of the client; uploads need none
    ``credentials``          the path of a service account's JSON key, or a ``Credentials``;
                             default is what the SDK finds
    ``chunk_size``           bytes of a request, a multiple of 256 KiB
    ``kms_key_name``         ``"projects/…/cryptoKeys/…"``
    ``predefined_acl``       ``"publicRead"``, ``"private"``, …
    ``cache_control``        and ``metadata`` (strings): for every object
    ``content_disposition``  ``"attachment"`` or ``"inline"``, with the client's file name
    ``if_generation_match``  0: never overwrite; ``None``: the bucket decides
    ``url_expires``          seconds that a signed ``file.url`` is good for
    ``custom_domain``        a public host; ``file.url`` is then unsigned
    ``mark_unconsumed``      whether objects are marked until they are consumed
    ``custom_time``          whether they also have a custom time, for a lifecycle rule
    ``api_endpoint``         ``"https://…"`` of a private endpoint or an emulator
    ``threads``              how many requests may be on their way at once
    =======================  ===================================================================

    Raises ``ValueError`` for an option that can't be.
    """

    keeps_files = True

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
        texts = all(isinstance(text, str) for pair in metadata.items() for text in pair)
        granules = chunk_size >= GRANULE and chunk_size % GRANULE == 0
        endpoint = (api_endpoint or "https://").startswith(("https://", "http://"))
        expires = 0 < url_expires <= MAX_URL_EXPIRES
        refuse_wrong(
            ("bucket", bucket, bucket and "/" not in bucket, "a bucket's name"),
            ("chunk_size", chunk_size, granules, "a multiple of 256 KiB"),
            ("predefined_acl", predefined_acl, predefined_acl in ACLS, f"in {ACLS}"),
            ("metadata", metadata, texts, "a dict of strings"),
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
        self.bucket = bucket
        self.upload_to = upload_to
        self.chunk_size = chunk_size
        self._params = {
            "kmsKeyName": kms_key_name,
            "predefinedAcl": predefined_acl,
            "ifGenerationMatch": if_generation_match,
        }
        self._cache_control = cache_control
        self._metadata = metadata
        self._content_disposition = disposition
        self._url_expires = url_expires
        self._custom_domain = custom_domain
        self._marks = mark_unconsumed
        self._custom_time = custom_time
        self._threads = threads
        self._where = f"bucket {bucket!r}"
        self._client = _Client(project, credentials, api_endpoint, threads)
        self.api = Api(bucket, self._where, self._client.connect)
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._sending: set[asyncio.Task[None]] = set()

    # The contract

    async def open(self, upload: UploadInfo) -> GCSWriter:
        # Nothing is sent before there are bytes that passed the validators. The thread is for an
        # application's callable.
        key = await asyncio.to_thread(object_key, self.upload_to, upload)
        return GCSWriter(self, upload, key)

    async def resume(self, upload: UploadInfo, checkpoint: Mapping[str, Any]) -> GCSWriter:
        """Go on from :meth:`GCSWriter.checkpoint`, with its session, or with the object if it is
        there. Raises :class:`NotResumable` if neither is, and for a checkpoint that is not ours."""
        try:
            writer = GCSWriter(self, upload, checkpoint["key"], checkpoint)
            await writer.restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise NotResumable(f"no checkpoint of GCSSink: {type(exc).__name__}") from exc
        return writer

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete objects that are still marked as unconsumed and were stored longer than
        ``older_than`` ago; return their keys. With ``dry_run``, only the keys.

        Looks below the literal part of ``upload_to``. Sessions need no sweep: they end after a
        week, https://cloud.google.com/storage/docs/resumable-uploads#session-uris.
        """
        before = datetime.datetime.now(datetime.UTC) - older_than
        prefix, token, swept = literal_prefix(self.upload_to) or "", None, []
        while True:
            page, token = await self.call(self.api.page, prefix, token)
            for stored in filter(partial(_is_stale, before), page):
                swept.append(stored["name"])
                if not dry_run:
                    # Not if it is consumed right now.
                    seen = str(stored["generation"]), str(stored["metageneration"])
                    await self.call(self.api.delete, stored["name"], *seen)
            if not token:
                return swept

    def check_store(self) -> Sequence[CheckMessage]:
        """Whether the bucket is there and lets us in: ``manage.py check --deploy``. Blocking."""
        names = PERMISSIONS if self._marks or self._custom_time else PERMISSIONS - {"update"}
        wanted = sorted(f"storage.objects.{name}" for name in names)
        try:
            missing = sorted(set(wanted) - self.api.permissions(wanted))
            if missing:
                raise SinkMisconfigured(f"credentials lack {', '.join(missing)} in {self._where}")
        except SinkError as error:
            return [Error(f"{error}", id="djust_uploads.E006")]
        return []

    async def aclose(self) -> None:
        loop = asyncio.get_running_loop()
        sending = [task for task in self._sending if task.get_loop() is loop]
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        with self._lock:
            executor, self._executor = self._executor, None
        if executor:
            # What is on its way is waited for.
            await asyncio.to_thread(executor.shutdown)
        await asyncio.to_thread(self._client.close)

    # What the writer and the file ask for

    def start(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that :meth:`aclose` ends."""
        task = asyncio.create_task(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``function`` in a thread of this sink."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._threads, "djust-uploads-gcs")
            return self._executor.submit(function, *args, **kwargs)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function``, which may be repeated, in a thread of this sink, and again while the
        store doesn't answer."""
        failures = 0
        while True:
            try:
                return await asyncio.wrap_future(self.submit(function, *args, **kwargs))
            except SinkUnavailable:
                failures += 1
                if not await self.pause_after(failures):
                    raise

    async def pause_after(self, failures: int) -> bool:
        """Wait, and say whether to try again."""
        if failures >= ATTEMPTS:
            return False
        await asyncio.sleep(random.uniform(0, PAUSE * 2 ** (failures - 1)))
        return True

    def resource(self, upload: UploadInfo, owner: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the store is told of a new object, and the parameters of its session."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        resource: dict[str, Any] = {
            "contentType": upload.content_type or "application/octet-stream",
            "metadata": {**self._metadata, OWNER: owner},
        }
        if self._marks:
            resource["metadata"][UNCONSUMED] = "true"
        if self._custom_time:
            resource["customTime"] = now
        if self._cache_control:
            resource["cacheControl"] = self._cache_control
        if self._content_disposition:
            resource["contentDisposition"] = disposition_of(self._content_disposition, upload)
        return resource, self._params

    async def keep(self, key: str, generation: str) -> None:
        """Take away the mark of what nobody consumed."""
        # ``None`` takes a key away, and leaves the others:
        # https://cloud.google.com/storage/docs/json_api/v1/how-tos/performance#patch
        kept: dict[str, Any] = {"metadata": {UNCONSUMED: None}} if self._marks else {}
        if self._custom_time:
            kept["customTime"] = NEVER
        if kept:
            await self.call(self.api.patch, key, generation, kept)

    def url(self, key: str) -> str:
        if self._custom_domain:
            return public_url(self._custom_domain, key)
        if self._params["predefinedAcl"] == "publicRead":
            return f"{self._client.base_url()}/{self.bucket}/{quote(key)}"
        with translated(self._where, "signing a URL"):
            return self._client.signed_url(self.bucket, key, self._url_expires)


def _is_stale(before: datetime.datetime, stored: Mapping[str, Any]) -> bool:
    created = datetime.datetime.fromisoformat(stored["timeCreated"])
    return bool(stored.get("metadata", {}).get(UNCONSUMED)) and created < before


class _Client:
    """The SDK's client, made when it is first used. It is for all threads."""

    def __init__(
        self, project: str | None, credentials: Any, api_endpoint: str | None, threads: int
    ) -> None:
        self._project = project
        self._credentials = credentials
        self._api_endpoint = api_endpoint
        self._threads = threads
        self._lock = threading.Lock()
        self._client: Any = None

    def get(self) -> Any:
        """Reads the SDK's files, or asks for credentials, the first time. Raises
        :class:`SinkMisconfigured` if there are none."""
        with self._lock:
            if self._client is None:
                try:
                    self._client = self._made()
                except (DefaultCredentialsError, OSError, ValueError) as exc:
                    raise SinkMisconfigured(f"{exc}. Check credentials.") from exc
            return self._client

    def _made(self) -> Any:
        credentials = self._credentials
        if isinstance(credentials, str):
            credentials = service_account.Credentials.from_service_account_file(credentials)
        options = {"api_endpoint": self._api_endpoint} if self._api_endpoint else None
        # Without a project the SDK would look for one, which uploads don't need.
        client = storage.Client(self._project, credentials, client_options=options)
        http = client._http
        if not getattr(http, "is_mtls", False):
            adapter = requests.adapters.HTTPAdapter(pool_maxsize=self._threads + 8)
            http.mount("https://", adapter)
            http.mount("http://", adapter)
        return client

    def connect(self) -> tuple[requests.Session, str]:
        """What signs requests and sends them, and where to."""
        client = self.get()
        return client._http, client._connection.get_api_base_url_for_mtls()

    def base_url(self) -> str:
        base: str = self.get()._connection.get_api_base_url_for_mtls()
        return base

    def signed_url(self, bucket: str, key: str, expires: int) -> str:
        client = self.get()
        try:
            url: str = (
                client.bucket(bucket)
                .blob(key)
                .generate_signed_url(
                    version="v4",
                    expiration=datetime.timedelta(seconds=expires),
                    api_access_endpoint=self.base_url(),
                )
            )
        except AttributeError as exc:
            raise SinkMisconfigured(
                "These credentials can't sign URLs. Check credentials: a service account's key "
                "can; or set custom_domain, or predefined_acl to 'publicRead'."
            ) from exc
        return url

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client:
                client._http.close()
