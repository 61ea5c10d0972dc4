"""The contract between djust_uploads and a sink.

A **sink** is a configured destination. There is one instance for each alias and process, and all
uploads to that alias share it. A **writer** writes one file into the sink. This is a small sink,
which stores files in a folder. It has no checkpoints and no sweep::

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
                await self.write(b"")              # For an empty file, write() was never called.
                self.stored = LocalFile(str(self.path), self.upload.safe_client_name, self.offset,
                                        content_type=self.upload.content_type)
            return self.stored

        async def abort(self):
            await asyncio.to_thread(self.path.unlink, missing_ok=True)

What a sink can rely on:

* Before ``open()`` is called, the first bytes of the file have been checked, and
  ``upload.safe_client_name`` is safe in a path, a key or a header.
* The calls to one writer never overlap. Calls to different writers of one sink may.
* ``write()`` gets the bytes of the file in order. ``finish()`` is called when all ``upload.size``
  bytes have been written.
* ``finish()``, ``abort()`` or ``release()`` ends a writer, and ``write()`` is not called after it.
  If one of the three raises an exception, it or another one of them may be called again. After
  ``finish()`` has returned the file, only ``checkpoint()`` and ``release()`` may still be called.
  If the upload fails after all, the file's ``adelete()`` is called.
* ``flush()`` and ``checkpoint()`` are called for resumable uploads only, between other calls. The
  upload may go on after them.
* If another process resumes an upload, the writer in this process is released. It is not finished
  and not aborted. This process may find out late that the upload was resumed, and a process that
  was killed never finds out. A request that it has sent can reach the store at any later time, and
  must not damage the file.
* If ``open()``, ``resume()`` or ``finish()`` raises ``SinkUnavailable``, the call is repeated after
  0.2, 1 and 3 seconds. A ``SinkTimeout``, or an error of ``write()``, ends the upload at once.
* A call is cancelled only when it takes longer than ``SINK_TIMEOUT`` seconds, when ``flush()`` or
  ``checkpoint()`` takes longer than 5 seconds, or when the server ends.

What a sink must do:

* No call may block the event loop.
* A provider's error must be raised as one of :mod:`djust_uploads.exceptions`, for example
  ``raise SinkUnavailable(…) from exc``. Its class decides which sentence the user reads. Any other
  exception ends the upload with the code ``storage_error``.
* An error in one upload must not affect other uploads.

:class:`djust_uploads.testing.SinkContract` tests all of this.
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
    """What a sink may know of an upload.

    The client chooses the names, so only :attr:`key` identifies the upload in a store.
    ``safe_client_name`` may be appended to it.
    """

    #: The slot's name.
    upload_name: str
    #: The last component of the browser's file name, without control characters.
    client_name: str
    #: The client's name in ASCII letters, digits, ``-``, ``_`` and ``.``, at most 100 characters.
    safe_client_name: str
    #: The MIME type that the browser claims, or ``""``.
    client_type: str
    #: The MIME type that the first bytes were found to have.
    content_type: str
    #: The size of the file in bytes. Exactly as many are written before :meth:`SinkWriter.finish`.
    size: int
    #: 32 hexadecimal digits that nobody can guess and that no other upload has. An upload that is
    #: resumed keeps its key.
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    #: How often the upload was taken over from another process. If two processes resume it at the
    #: same time, the one with the lower number has already lost it, even if its call comes later.
    generation: int = 0


class SinkWriter(abc.ABC):
    """Writes one file into a sink.

    Each method may raise a :class:`~djust_uploads.exceptions.SinkError` or a subclass.
    """

    #: How many bytes are durably stored, without a gap, from the file's first byte on. Only these
    #: are acknowledged to the client, so the number must never get smaller.
    offset: int = 0

    #: Whether :meth:`write` also takes a ``memoryview``. It is a view of the message that the
    #: client has sent, so the chunk is not copied.
    takes_views: ClassVar[bool] = False

    @abc.abstractmethod
    async def write(self, chunk: bytes) -> None:
        """Take the next bytes of the file.

        A writer may gather chunks before it stores them. When it has gathered enough, it must wait
        here until the store has taken some. That is what slows the client down. If it raises an
        error, the upload fails.
        """

    @abc.abstractmethod
    async def finish(self) -> SinkFile:
        """Store the remaining bytes, and return the stored file.

        This method may be called again. After an error it must go on where it failed. After a
        success it must return the same file.
        """

    @abc.abstractmethod
    async def abort(self) -> None:
        """Delete everything that the writer has stored.

        This method may be called again, and after any other call that failed or was cancelled. If
        nothing is left to delete, that is no error.
        """

    async def checkpoint(self) -> dict[str, Any] | None:
        """Return what another process needs to go on with the upload, as JSON.

        :meth:`Sink.resume` gets it. The bytes that it tells of must survive the end of this
        process. After :meth:`finish` has returned, it must lead to the finished file. ``None``
        means that no other process can go on.
        """
        return None

    async def flush(self) -> None:  # noqa: B027 (optional)
        """Make as many of the gathered bytes durable as possible.

        It is called before a checkpoint that may be the last one, for example when the server
        stops. An error here does not end the upload. If the upload goes on, the next :meth:`write`
        or :meth:`finish` must try again or raise an error.
        """

    async def release(self) -> None:  # noqa: B027 (optional)
        """Free what the writer holds, because another process goes on with the upload.

        Cancel the writer's tasks and free its memory. Change nothing in the store, and do not wait
        for it. This method may be called again.
        """


class Sink(abc.ABC):
    """A configured destination for files.

    ``__init__`` takes the ``OPTIONS`` from ``DJUST_UPLOADS["SINKS"]``. It must not do any I/O, and
    raises ``ValueError`` for an option that it does not accept.
    """

    #: Whether a file stays in the store when the application has consumed it. A file that was never
    #: consumed is always deleted.
    keeps_files: bool = False

    @abc.abstractmethod
    async def open(self, upload: UploadInfo) -> SinkWriter:
        """Begin a new file, and return its writer.

        Raises a :class:`~djust_uploads.exceptions.SinkError` if the file cannot be begun. Nothing
        may be left in the store then.
        """

    async def resume(self, upload: UploadInfo, checkpoint: dict[str, Any]) -> SinkWriter:
        """Return a writer that goes on from a checkpoint.

        ``checkpoint`` is what :meth:`SinkWriter.checkpoint` returned. ``upload`` has the same
        values as in :meth:`open`, except for a higher ``generation``.

        The writer's ``offset`` says from which byte on the client sends. It is the number of bytes
        that the store really has, without a gap. That is never less than at the checkpoint, and may
        be more if bytes arrived after it.

        The file may have been finished already, before or after the checkpoint. Then ``offset`` is
        the file's size, and :meth:`SinkWriter.finish` returns the stored file. In this way the
        application gets a file that was finished long ago and never consumed.

        Raises :class:`~djust_uploads.exceptions.NotResumable` if the bytes are gone, if another
        process has resumed the upload with a higher ``generation``, and for a checkpoint of another
        sink. If it raises any error, it must leave the upload as it was.
        """
        raise NotResumable(f"{type(self).__name__} has no checkpoints")

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        """Delete what crashed processes have left in the store, and return the names.

        That is what is unfinished, or finished and not consumed, and at least ``older_than`` old.
        With ``dry_run``, nothing is deleted. ``manage.py sweep_uploads`` calls this method.
        """
        return []

    def check(self) -> Sequence[CheckMessage]:
        """Return messages for ``manage.py check`` about options that cannot work.

        This method must not use the network.
        """
        return []

    def check_store(self) -> Sequence[CheckMessage]:
        """Return messages for ``manage.py check --deploy`` if the store cannot be used.

        This method may block.
        """
        return []

    async def aclose(self) -> None:  # noqa: B027 (optional)
        """Close the connections to the store. The sink opens new ones when it is used again."""
