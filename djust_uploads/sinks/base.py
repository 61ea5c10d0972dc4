"""The contract of a sink, and its lifecycle.

A **sink** is a configured destination: one per alias and process, shared by all uploads. A
**writer** is one file on its way into it. A whole sink that works, into a folder::

    import asyncio
    from pathlib import Path
    from djust_uploads import LocalFile, Sink, SinkWriter

    class FolderSink(Sink):
        keeps_files = True

        def __init__(self, root):
            self.root = Path(root)

        async def open(self, upload):
            await asyncio.to_thread(self.root.mkdir, parents=True, exist_ok=True)
            return FolderWriter(self.root / f"{upload.key}-{upload.safe_client_name}", upload)

    class FolderWriter(SinkWriter):
        def __init__(self, path, upload):
            self.path, self.upload = path, upload
            self.stored = None

        async def write(self, chunk):
            await asyncio.to_thread(self.append, chunk)
            self.offset += len(chunk)

        def append(self, chunk):
            with self.path.open("ab") as file:
                file.write(chunk)

        async def finish(self):
            if self.stored is None:
                await self.write(b"")                           # an empty file was never written to
                self.stored = LocalFile(str(self.path), self.upload.safe_client_name, self.offset,
                                        content_type=self.upload.content_type)
            return self.stored

        async def abort(self):
            await asyncio.to_thread(self.path.unlink, missing_ok=True)

What a sink can rely on:

* ``open`` once per writer; ``write`` never before it, never after ``finish`` or ``abort``, and
  never twice at once;
* ``finish``, ``abort`` or ``release`` ends a writer. After a ``finish`` that raised, one of the
  three still comes; after one that returned, ``checkpoint`` and ``release`` may;
* ``flush`` and ``checkpoint``, of uploads that are resumable, come between other calls, and the
  upload may go on after them;
* the writer of an upload that was resumed elsewhere is released, and never finished or aborted. It
  may learn that late, and a process that was killed never does: what it has on its way can reach
  the store at any time, and must not spoil the file;
* the first bytes have been looked at and the name made safe before ``open``;
* ``write`` gets the file's bytes in order; ``finish`` only comes when all ``upload.size`` bytes
  were written;
* a call is not cancelled, but when it takes longer than ``SINK_TIMEOUT`` or the process ends.

What is asked of a sink: no call blocks the event loop; a provider's error is raised as one of ours
(``raise SinkUnavailable(…) from exc``) so that the user reads the right sentence; anything else
that is raised ends the upload as ``storage_error``. An error ends its own upload only.
:class:`djust_uploads.testing.SinkContract` proves all of it.
"""

from __future__ import annotations

import abc
import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..exceptions import NotResumable

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from ..files import SinkFile


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """What a sink may know of an upload. Nothing in it but ``key`` may name a thing in a store:
    refs and names are the client's words."""

    upload_name: str
    client_name: str
    safe_client_name: str
    client_type: str
    #: The MIME type that the content was found to have.
    content_type: str
    #: Bytes; the file will have exactly as many.
    size: int
    #: Unguessable and unique, 32 hex digits.
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    #: How often another process has taken the upload over. Of two that resume it at the same time,
    #: the one with the lower number has lost it already, though it may come later.
    generation: int = 0


class SinkWriter(abc.ABC):
    """One file on its way into a sink."""

    #: Bytes durably stored, contiguous from 0. Only these are acknowledged; never goes back.
    offset: int = 0

    #: Whether :meth:`write` also takes a ``memoryview``: of the message as it came, without a copy.
    takes_views: ClassVar[bool] = False

    @abc.abstractmethod
    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. May keep them for a while, and must wait when that is too many."""

    @abc.abstractmethod
    async def finish(self) -> SinkFile:
        """Store what is left and return the file. Idempotent: called again after an error, it goes
        on where it failed; called again after success, it returns the same file."""

    @abc.abstractmethod
    async def abort(self) -> None:
        """Leave nothing behind. Idempotent, also after a call that failed halfway."""

    async def checkpoint(self) -> dict[str, Any] | None:
        """JSON from which :meth:`Sink.resume` goes on in another process; ``None``: it can't. After
        ``finish``, one that leads to the finished file. What it tells of outlives this process."""
        return None

    async def flush(self) -> None:  # noqa: B027 (optional)
        """Make durable what can be: a checkpoint that may be the last one follows. An error in it
        ends no upload; what it means for one that goes on, the next ``write`` or ``finish`` tells.
        """

    async def release(self) -> None:  # noqa: B027 (optional)
        """Let go of the upload: it goes on elsewhere. Stop what runs in the background and free
        memory, but touch nothing in the store, and don't wait for it. Idempotent."""


class Sink(abc.ABC):
    """A configured destination. Its ``__init__`` takes the ``OPTIONS``, and must not do I/O."""

    #: Whether a consumed file stays in the store. One that was never consumed is always deleted.
    keeps_files: bool = False

    @abc.abstractmethod
    async def open(self, upload: UploadInfo) -> SinkWriter:
        """Begin to write a file. If it raises, it leaves nothing behind."""

    async def resume(self, upload: UploadInfo, checkpoint: dict[str, Any]) -> SinkWriter:
        """Go on from a :meth:`SinkWriter.checkpoint`, as :meth:`open` begins; the writer's
        ``offset`` says from where: what the store really has, contiguous from 0, and so never less
        than at the checkpoint, but more where bytes arrived after it. ``upload`` has the same
        values as then, but for ``generation``. If it raises, it leaves the upload as it was.

        A file that was finished meanwhile, by a process that ended before it could say so or
        before the checkpoint, is no error: the ``offset`` is then the size, and
        :meth:`SinkWriter.finish` returns the stored file. In this way a file comes back that was
        finished long ago and not consumed.

        Raises :class:`~djust_uploads.exceptions.NotResumable` if the bytes are gone, and for a
        checkpoint that isn't this sink's.
        """
        raise NotResumable(f"{type(self).__name__} has no checkpoints")

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete what crashed processes left unfinished or unconsumed at least ``older_than`` ago,
        and return its names in the store. With ``dry_run``, only return them."""
        return []

    def check(self) -> Sequence[CheckMessage]:
        """Messages for ``manage.py check``: options that can't work. No network."""
        return []

    def check_store(self) -> Sequence[CheckMessage]:
        """Messages for ``manage.py check --deploy``: whether the store lets us in. May block."""
        return []

    async def aclose(self) -> None:  # noqa: B027 (optional)
        """Close connections; the sink opens new ones when it is used again."""
