"""Receipts: what a client gets for a complete upload, and what an application makes of it.

A receipt is a signed token that is bound to a slot and to an owner. The application turns it into
the entry, once, in any view and in any process that shares ``RESUME_CACHE``::

    from djust_uploads import receipts

    async def publish(request):
        entry = await receipts.consume(request.POST["receipt"], request, slot="films")
        await entry.asave(f"films/{entry.client_name}")
"""

from __future__ import annotations

from typing import Any

from django.core import signing

from .slots.entry import UploadEntry

_SALT = "djust_uploads.receipts"


def issue(entry: UploadEntry, owner: str) -> str:
    """Return a receipt for a complete entry of an owner. It is good for ``RESUME_TTL`` seconds."""
    content: dict[str, Any] = {
        "slot": entry.upload_name,
        "ref": entry.ref,
        "owner": owner,
        "name": entry.client_name,
        "size": entry.client_size,
        "type": entry.content_type,
    }
    return signing.dumps(content, salt=_SALT, compress=True)
