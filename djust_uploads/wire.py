"""The wire: what travels over the socket, parsed and serialised. No I/O, no state.

Binary frames go from browser to server::

    01 | ref (16 bytes) | index (u32, big-endian) | bytes     a chunk, or several of them
    02 | ref (16 bytes)                                       all chunks are sent
    03 | ref (16 bytes)                                       cancel

Everything else is a JSON message with a ``type``. A ref is a UUID that the client made up; in JSON
it is written with hyphens. A frame may carry several whole chunks, up to the ``max_frame_size`` that
the client was told; ``index`` is the one of the first chunk. Frames and verbs are djust's, so that a stock djust page can talk to us;
what we add rides as extra keys.
"""

from __future__ import annotations

import enum
import functools
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

from .exceptions import InvalidMessage, UploadError

_REF = slice(1, 17)
_INDEX = struct.Struct(">I")
#: Bytes before the payload of a chunk.
HEADER_SIZE = 21
#: Bytes of a frame that is only a type and a ref.
_BARE_SIZE = 17


class FrameType(enum.IntEnum):
    CHUNK = 1
    COMPLETE = 2
    CANCEL = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One binary frame. ``data`` are the bytes of its chunks, and ``index`` is the first chunk's."""

    type: FrameType
    ref: str
    index: int = 0
    data: bytes | memoryview = b""


def is_upload_frame(message: bytes) -> bool:
    """Whether a binary message is ours. A MessagePack map, djust's other kind, starts at 0x80."""
    return len(message) >= _BARE_SIZE and 1 <= message[0] <= 3


def parse(message: bytes) -> Frame:
    """Raises :class:`InvalidMessage` for anything that :func:`serialize` can't have made."""
    try:
        frame_type = FrameType(message[0])
        ref = _ref(message[_REF])
    except (ValueError, IndexError):
        raise InvalidMessage(f"not an upload frame: {message[:_BARE_SIZE].hex()}") from None
    if frame_type is not FrameType.CHUNK:
        if len(message) != _BARE_SIZE:
            raise InvalidMessage(f"{frame_type.name} frame of {len(message)} bytes")
        return Frame(frame_type, ref)
    if len(message) < HEADER_SIZE:
        raise InvalidMessage(f"chunk frame of {len(message)} bytes")
    (index,) = _INDEX.unpack_from(message, _BARE_SIZE)
    return Frame(frame_type, ref, index, memoryview(message)[HEADER_SIZE:])


@functools.lru_cache(4096)
def _ref(raw: bytes) -> str:
    """As JSON has it. Every frame of an upload asks for the same one."""
    return str(uuid.UUID(bytes=raw))


def serialize(frame: Frame) -> bytes:
    """The reverse of :func:`parse`; here for clients written in Python, and for the tests."""
    bare = bytes([frame.type]) + uuid.UUID(frame.ref).bytes
    if frame.type is not FrameType.CHUNK:
        return bare
    return bare + _INDEX.pack(frame.index) + frame.data


def ref_of(message: bytes) -> str:
    """The ref in a frame that :func:`parse` refused, if it is long enough to have one."""
    return str(uuid.UUID(bytes=message[_REF])) if len(message) >= _BARE_SIZE else ""


def parse_ref(value: object) -> str:
    """The canonical spelling of a ref; raises :class:`InvalidMessage` if it is not a UUID."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return str(uuid.UUID(value))
    except ValueError:
        raise InvalidMessage(f"ref is not a UUID: {value!r:.80}") from None


@dataclass(frozen=True, slots=True)
class Registration:
    """``upload_register``: the client announces a file. Types are checked, nothing else is."""

    upload_name: str
    ref: str
    client_name: str
    client_type: str
    client_size: int
    client_relative_path: str = ""
    resumable: bool = False

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Registration:
        """Raises :class:`InvalidMessage` if the ref or the size is missing, and for any value of
        another type."""
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
        )


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
    """The answer to a registration: from ``offset`` on, the client may send up to ``limit``, in
    chunks of ``chunk_size`` bytes and in frames of at most ``max_frame_size`` bytes of the file."""
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
    ref: str, upload_name: str, status: str, *, progress: int, offset: int, limit: int
) -> dict[str, Any]:
    """Where an upload stands: ``progress`` in percent, ``offset`` and ``limit`` in bytes."""
    return {
        "type": "upload_progress",
        "ref": ref,
        "upload_name": upload_name,
        "status": status,
        "progress": progress,
        "offset": offset,
        "limit": limit,
    }


def failed(ref: str, error: UploadError, upload_name: str = "") -> dict[str, Any]:
    """The end of an upload, with what the user can do about it."""
    return failed_before(ref, upload_name, error.code, error.message)


def failed_before(ref: str, upload_name: str, code: str, message: str | Promise) -> dict[str, Any]:
    """:func:`failed`, of an upload that ended when nobody was there to be told."""
    return {
        "type": "upload_progress",
        "ref": ref,
        "upload_name": upload_name,
        "status": "error",
        "progress": 0,
        "code": code,
        "error": message,
    }


def configs(slots: dict[str, Any]) -> dict[str, Any]:
    """The answer to ``upload_configs``: for a page that missed the mount message."""
    return {"type": "upload_configs", "upload_configs": slots}


def consumed(upload_name: str, refs: list[str]) -> dict[str, Any]:
    """The application took these files: the page need not show them as waiting any longer."""
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
    """The answer to ``upload_resume``: the client goes on with the byte ``position``, in chunk
    ``position // chunk_size``. It is ``offset``, or more if this process holds more."""
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
    """The answer to ``upload_resume`` for an upload that can't go on: the client starts over, or
    waits if the status is ``"locked"``."""
    return {
        "type": "upload_resumed",
        "ref": ref,
        "status": status,
        "offset": 0,
        "limit": 0,
        "bytes_received": 0,
        "chunks_received": [],
    }
