"""The clients of the AWS SDK. No other module imports aioboto3 or boto3."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...exceptions import InvalidSink

try:
    import aioboto3
    import aiobotocore.session
    import boto3
    import botocore.session
    from aiobotocore.config import AioConfig
except ImportError as _exc:
    raise InvalidSink(f"S3Sink needs aioboto3: pip install 'djust-uploads[s3]' ({_exc})") from _exc

#: The most times that a request is sent. The SDK waits up to 1, 2, 4 and 8 seconds in between:
#: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html ("standard")
ATTEMPTS = 5


class Clients:
    """Creates the SDK's clients when they are first used.

    There is one client for threads and one for each event loop. A loop's client is closed when the
    loop ends.
    """

    def __init__(
        self, credentials: Mapping[str, str | None], endpoint_url: str | None, config: AioConfig
    ) -> None:
        self._credentials = credentials
        self._options = {"endpoint_url": endpoint_url, "config": config}
        self._lock = threading.Lock()
        self._sdk: botocore.session.Session | None = None
        self._blocking: Any = None
        self._of_loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}

    def blocking(self) -> Any:
        """Return the client for threads. The first call reads the SDK's files, so it blocks."""
        with self._lock:
            if self._blocking is None:
                self._sdk = botocore.session.get_session()
                session = boto3.session.Session(botocore_session=self._sdk, **self._credentials)
                self._blocking = session.client("s3", **self._options)
                # This reads the files that a paginator needs, here in a thread instead of on an
                # event loop later.
                self._blocking.can_paginate("list_parts")
            return self._blocking

    async def get(self) -> Any:
        """Return the client for the running event loop."""
        loop = asyncio.get_running_loop()
        ours = self._of_loops.setdefault(loop, _OfLoop())
        async with ours.lock:
            if ours.client is None:
                # After this, the SDK's files are in memory. To create a client on the event loop
                # then takes about 10 ms, once.
                await asyncio.to_thread(self.blocking)
                ours.life = self._live(loop)
                ours.client = await anext(ours.life)
            return ours.client

    async def _live(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[Any, None]:
        """Open a client, yield it, and close it.

        When an event loop ends, it closes its generators (``shutdown_asyncgens()``). This generator
        closes the client then.
        """
        assert self._sdk
        session = aiobotocore.session.get_session()
        session.register_component("data_loader", self._sdk.get_component("data_loader"))
        sdk = aioboto3.Session(botocore_session=session, **self._credentials)
        try:
            async with sdk.client("s3", **self._options) as client:
                client.meta.events.register("before-sign.s3.UploadPart", _without_expect)
                yield client
        finally:
            self._of_loops.pop(loop, None)

    async def aclose(self) -> None:
        """Close the client of the running event loop, and the connections of the one for threads.

        The next call opens new ones.
        """
        ours = self._of_loops.pop(asyncio.get_running_loop(), None)
        if ours and ours.life:
            await ours.life.aclose()
        if self._blocking:
            await asyncio.to_thread(self._blocking.close)


class _OfLoop:
    """The client of one event loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.client: Any = None
        self.life: AsyncGenerator[Any, None] | None = None


def _without_expect(request: Any, **kwargs: Any) -> None:
    """Remove the header ``Expect``, so that a part is sent without asking the store first.

    The question would cost a round trip for each part. The bucket and the credentials are known to
    be right, because CreateMultipartUpload has succeeded.
    """
    del request.headers["Expect"]


def config(addressing_style: str, max_concurrency: int) -> AioConfig:
    """Return the SDK's configuration."""
    return AioConfig(
        signature_version="s3v4",
        connect_timeout=10,
        read_timeout=60,
        # This suffices for a few uploads at once. More uploads wait for each other's connections.
        max_pool_connections=max(64, 8 * max_concurrency),
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # We send the checksum in a header. Otherwise the SDK sends it as a trailer of a chunked
        # body, which several stores refuse with 411.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Without payload_signing_enabled=False, the SDK would hash each body with SHA-256 too.
        s3={"payload_signing_enabled": False, "addressing_style": addressing_style},
    )
