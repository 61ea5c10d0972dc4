"""How many bytes of memory a writer holds."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import mmap
import sys
import types
from typing import Any

#: What leads out of the writer: to the program, and to all other tasks.
_ELSEWHERE = (
    type,
    types.ModuleType,
    types.CodeType,
    types.BuiltinFunctionType,
    types.FrameType,
    asyncio.AbstractEventLoop,
    contextvars.Context,
)


def bytes_held(writer: object, *, beside: object) -> int:
    """Return the bytes of all buffers that ``writer`` leads to, and that ``beside`` does not."""
    elsewhere: dict[int, object] = {}
    _size_of(beside, elsewhere)
    return _size_of(writer, elsewhere)


def _size_of(root: object, seen: dict[int, object]) -> int:
    """Add up the buffers that ``root`` leads to. ``seen`` has the objects by their ids."""
    size, todo = 0, [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, _ELSEWHERE):
            continue
        seen[id(each)] = each
        size += _buffer_size(each)
        todo += _referents(each)
    return size


def _buffer_size(each: object) -> int:
    if isinstance(each, bytes | bytearray):
        return len(each)
    if isinstance(each, io.BytesIO):
        return 0 if each.closed else sys.getsizeof(each)
    if isinstance(each, mmap.mmap):
        return 0 if each.closed else len(each)
    return 0


def _referents(each: Any) -> list[object]:
    if isinstance(each, types.FunctionType):
        # Its globals are its module.
        return [*(cell for cell in each.__closure__ or ()), each.__defaults__]
    if isinstance(each, bytes | bytearray | str | int | float):
        return []
    return gc.get_referents(each)
