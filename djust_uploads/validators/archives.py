"""``ArchiveValidator``: refuses archives that are dangerous to unpack."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from ..exceptions import UnsafeArchive
from ..slots.entry import UploadEntry
from ..slots.validators import Validator

if TYPE_CHECKING:
    from ..files import SinkFile

_READ_SIZE = 256 * 1024

#: The most bytes of memory that the dictionary of an ``.xz`` file may need.
_XZ_MEMORY = 128 * 1024 * 1024

_DRIVE = re.compile(r"[A-Za-z]:")


class ArchiveValidator(Validator):
    """Refuses ZIP and tar archives that are dangerous to unpack.

    =================  =========================================================================
    ``max_size``       bytes of all members together when they are unpacked
    ``max_files``      members
    ``max_ratio``      how many times larger than the archive its members may be
    =================  =========================================================================

    Every member is unpacked, and its bytes are counted and dropped, because an archive may declare
    wrong sizes.
    This happens in a thread when the file is stored, and takes as long as unpacking it. Names that
    lead out of the folder, links, devices, encrypted members and members that share their bytes are
    refused too. An archive within the archive is a member like others, and is not unpacked.

    A file that is not an archive passes. Use ``accept`` to refuse other types. Raises
    :class:`~djust_uploads.exceptions.UnsafeArchive`.
    """

    def __init__(
        self, *, max_size: int = 1_000_000_000, max_files: int = 10_000, max_ratio: float = 100.0
    ) -> None:
        self._max_size = max_size
        self._max_files = max_files
        self._max_ratio = max_ratio

    def check_file(self, entry: UploadEntry, file: SinkFile) -> None:
        """Judge the stored archive."""
        try:
            members = self._members(entry, file)
            left = min(self._max_size, int(self._max_ratio * max(entry.client_size, 1)))
            for number, (name, content) in enumerate(members):
                if number >= self._max_files:
                    raise UnsafeArchive(f"{entry!r} has more than {self._max_files} members")
                _check_name(name)
                left -= _drain(content, left)
        except (OSError, EOFError, ValueError, NotImplementedError, lzma.LZMAError) as exc:
            raise UnsafeArchive(f"{entry!r} can't be unpacked: {exc!r}") from exc
        except (zipfile.BadZipFile, tarfile.TarError, RuntimeError) as exc:
            # zipfile raises RuntimeError for an encrypted member.
            raise UnsafeArchive(f"{entry!r} can't be unpacked: {exc!r}") from exc

    def _members(
        self, entry: UploadEntry, file: SinkFile
    ) -> Iterator[tuple[str, IO[bytes] | None]]:
        # A ZIP archive that was cut off has no directory at its end, but it has its first header.
        is_zip = file.read(4) == b"PK\x03\x04" or zipfile.is_zipfile(file)
        file.seek(0)
        if is_zip:
            return _zip_members(file)
        plain = _decompressed(file)
        if _is_tar(plain):
            limit = min(self._max_size, int(self._max_ratio * max(entry.client_size, 1)))
            return _tar_members(io.BufferedReader(_Counted(plain, limit), _READ_SIZE))
        return iter(())


def _zip_members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(file) as archive:
        end = 0
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise UnsafeArchive(f"member {info.filename!r:.80} shares its bytes with another")
            end = info.header_offset + info.compress_size
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UnsafeArchive(f"member {info.filename!r:.80} is a link")
            with archive.open(info) as content:
                yield info.filename, content


def _tar_members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for info in archive:
            if not (info.isfile() or info.isdir()):
                raise UnsafeArchive(f"member {info.name!r:.80} is a link or a device")
            yield info.name, archive.extractfile(info) if info.isfile() else None


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """Return the content of a file that is compressed as a whole, or else the file."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic == b"\xfd7zXZ\0":
        _check_xz(file)
        return lzma.LZMAFile(file)
    return file


def _check_xz(file: IO[bytes]) -> None:
    """Refuse a file whose dictionary would fill the memory."""
    try:
        lzma.LZMADecompressor(memlimit=_XZ_MEMORY).decompress(file.read(_READ_SIZE), max_length=1)
    except lzma.LZMAError as exc:
        raise UnsafeArchive(f"xz that can't be unpacked: {exc}") from exc
    file.seek(0)


def _is_tar(file: IO[bytes]) -> bool:
    """Return whether a file is a tar archive, and go back to its first byte."""
    header = file.read(512)
    file.seek(0)
    with contextlib.suppress(tarfile.TarError):
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        return True
    return False


def _check_name(name: str) -> None:
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts or "\0" in name:
        raise UnsafeArchive(f"member {name!r:.80} leads out of the folder")


def _drain(content: IO[bytes] | None, limit: int) -> int:
    """Read a member to its end, and return its size in bytes."""
    size = 0
    while content and (block := content.read(_READ_SIZE)):
        size += len(block)
        if size > limit:
            raise UnsafeArchive("its members are too large")
    return size


class _Counted(io.RawIOBase):
    """A stream that refuses to give more than ``limit`` bytes: headers and padding count too."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        # What surrounds small members is not counted against them.
        self._left = limit + 64 * 1024 * 1024

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        block = self._stream.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise UnsafeArchive("its members are too large")
        buffer[: len(block)] = block
        return len(block)
