"""A progress bar on a terminal."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TextIO

#: Seconds between two drawings.
INTERVAL = 0.1

UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Bar:
    """``film.mp4  43 % [#####      ] 12.3 of 28.6 MB, 5.1 MB/s, 0:03 left``

    It is drawn where the output is a terminal. Elsewhere, for example in a log, there are notes
    only.
    """

    def __init__(self, output: TextIO, path: str, *, visible: bool = True) -> None:
        self._output = output
        self._name = Path(path).name
        self._visible = visible and output.isatty()
        self._drawn_at = 0.0
        self._drawn = False
        self._began: tuple[float, int] | None = None

    def move(self, sent: int, size: int) -> None:
        """Show that ``sent`` of ``size`` bytes are sent."""
        now = time.monotonic()
        if self._began is None or sent < self._began[1]:
            self._began = now, sent
        if self._visible and (now - self._drawn_at >= INTERVAL or sent == size):
            self._drawn_at = now
            self._draw(sent, size, now)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._clear()
        self._output.write(f"{text}\n")
        self._output.flush()

    def finish(self) -> None:
        """Leave the bar as it is, and go to the next line."""
        if self._drawn:
            self._output.write("\n")
            self._drawn = False

    def _draw(self, sent: int, size: int, now: float) -> None:
        share = sent / size if size else 1.0
        text = f"{human(sent)} of {human(size)}{self._speed(sent, size, now)}"
        head = f"{self._name}  {share:4.0%} "
        room = shutil.get_terminal_size().columns - len(head) - len(text) - 4
        line = f"{head}{_drawing(share, room)}{text}"
        self._output.write(f"\r{line}\x1b[K")
        self._output.flush()
        self._drawn = True

    def _speed(self, sent: int, size: int, now: float) -> str:
        began, first = self._began or (now, sent)
        rate = (sent - first) / max(now - began, 0.001)
        # Of less than a second there is nothing to tell yet.
        if now - began < 1 or not rate:
            return ""
        minutes, seconds = divmod(round((size - sent) / rate), 60)
        left = f", {minutes}:{seconds:02} left" if sent < size else ""
        return f", {human(rate)}/s{left}"

    def _clear(self) -> None:
        if self._drawn:
            self._output.write("\r\x1b[K")
            self._drawn = False


def _drawing(share: float, room: int) -> str:
    room = min(room, 40)
    return f"[{'#' * round(share * room):<{room}}] " if room >= 10 else ""


def human(size: float) -> str:
    """Return the size in words: ``12.3 MB``."""
    power = 0
    while size >= 1000 and power < len(UNITS) - 1:
        size /= 1000
        power += 1
    return f"{size:.1f} {UNITS[power]}" if power else f"{size:.0f} {UNITS[0]}"
