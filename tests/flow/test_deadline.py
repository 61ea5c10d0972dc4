"""A deadline is a timeout, for any number of waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from djust_uploads.flow.deadline import Deadline


@pytest.fixture
async def deadline():
    deadline = Deadline()
    yield deadline
    deadline.close()


async def test_wait_that_is_too_long(deadline):
    with pytest.raises(TimeoutError), deadline.within(0.01):
        await asyncio.sleep(60)
    assert asyncio.current_task().cancelling() == 0
    # And once more.
    with pytest.raises(TimeoutError), deadline.within(0.01):
        await asyncio.sleep(60)


async def test_many_short_waits_are_none(deadline):
    for _ in range(50):
        with deadline.within(0.05):
            await asyncio.sleep(0.002)
    # Between waits no time counts.
    await asyncio.sleep(0.1)
    with deadline.within(0.05):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [(60, 0.01), (0.2, 0.01), (0.01, 0.05)])
async def test_each_wait_has_its_own_time(deadline, seconds):
    with deadline.within(seconds[0]):
        await asyncio.sleep(0)
    before = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError), deadline.within(seconds[1]):
        await asyncio.sleep(60)
    assert asyncio.get_running_loop().time() - before >= seconds[1]


async def test_what_the_wait_raises_is_raised(deadline):
    with pytest.raises(ZeroDivisionError), deadline.within(60):
        await asyncio.sleep(0)
        raise ZeroDivisionError


async def test_task_that_is_cancelled_is_no_timeout(deadline):
    async def wait():
        with deadline.within(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_and_expired_at_once_is_cancelled(deadline):
    async def wait():
        with deadline.within(0):
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0, task.cancel)
    # Held up, so that both come in one turn of the loop.
    time.sleep(0.01)  # noqa: ASYNC251
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_in_a_task_that_was_cancelled_before(deadline):
    """As when the loop is shut down, and what an upload left is undone."""

    async def clean_up():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), deadline.within(0.01):
                await asyncio.sleep(60)
            raise

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
