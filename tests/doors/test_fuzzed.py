"""Ten thousand fuzzed sessions by both doors: nothing of them is left, and no exception.

``SESSIONS`` in the environment says how many are counted; ``make test-rounds`` runs fifty thousand.
``SEED`` repeats a run that has failed.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import random

import httpx

from djust_uploads import TemporaryFileSink
from tests.support.fuzzing import Fuzzer
from tests.support.servers import serve

SESSIONS = int(os.environ.get("SESSIONS", "8000"))

#: Sessions after which the process has its threads, and its caches are nearly full. The cache of
#: refs takes 4096 of them.
WARM_UP = max(500, SESSIONS // 4)

#: Bytes by which the process may grow nevertheless: its allocators keep some pages for later.
MOST_GROWTH = 8 * 1024 * 1024

#: Objects that Python's collector may know of in addition.
MOST_OBJECTS = 1000

SETTINGS = {
    "SHA256": True,
    "IDLE_TIMEOUT": 3,
    "RESUME_TTL": 2,
    # All sessions come from one address.
    "QUOTAS": {"address": {"UPLOADS": 10**6, "REGISTRATIONS_PER_MINUTE": 10**6}},
}
SINKS = {"memory": {"BACKEND": "djust_uploads.sinks.MemorySink"}}

#: What nobody may cause to be written into the log.
UNHANDLED = ("Traceback", "never retrieved", "never awaited", "Logging error", "Exception in")


async def test_fuzzed_sessions_leave_nothing(tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(10**9)))
    print(f"SEED={seed}")
    environ = {"UPLOAD_SETTINGS": json.dumps(SETTINGS), "SINKS": json.dumps(SINKS)}
    # Else the C library keeps pages for each thread.
    environ["MALLOC_ARENA_MAX"] = "2"
    with serve("tests.sites.fuzzed:application", tmp_path / "uploads", **environ) as site:
        fuzzer = Fuzzer(site.port, seed)
        await fuzzer.run(WARM_UP)
        before = await at_rest(site)
        await fuzzer.run(SESSIONS)
        after = await at_rest(site, before)
        print(fuzzer.counts, before, after, sep="\n")
        assert held(after) == held(before)
        assert after["objects"] - before["objects"] < MOST_OBJECTS
        assert after["memory"] - before["memory"] < MOST_GROWTH
        # Of uploads that were suspended, another process could have gone on with the files.
        ttl = datetime.timedelta(seconds=SETTINGS["RESUME_TTL"])
        await TemporaryFileSink(site.uploads).sweep(ttl)
        assert site.temporary_files() == []
    log = site.log.read_text()
    assert not [line for line in log.splitlines() if any(sign in line for sign in UNHANDLED)]


async def at_rest(site, expected=None, seconds=60):
    """What the process holds when that does not change any more, or is what was expected."""
    async with httpx.AsyncClient(timeout=30, headers={"Connection": "close"}) as client:
        last = None
        for _ in range(seconds):
            await asyncio.sleep(1)
            state = (await client.get(site.http("/state"))).json()
            if held(state) == (held(expected) if expected else last):
                break
            last = held(state)
    return state


def held(state):
    return {key: state[key] for key in ("tasks", "descriptors", "ours", "held")}
