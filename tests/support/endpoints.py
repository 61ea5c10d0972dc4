"""Servers that take uploads over HTTP, for the clients that are tested against them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.servers import Server


@dataclass(frozen=True)
class Endpoint:
    """A running server that speaks tus."""

    name: str
    server: Server
    #: Where uploads are created.
    path: str

    @property
    def url(self) -> str:
        return self.server.http(self.path)
