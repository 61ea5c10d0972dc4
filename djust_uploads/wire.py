"""Parses and serialises the frames and messages of an upload. Nothing here does I/O.

Binary frames go from the browser to the server::

    01 | ref (16 bytes) | index (u32, big-endian) | bytes     a chunk, or several of them
    02 | ref (16 bytes)                                       all chunks are sent
    03 | ref (16 bytes)                                       the upload is cancelled
    04 | ref (16 bytes) | index (u32) | CRC32C (u32) | bytes  chunks with the checksum of the bytes

Everything else is a JSON message with a ``type``. A ref is a UUID that the client has chosen. JSON
messages write it with hyphens. A frame may carry several whole chunks, up to the
``max_frame_size`` that the server has told; its ``index`` is the first chunk's. The frames and the
types are djust's, so that pages with djust's own JavaScript work. We have added keys to the
messages, and the frames with a checksum. Our script sends these if the server has said in the
slot's config that it wants ``checksums``.
"""

from __future__ import annotations

import enum
import functools
import re
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise

from .crc32c import crc32c
from .exceptions import DigestMismatch, InvalidMessage, UploadError

_REF = slice(1, 17)
_INDEX = struct.Struct(">I")
_SHA256 = re.compile("[0-9a-f]{64}")
_CHECKSUM = struct.Struct(">I")
#: Bytes of a chunk's frame before the bytes of the file.
HEADER_SIZE = 21
#: Bytes of a frame with a checksum before the bytes of the file.
CHECKED_HEADER_SIZE = HEADER_SIZE + _CHECKSUM.size
#: Bytes of a frame that has only a type and a ref.
_BARE_SIZE = 17


class FrameType(enum.IntEnum):
    """The first byte of a frame."""

    CHUNK = 1
    COMPLETE = 2
    CANCEL = 3
    CHECKED_CHUNK = 4


#: The frames that have bytes of the file.
CHUNKS = frozenset({FrameType.CHUNK, FrameType.CHECKED_CHUNK})


@dataclass(frozen=True, slots=True)
class Frame:
    """One binary frame.

    Only frames with chunks have ``data``, and an ``index``, which is the first chunk's.
    """

    type: FrameType
    ref: str
    index: int = 0
    data: bytes | memoryview = b""


def is_upload_frame(message: bytes) -> bool:
    """Return whether a binary message is an upload frame.

    djust's other binary messages are MessagePack maps, whose first byte is 0x80 or higher.
    """
    return len(message) >= _BARE_SIZE and 1 <= message[0] <= 4


def parse(message: bytes) -> Frame:
    """Return the frame in a binary message.

    Raises :class:`InvalidMessage` if it is not a frame that :func:`serialize` could return, and
    :class:`DigestMismatch` if the bytes do not have their checksum.
    """
    try:
        frame_type = FrameType(message[0])
        ref = _ref(message[_REF])
    except (ValueError, IndexError):
        raise InvalidMessage(f"not an upload frame: {message[:_BARE_SIZE].hex()}") from None
    if frame_type not in CHUNKS:
        if len(message) != _BARE_SIZE:
            raise InvalidMessage(f"{frame_type.name} frame of {len(message)} bytes")
        return Frame(frame_type, ref)
    checked = frame_type is FrameType.CHECKED_CHUNK
    header_size = CHECKED_HEADER_SIZE if checked else HEADER_SIZE
    if len(message) < header_size:
        raise InvalidMessage(f"chunk frame of {len(message)} bytes")
    (index,) = _INDEX.unpack_from(message, _BARE_SIZE)
    data = memoryview(message)[header_size:]
    if checked:
        _check(data, *_CHECKSUM.unpack_from(message, HEADER_SIZE))
    return Frame(frame_type, ref, index, data)


def _check(data: memoryview, checksum: int) -> None:
    # This takes less than a millisecond for the longest frame, so a thread is not worth its way.
    try:
        found = crc32c(data)
    except ImportError as exc:
        raise InvalidMessage(f"a chunk with a checksum, but: {exc}") from exc
    if found != checksum:
        raise DigestMismatch(f"a chunk has the CRC32C {found:08x}, and not {checksum:08x}")


@functools.lru_cache(4096)
def _ref(raw: bytes) -> str:
    """Return a ref as JSON messages write it. Cached, because each frame of an upload needs it."""
    return str(uuid.UUID(bytes=raw))


def serialize(frame: Frame) -> bytes:
    """Return a frame as a binary message. This is for clients in Python and for tests."""
    bare = bytes([frame.type]) + uuid.UUID(frame.ref).bytes
    if frame.type not in CHUNKS:
        return bare
    checked = frame.type is FrameType.CHECKED_CHUNK
    checksum = _CHECKSUM.pack(crc32c(frame.data)) if checked else b""
    return bare + _INDEX.pack(frame.index) + checksum + frame.data


def ref_of(message: bytes) -> str:
    """Return the ref in a message that :func:`parse` refused, or ``""`` if it is too short."""
    return str(uuid.UUID(bytes=message[_REF])) if len(message) >= _BARE_SIZE else ""


