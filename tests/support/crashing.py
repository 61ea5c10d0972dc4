"""Sinks whose process is killed at a point that a test chooses: ``tests.support.crashing.S3Sink``,
… are the package's sinks of those names until the file ``die`` beside the uploads names a point."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path
from typing import Any

import djust_uploads

BEFORE_FINISH = "before finish"
AFTER_FINISH = "after finish"


def die_at(uploads: Path, point: str) -> None:
    """The first server that gets to ``point`` and has its uploads there dies of it."""
    (uploads.parent / "die").write_text(point)


def _die_if_told(point: str) -> None:
    told = Path(os.environ["UPLOAD_DIRECTORY"]).parent / "die"
    if told.exists() and told.read_text() == point:
        told.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _mortal(writer: Any) -> Any:
    finish = writer.finish

    async def finish_or_die() -> Any:
        _die_if_told(BEFORE_FINISH)
        file = await finish()
        _die_if_told(AFTER_FINISH)
        return file

    writer.finish = finish_or_die
    return writer


@functools.cache
def __getattr__(name: str) -> type[djust_uploads.Sink]:
    if not name.endswith("Sink"):
        raise AttributeError(name)
    sink: type[djust_uploads.Sink] = getattr(djust_uploads, name)

    async def open(self: Any, *args: Any) -> Any:
        return _mortal(await sink.open(self, *args))

    async def resume(self: Any, *args: Any) -> Any:
        return _mortal(await sink.resume(self, *args))

    # ABCMeta, so not type(…).
    mortal: type[djust_uploads.Sink] = type(sink)(name, (sink,), {"open": open, "resume": resume})
    return mortal
