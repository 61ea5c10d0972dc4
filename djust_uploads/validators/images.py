"""``ImageValidator``: refuses images that are damaged or too large when they are decoded."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..exceptions import ContentMismatch, ImageTooLarge
from ..slots.entry import UploadEntry
from ..slots.validators import Validator

if TYPE_CHECKING:
    from ..files import SinkFile


class _Unreadable(Exception):
    """Pillow can't open the image. Its ``__cause__`` says why."""


class ImageValidator(Validator):
    """Refuses images that are damaged, or that take too much memory to decode.

    =================  =========================================================================
    ``max_width``      pixels
    ``max_height``     pixels
    ``max_pixels``     width times height times frames. An image of a few kilobytes may have a
                       billion: a decompression bomb
    ``formats``        formats of Pillow that are accepted, such as ``["JPEG", "PNG"]``; ``None``
                       accepts all
    =================  =========================================================================

    Pillow reads the sizes in the first bytes, so that no byte of an image that is too large is
    stored. The stored file is judged as a whole, without decoding its pixels. Raises
    :class:`~djust_uploads.exceptions.ImageTooLarge` and
    :class:`~djust_uploads.exceptions.ContentMismatch`. It needs ``pip install pillow``.
    """

    def __init__(
        self,
        *,
        max_width: int | None = None,
        max_height: int | None = None,
        max_pixels: int = 50_000_000,
        formats: Collection[str] | None = None,
    ) -> None:
        # A missing package is noticed where the validator is declared, and not by the first user.
        import PIL.Image  # noqa: F401

        self._max_width = max_width
        self._max_height = max_height
        self._max_pixels = max_pixels
        self._formats = list(formats) if formats is not None else None

    def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Refuse an image whose first bytes say that it is too large, before the sink opens."""
        with contextlib.suppress(_Unreadable), self._opened(entry, io.BytesIO(head)) as image:
            # How many frames there are, only the whole file tells.
            self._check_size(entry, image.width, image.height)

    def check_file(self, entry: UploadEntry, file: SinkFile) -> None:
        """Judge the stored image."""
        try:
            with self._opened(entry, file) as image:
                self._check_size(entry, image.width, image.height, getattr(image, "n_frames", 1))
                image.verify()
        except _Unreadable as exc:
            raise ContentMismatch(
                f"{entry!r}: {exc.__cause__!r}",
                message=_("The image is damaged, or of a type not accepted here."),
            ) from exc.__cause__

    @contextlib.contextmanager
    def _opened(self, entry: UploadEntry, file: Any) -> Iterator[Any]:
        """Open an image for the block, and translate what Pillow raises there."""
        from PIL import Image

        try:
            with warnings.catch_warnings():
                # Our own limit counts. Pillow warns above its limit and raises above twice of that.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(file, formats=self._formats) as image:
                    yield image
        except Image.DecompressionBombError as exc:
            raise ImageTooLarge(f"{entry!r}: {exc}") from exc
        except ImageTooLarge:
            raise
        # Pillow's decoders raise nearly anything for a damaged file.
        except Exception as exc:
            raise _Unreadable from exc

    def _check_size(self, entry: UploadEntry, width: int, height: int, frames: int = 1) -> None:
        if width > (self._max_width or width) or height > (self._max_height or height):
            limits = f"{self._max_width or 'any'} by {self._max_height or 'any'}"
            raise ImageTooLarge(
                f"{entry!r} has {width} by {height} pixels",
                message=format_lazy(
                    _("The image is too large: at most {limits} pixels are accepted."),
                    limits=limits,
                ),
            )
        if width * height * frames > self._max_pixels:
            raise ImageTooLarge(f"{entry!r} has {width} by {height} pixels, {frames} times")
