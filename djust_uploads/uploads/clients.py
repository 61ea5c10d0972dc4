"""The address of a client, as far as it can be trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ..settings import upload_settings


def client_address(scope: Mapping[str, Any]) -> str | None:
    """Return the address of a connection's client, or ``None`` if it is not known.

    Behind ``TRUSTED_PROXIES`` proxies, each of which adds the address that it was called from to
    ``CLIENT_ADDRESS_HEADER``, it is the one that the outermost of them has added. A client can
    write whatever it likes into the header, but only before that. An IPv6 address stands for its
    network of 64 bits, which one customer has.
    """
    client = scope.get("client")
    chain = [str(client[0])] if client else []
    proxies = upload_settings().trusted_proxies
    if proxies:
        name = upload_settings().client_address_header.lower().encode()
        values = [value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name]
        chain = [part.strip() for part in ",".join(values).split(",") if part.strip()] + chain
    if not chain:
        return None
    return _network_of(chain[max(0, len(chain) - 1 - proxies)])


def _network_of(address: str) -> str | None:
    try:
        # Some proxies add the port, and brackets around an IPv6 address.
        found = ipaddress.ip_address(_without_port(address).partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped or found.version == 4:
        return str(mapped or found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
