"""What the sinks for buckets do alike: S3Sink, GCSSink and ObjectStoreSink."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning

from ..exceptions import SinkError
from .base import Sink, UploadInfo
from .keys import UploadTo, object_key
from .options import is_encrypted


class BucketSink(Sink):
    """A sink for one bucket. Consumed files stay there."""

    keeps_files = True
    #: The bucket, with its requests.
    _bucket: Any
    #: A prefix for ``strftime()``, or a callable ``(UploadInfo) -> key``.
    upload_to: UploadTo

    async def _key_of(self, upload: UploadInfo) -> str:
        """Return the key of a new object.

        Raises :class:`SinkMisconfigured` for a callable ``upload_to`` that returns no key.
        """
        # The thread is for an upload_to that is an application's callable.
        return await asyncio.to_thread(object_key, self.upload_to, upload)

    def check_store(self) -> Sequence[CheckMessage]:
        """Return an error unless the bucket is there and lets us in. Blocks."""
        try:
            self._ask_store()
        except SinkError as error:
            return [Error(f"{error}", id="djust_uploads.E006")]
        return []

    @abc.abstractmethod
    def _ask_store(self) -> None:
        """Raise a :class:`SinkError` unless the bucket is there and lets us in. Blocks."""


def unencrypted(where: str, endpoint_url: str | None) -> list[CheckMessage]:
    """Return a warning for ``manage.py check`` if files are sent without TLS."""
    if is_encrypted(endpoint_url):
        return []
    return [
        Warning(
            f"The sink for {where} sends files unencrypted.",
            hint="Use an https:// endpoint_url.",
            id="djust_uploads.W006",
        )
    ]
