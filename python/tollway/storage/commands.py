"""What is said to a Redis, apart from the client that reaches one: who has none need not load it."""

import asyncio
from collections.abc import Coroutine
from typing import TypeAlias

Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]

MEMORY = "tollway:memory"
"""The key whose value stands for all that Redis remembers, see :attr:`tollway.storage.redis.RedisLink.memory`."""


async def first_of(*works: Coroutine[None, None, None]) -> None:
    """Runs all of them until one ends, then ends the others; an exception of the one is raised.

    ``asyncio.TaskGroup`` cancels once. That is not enough: before Python 3.12 ``asyncio.wait_for``, which redis-py
    uses, loses a cancellation that meets an answer, and the group would wait for ever.
    """
    tasks = {asyncio.create_task(work) for work in works}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.1)
        # All are asked: the loop logs what nobody has asked for.
        failures = {task: task.exception() for task in tasks if not task.cancelled()}
    for task in done:
        if (failure := failures.get(task)) is not None:
            raise failure
