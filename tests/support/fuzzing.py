"""A hostile client of ``tests.sites.fuzzed``: random mutations of what a right client sends.

Ten thousand of its sessions take little time.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque

from tests.support.fuzzed_requests import http
from tests.support.fuzzed_sockets import PATIENCE, honest_socket, hostile_socket
from tests.support.resuming import new_session


class Fuzzer:
    """Runs sessions against a server. The same seed makes the same sessions.

    What the server answers decides when they go on, so that they meet each other differently.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.seed = seed
        self.cookies = [new_session()["sessionid"] for _ in range(20)]
        #: Refs and URLs of recent sessions, for others to meddle with.
        self.refs: deque[str] = deque([str(uuid.uuid4())], maxlen=50)
        self.paths: deque[str] = deque(["/uploads/files/"], maxlen=50)
        #: How many sessions did what.
        self.counts: dict[str, int] = {}

    async def run(self, count: int, at_once: int = 64) -> None:
        """Run ``count`` more sessions. Raises ``AssertionError`` for a wrong answer."""
        begun = sum(self.counts.values())
        numbers = iter(range(begun, begun + count))

        async def work() -> None:
            for number in numbers:
                await self._session(random.Random(f"{self.seed} {number}"))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    async def _session(self, rng: random.Random) -> None:
        kind = rng.choices([honest_socket, hostile_socket, http], [1, 7, 2])[0]
        self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
        async with asyncio.timeout(PATIENCE):
            await kind(self, rng)
