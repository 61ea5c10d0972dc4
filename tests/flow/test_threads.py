"""Calls in threads that come in batches."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest

from djust_uploads.flow import threads
from djust_uploads.flow.threads import in_thread
from tests.support.servers import wait_until


async def test_result_and_error():
    assert await in_thread(pow, 2, 10) == 1024
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_loop_goes_on_meanwhile():
    called = threading.Event()
    waiting = asyncio.create_task(in_thread(called.wait, 10))
    await asyncio.sleep(0.01)
    called.set()
    assert await waiting is True


async def test_thousands_at_once_are_all_answered_by_a_few_threads():
    names = set()

    def call(number):
        names.add(threading.current_thread().name)
        if number % 7 == 0:
            raise ValueError(number)
        return number

    calls = [in_thread(call, number) for number in range(5000)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(answers):
        assert answer == number if number % 7 else answer.args == (number,)
    assert len(names) <= threads.THREADS


async def test_one_that_blocks_keeps_no_other_waiting():
    blocked = threading.Event()
    waiting = [asyncio.create_task(in_thread(blocked.wait)) for _ in range(threads.THREADS - 1)]
    await asyncio.sleep(0)
    for _ in range(100):
        async with asyncio.timeout(1):
            await in_thread(int)
    blocked.set()
    await asyncio.gather(*waiting)


async def test_cancelled_waiter():
    """What has begun goes on, what has not is not made, and the next one is answered."""
    going, done, made = threading.Event(), threading.Event(), []

    def begin():
        going.wait()
        done.set()

    begun = [asyncio.create_task(in_thread(begin)) for _ in range(threads.THREADS)]
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(in_thread(made.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    for task in begun:
        task.cancel()
    await asyncio.wait([waiting, *begun])
    going.set()
    assert await in_thread(done.wait, 1)
    assert await in_thread(int) == 0
    assert made == []


async def test_errors_leave_no_cycles():
    class Held:
        pass

    gc.collect()
    gc.disable()
    try:
        held = Held()
        left = weakref.ref(held)
        with contextlib.suppress(TypeError):
            await in_thread(setattr, held, 1, 2)
        del held
        # The thread's own frame ends a moment later.
        assert await wait_until(lambda: left() is None)
    finally:
        gc.enable()


def is_gone(reference):
    """Return whether the threads of a loop are collected. The frame of the last call refers to
    them, and ends a moment after the call."""
    gc.collect()
    return reference() is None


def test_loop_that_is_closed_before_the_result():
    going = threading.Event()

    async def leave():
        task = asyncio.create_task(in_thread(going.wait))
        await asyncio.sleep(0.01)
        task.cancel()
        return weakref.ref(threads._threads[asyncio.get_running_loop()])

    left = asyncio.run(leave())
    going.set()
    assert asyncio.run(in_thread(abs, -1)) == 1
    assert asyncio.run(wait_until(lambda: is_gone(left)))


def test_each_loop_has_its_own_and_takes_them_along():
    async def look():
        await in_thread(int)
        return weakref.ref(threads._threads[asyncio.get_running_loop()])

    kept = asyncio.run(look())
    assert asyncio.run(wait_until(lambda: is_gone(kept)))
