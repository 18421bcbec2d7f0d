"""How tasks are ended that may be in the middle of a transaction."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels ``tasks`` until all have ended, however they do.

    Told once, one that follows a database may go on: a transaction whose connection can't roll back raises that instead
    of the cancellation, and it is taken for one more failure to be waited for.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # it is nobody's any more, and asyncio would complain of that
