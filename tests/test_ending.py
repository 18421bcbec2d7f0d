"""Tasks that are ended, whatever they make of it."""

import asyncio

from tollway.ending import end


async def test_what_does_not_hear_that_it_is_to_end_is_told_again() -> None:
    told = 0

    async def work() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:  # as a transaction does whose connection can't roll back: an error instead
                told += 1
                if told > 2:
                    raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 30)
    assert (told, task.cancelled()) == (3, True)


async def test_what_fails_meanwhile_or_has_ended_before_holds_up_nobody() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("a defect")

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)
    await asyncio.wait_for(end(tasks), 30)
    assert all(task.done() for task in tasks)
    await end([])
