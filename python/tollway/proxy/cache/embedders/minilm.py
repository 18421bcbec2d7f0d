"""MiniLM on this machine: a thread of its own, so that the event loop never waits for a vector.

In: a text. Out: its vector. What runs the model is loaded on the thread, while the worker starts or when the first text
comes: the packages hold the interpreter for some 30 ms and take half a second in all.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.port import EmbedderDown

MOST_WAITING = 32
"""Texts that wait for the thread; who comes then gets none."""

CLOSE_S = 1.0
"""The end waits so long for the text that the thread is at: an interpreter should not end in the midst of one."""

Embed: TypeAlias = Callable[[str], bytes]
"""Makes a vector of a text. It may raise anything."""


class _Job:
    """A text that somebody waits for, or none, where the model is only to be loaded; ``future`` belongs to ``loop``."""

    __slots__ = ("future", "loop", "text")

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[bytes] = self.loop.create_future()

    def tell(self, outcome: bytes | EmbedderDown) -> None:
        """From the thread."""
        try:
            self.loop.call_soon_threadsafe(self._tell, outcome)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _tell(self, outcome: bytes | EmbedderDown) -> None:
        if self.future.done():
            return
        if isinstance(outcome, bytes):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class Minilm:
    """The embedder of one worker. ``load`` makes what embeds, on the thread; ``mark`` tells this model from others."""

    def __init__(self, load: Callable[[], Embed], mark: str) -> None:
        self.name = f"minilm/{mark}"
        self._load = load
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None

    async def prepare(self) -> None:
        """Loads the model now, and returns when it has."""
        try:
            await self._done(None)
        except EmbedderDown:  # whoever asks for a vector hears of it
            return

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """As :class:`~tollway.proxy.cache.embedders.source.Source` says. Whoever gives up is passed over."""
        return await self._done(text)

    async def _done(self, text: str | None) -> bytes:
        if self._thread is None:
            # A daemon: a worker that ends waits for nobody.
            self._thread = threading.Thread(target=self._run, name="minilm", daemon=True)
            self._thread.start()
        job = _Job(text)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise EmbedderDown("busy") from None
        return await job.future

    def _run(self) -> None:
        embed: Embed | None = None
        while (job := self._jobs.get()) is not None:
            if job.future.cancelled():
                continue
            try:
                if embed is None:
                    embed = self._load()
                job.tell(b"" if job.text is None else embed(job.text))
            except EmbedderDown as error:
                job.tell(error)
            except Exception as error:  # noqa: BLE001 -- whatever a runtime raises; its text may quote what it was given
                job.tell(EmbedderDown(type(error).__name__))

    async def close(self) -> None:
        """Ends the thread, after the text that it is at; waits :data:`CLOSE_S` for it."""
        thread = self._thread
        if thread is None:
            return
        while True:
            try:
                self._jobs.get_nowait()  # who waited has been cancelled by now
            except queue.Empty:
                break
        self._jobs.put_nowait(None)
        await asyncio.to_thread(thread.join, CLOSE_S)


def minilm(model: Path, tokenizer: Path, mark: str) -> Callable[[], Minilm]:
    """What makes the embedder of a model's files (:func:`tollway.settings.minilm.find`)."""

    def load() -> Embed:
        made: Embed = import_module("tollway.proxy.cache.embedders.onnx").Sentences(model, tokenizer).vector
        return made

    return lambda: Minilm(load, mark)
