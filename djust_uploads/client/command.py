"""The command "upload"."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys

from .bar import Bar
from .errors import ClientError
from .uploading import logger, upload


def run(options: argparse.Namespace) -> int:
    """Upload the file; return the exit status."""
    bar = Bar(sys.stderr, options.file, visible=not options.quiet)
    logger.addHandler(_Notes(bar))
    logger.propagate = False
    try:
        url = asyncio.run(_upload(options, bar))
    except (KeyboardInterrupt, asyncio.CancelledError):
        bar.note("Interrupted. Run the same command again to go on.")
        return 128 + signal.SIGINT
    except (ClientError, OSError) as exc:
        bar.note(getattr(exc, "message", "") or str(exc))
        if isinstance(exc, ClientError) and str(exc) != exc.message:
            bar.note(f"({exc})")
        return 1
    bar.finish()
    print(url)
    return 0


async def _upload(options: argparse.Namespace, bar: Bar) -> str:
    task = asyncio.current_task()
    assert task
    # SIGTERM ends it as Ctrl-C does. Windows has no handlers on the loop.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    uploaded = await upload(
        options.url,
        options.file,
        headers=dict(pair(header, ":") for header in options.header),
        metadata=dict(pair(item, "=") for item in options.metadata),
        progress=bar.move,
        resume=not options.anew,
        checksums=options.checksums,
        chunk_size=options.chunk_size,
    )
    return uploaded.url


def pair(text: str, separator: str) -> tuple[str, str]:
    """Split ``NAME: VALUE``. Raises :class:`SystemExit` with a sentence without separator."""
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise SystemExit(f"{text!r} must be a name, {separator!r} and a value.")
    return name.strip(), value.strip()


class _Notes(logging.Handler):
    """Shows the client's log beside the bar."""

    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        self._bar.note(record.getMessage())