def parse_ref(value: object) -> str:
    """Return a ref in its canonical spelling. Raises :class:`InvalidMessage` if it is no UUID."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return str(uuid.UUID(value))
    except ValueError:
        raise InvalidMessage(f"ref is not a UUID: {value!r:.80}") from None


@dataclass(frozen=True, slots=True)
class Registration:
    """The message ``upload_register``, with which a client announces a file.

    Only the types of the values are checked here. ``client_size`` is in bytes. The key of
    ``expected_sha256`` is ``sha256``: djust's script and ours do not send it.
    """

    upload_name: str
    ref: str
    client_name: str
    client_type: str
    client_size: int
    client_relative_path: str = ""
    resumable: bool = False
    #: What the client tells of the file beside its name and type. Only HTTP carries it.
    client_metadata: Mapping[str, str] = field(default_factory=dict)
    #: The SHA-256 that the file must have, in hexadecimal digits, or ``""``.
    expected_sha256: str = ""
    #: What the door keeps with the upload, as JSON has it.
    notes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Registration:
        """Return the registration in a message.

        Raises :class:`InvalidMessage` if the ref or the size is missing, or if a value has a wrong
        type.
        """
        size = message.get("client_size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise InvalidMessage(f"client_size is not a size: {size!r:.80}")
        return cls(
            upload_name=_text(message, "upload_name"),
            ref=parse_ref(message.get("ref")),
            client_name=_text(message, "client_name"),
            client_type=_text(message, "client_type"),
            client_size=size,
            client_relative_path=_text(message, "client_relative_path"),
            resumable=message.get("resumable") is True,
            expected_sha256=_sha256(message),
        )


def _sha256(message: Mapping[str, Any]) -> str:
    value = _text(message, "sha256").lower()
    if value and not _SHA256.fullmatch(value):
        raise InvalidMessage(f"sha256 is not 64 hexadecimal digits: {value!r:.80}")
    return value


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidMessage(f"{key} is not a string: {value!r:.80}")
    return value


def registered(
    ref: str,
    upload_name: str,
    *,
    offset: int,
    limit: int,
    chunk_size: int,
    max_frame_size: int,
    resumable: bool = False,
) -> dict[str, Any]:
    """Return the answer to a registration.

    The client may send the bytes from ``offset`` to ``limit``, in chunks of ``chunk_size`` bytes
    and in frames of at most ``max_frame_size`` bytes of the file. ``resumable`` says whether it may
    resume the upload over another connection.
    """
    return {
        "type": "upload_registered",
        "ref": ref,
        "upload_name": upload_name,
        "offset": offset,
        "limit": limit,
        "chunk_size": chunk_size,
        "max_frame_size": max_frame_size,
        "resumable": resumable,
    }


def progress(
    ref: str,
    upload_name: str,
    status: str,
    *,
    progress: int,
    offset: int,
    limit: int,
    taken: int = 0,
) -> dict[str, Any]:
    """Return the message that says where an upload stands.

    ``progress`` is in percent. In bytes are what the sink has ``taken``, what is durable
    (``offset``), and the position up to which the client may send (``limit``).
    """
    return {
        "type": "upload_progress",
        "ref": ref,
        "upload_name": upload_name,
        "status": status,
        "progress": progress,
        "offset": offset,
        "limit": limit,
        "taken": taken,
    }


def failed(ref: str, error: UploadError, upload_name: str = "") -> dict[str, Any]:
    """Return the message that says that an upload has failed, and what the user can do."""
    message = failed_before(ref, upload_name, error.code, error.message)
    return {**message, "retry_after": error.retry_after} if error.retry_after else message


def failed_before(ref: str, upload_name: str, code: str, message: str | Promise) -> dict[str, Any]:
    """Return what :func:`failed` returns, for an error that was saved as a code and a sentence."""
    return {
        "type": "upload_progress",
        "ref": ref,
        "upload_name": upload_name,
        "status": "error",
        "progress": 0,
        "code": code,
        "error": message,
    }


def closing(error: UploadError) -> dict[str, Any]:
    """Return the message that says why the server closes the connection, in the active language."""
    return {"type": "error", "code": error.code, "error": str(error.message)}


def together(message_type: str, uploads: list[dict[str, Any]]) -> dict[str, Any]:
    """Several messages in one, for a client that takes lists. Each has its own ``type``."""
    return {"type": message_type, "uploads": uploads}


def configs(slots: dict[str, Any]) -> dict[str, Any]:
    """Return the options of all slots, for a page that asks or when they have changed."""
    return {"type": "upload_configs", "upload_configs": slots}


def consumed(upload_name: str, refs: list[str]) -> dict[str, Any]:
    """Return the message that says that the application has consumed these files.

    The page then no longer shows them as waiting.
    """
    return {"type": "upload_consumed", "upload_name": upload_name, "refs": refs}


def resumed(
    ref: str,
    upload_name: str,
    *,
    position: int,
    offset: int,
    limit: int,
    chunk_size: int,
    max_frame_size: int,
    progress: int,
) -> dict[str, Any]:
    """Return the answer to ``upload_resume``.

    The client goes on with the byte ``position``, in the chunk ``position // chunk_size``. That is
    ``offset``, or more if this process holds bytes that are not stored yet.
    """
    return {
        "type": "upload_resumed",
        "ref": ref,
        "upload_name": upload_name,
        "status": "resumed",
        "offset": offset,
        "limit": limit,
        "chunk_size": chunk_size,
        "max_frame_size": max_frame_size,
        "progress": progress,
        "bytes_received": position,
        "chunks_received": [],
    }


def not_resumed(ref: str, status: str = "not_found") -> dict[str, Any]:
    """Return the answer to ``upload_resume`` for an upload that cannot go on.

    If the status is ``"not_found"``, the client begins the upload again. If it is ``"locked"``,
    another connection has the upload.
    """
    return {
        "type": "upload_resumed",
        "ref": ref,
        "status": status,
        "offset": 0,
        "limit": 0,
        "bytes_received": 0,
        "chunks_received": [],
    }
