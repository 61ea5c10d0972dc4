"""Who owns an upload, and what the upload is called in the resume cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_BY_SECRET = "secret:"


def owner_of(scope: Mapping[str, Any]) -> str | None:
    """Return the user of a connection, or else its session, or ``None`` if it has neither.

    ``scope`` is the ASGI scope. The user and the session come from ``AuthMiddlewareStack`` or
    ``SessionMiddlewareStack`` around the consumer. A session counts once it was saved, for example
    by a view that called ``request.session.save()``.
    """
    user = scope.get("user")
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    session = scope.get("session")
    key = getattr(session, "session_key", None)
    return f"session:{key}" if key else None


def owner_by_secret(secret: str) -> str:
    """Return the owner of an upload whose client has neither a user nor a session.

    Whoever knows the secret is the owner.
    """
    return f"{_BY_SECRET}{secret}"


def is_by_secret(owner: str) -> bool:
    """Return whether an owner is known by a secret only."""
    return owner.startswith(_BY_SECRET)


def upload_id_of(owner: str, ref: str) -> str:
    """Return the name of an owner's upload in the resume cache and in this process.

    The name contains the owner, so nobody can ask for an upload of another owner.
    """
    return hashlib.sha256(f"{owner}\0{ref}".encode()).hexdigest()[:32]
