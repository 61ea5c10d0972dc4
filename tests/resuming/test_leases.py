"""Which process has the right to go on with an upload, as the cache says."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from dataclasses import replace

import pytest
from django.core.cache import cache
from django.test import override_settings

from djust_uploads.exceptions import UploadLocked
from djust_uploads.resuming.leases import Lease
from djust_uploads.resuming.saved import SavedUpload


class AllAtOnceCache:
    """Lets all see the same holder before any of them goes on."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)

    def get(self, name):
        found = cache.get(name)
        if name.count(":") == 1:
            self.barrier.wait(10)
        return found

    def __getattr__(self, name):
        return getattr(cache, name)


async def test_one_of_those_who_resume_at_once_wins():
    name = uuid.uuid4().hex
    await Lease.begin(name, a_saved_upload())
    leases = [Lease(name, f"token{number}") for number in range(5)]
    at_once = AllAtOnceCache(len(leases))
    results = await asyncio.gather(
        *(asyncio.to_thread(lease._supersede, at_once) for lease in leases), return_exceptions=True
    )
    locked = [isinstance(result, UploadLocked) for result in results]
    assert locked.count(False) == 1
    await leases[locked.index(False)].check()


async def test_claim_of_a_process_that_died_keeps_nobody_out_for_long(monkeypatch):
    monkeypatch.setattr("djust_uploads.resuming.leases._CLAIM_TIMEOUT", 1)
    saved = a_saved_upload()
    await Lease.begin("name", saved)
    real, died = cache.set, []

    def die(*args, **kwargs):
        died.append(args)
        raise RuntimeError("killed")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "set", die)
    with pytest.raises(RuntimeError):
        await Lease.supersede("name")
    monkeypatch.undo()
    assert died and cache.set == real
    with pytest.raises(UploadLocked):
        await Lease.supersede("name")
    await asyncio.sleep(1.1)
    assert (await Lease.supersede("name"))[1] == replace(saved, generation=1)


async def test_of_an_upload_that_has_ended_everybody_is_told_the_same():
    lease = await Lease.begin("ended", a_saved_upload())
    await lease.end()
    assert [await Lease.supersede("ended") for _ in range(3)] == [None] * 3


async def test_a_process_of_an_older_release_goes_on_with_what_a_newer_one_has_saved():
    saved = a_saved_upload()
    await Lease.begin("rollout", saved)
    key = f"djust_uploads:rollout:{cache.get('djust_uploads:rollout')}"
    cache.set(key, {**cache.get(key), "of_the_next_release": 1})
    assert await Lease.find("rollout") == saved
    _lease, found = await Lease.supersede("rollout")
    assert found == replace(saved, generation=1)


async def test_what_a_superseded_process_saves_does_not_stay():
    saved = a_saved_upload()
    lease = await Lease.begin("late", saved)
    key = f"djust_uploads:late:{cache.get('djust_uploads:late')}"
    # Whoever is about to supersede the token reads the record after it has claimed the token.
    cache.add(f"{key}:claim", True)
    with pytest.raises(UploadLocked):
        await lease.save(saved)
    assert cache.get(key)
    cache.delete(f"{key}:claim")
    await Lease.supersede("late")
    with pytest.raises(UploadLocked):
        await lease.save(saved)
    assert cache.get(key) is None


def a_saved_upload(**values):
    known = dict.fromkeys(SavedUpload.__dataclass_fields__, "x")
    numbers = {"client_size": 5, "chunk_size": 2, "generation": 0}
    return SavedUpload(**{**known, **numbers, "checkpoint": {}, **values})


async def test_lease_that_was_evicted_goes_on():
    name = uuid.uuid4().hex
    lease = await Lease.begin(name, a_saved_upload())
    await asyncio.to_thread(cache.clear)
    await lease.save(a_saved_upload(key="later"))
    assert (await Lease.supersede(name))[1].key == "later"
    with pytest.raises(UploadLocked):
        await lease.save(a_saved_upload())
    with pytest.raises(UploadLocked):
        await lease.check()


async def test_cache_that_hangs_keeps_no_file_waiting(sink, monkeypatch):
    """However many uploads ask it."""
    monkeypatch.setattr("djust_uploads.resuming.leases.CACHE_TIMEOUT", 0.2)
    released = threading.Event()
    hanging = {"default": {"BACKEND": f"{__name__}.HangingCache", "LOCATION": released}}
    try:
        with override_settings(CACHES=hanging):
            asked = [asyncio.create_task(_ask_and_give_up()) for _ in range(100)]
            await asyncio.gather(*asked)
            async with asyncio.timeout(5):
                await asyncio.to_thread(os.getpid)
    finally:
        released.set()


async def _ask_and_give_up():
    with pytest.raises(TimeoutError):
        await Lease.find("name")


class HangingCache:
    def __init__(self, released, params):
        self.released = released

    def close(self, **kwargs):
        pass

    def get(self, name):
        self.released.wait(30)


class InterruptedCache:
    """Lets another process do something before one of the questions to the cache."""

    def __init__(self, before, interrupt):
        self.before, self.interrupt = before, interrupt
        self.asked = 0

    def __getattr__(self, name):
        def ask(*args):
            if self.asked == self.before:
                self.interrupt()
            self.asked += 1
            return getattr(cache, name)(*args)

        return ask


@pytest.mark.parametrize("before", range(7))
async def test_of_a_conclusion_and_a_takeover_one_counts(before):
    name = uuid.uuid4().hex
    lease = await Lease.begin(name, a_saved_upload(status="complete"))
    taken_over = []

    def take_over():
        try:
            taken_over.append(Lease(name, "other")._supersede(cache).status)
        except UploadLocked:
            taken_over.append("locked")

    interrupted = InterruptedCache(before, take_over)
    consumed = a_saved_upload(status="consumed")
    try:
        await asyncio.to_thread(lease._conclude, interrupted, consumed)
        concluded = True
    except UploadLocked:
        concluded = False
    if taken_over == ["complete"]:
        assert not concluded
    else:
        assert concluded
        assert taken_over in ([], ["locked"], ["consumed"])
        assert (await Lease.find(name)).status == "consumed"
