"""Cached answers against fresh ones: for a share of the semantic hits the model is asked all the same.

In: a hit, once it is decided that it is served. Out: whether the cached answer served, as feedback of its region. The
fresh answer is had beside the call and heard by nobody else: it delays nothing, and is paid as copies are.

Two answers say the same where they call the same tools with the same arguments. Texts do that are equal but for case
and white space, and those that an embedder finds near enough, the second one, else the built-in one; short ones must
agree in their numbers and negations, too. What is neither near nor far, or can't be compared, is no feedback: a guess
would teach the thresholds more than it knows.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from tollway._native.chat import ChatRequest, read_request
from tollway._native.questions import MOST_BYTES, Question
from tollway.contract.cache import Feedback, SemanticCaching, Verdict
from tollway.contract.snapshot import Operation
from tollway.proxy.cache.answer_texts import Spoken, spoken
from tollway.proxy.cache.embedders.vectors import cosine
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.port import Embedder, EmbedderDown
from tollway.proxy.exchange import Screened

SAME = 0.86
"""From this cosine on, by either embedder, two answers mean the same. MiniLM finds most answers of one model to one
question above it, and "undo what was pushed" 0.85 from "undo what was not"."""

APART = 0.7
"""Below this one they don't."""

MOST_WORDS = 4
"""An answer of so few words is also said by a sentence that has all of them: "42", "The answer is 42."."""

SHORT_CHARACTERS = 400
"""Of a longer text, numbers and negations are no sign: two lists of the same things may number them differently."""

INLINE_BYTES = 64 * 1024
"""Larger answers are read in a thread: the event loop may not be held for 2 ms. Larger requests are not asked again."""

MOST_ANSWER_BYTES = 2**20
"""A longer answer is not compared."""

_WORDS = re.compile(r"\w+")

Hear: TypeAlias = Callable[[int, bytes], Awaitable[None]]
"""Hears of a fresh answer: its status and its body."""

Again: TypeAlias = Callable[[Screened, ChatRequest, Hear], None]
"""Asks the alias of a call once more, in the background (:meth:`tollway.proxy.shadowing.Shadowing.again`)."""


class Comparing:
    """One worker's comparisons. ``learn`` hears of verdicts; ``chance`` returns a number from 0 up to 1 for a hit."""

    def __init__(
        self, again: Again, learn: Callable[[Feedback], None], *, chance: Callable[[], float] = random.random
    ) -> None:
        self._again = again
        self._learn = learn
        self._chance = chance

    def compare(
        self,
        screened: Screened,
        entry: Entry,
        confidence: float,
        region: str,
        body: bytes,
        policy: SemanticCaching,
        embedder: Embedder | None,
    ) -> None:
        """Has ``body``, the answer of ``entry``, compared with a fresh one, if chance will have it. Returns at once."""
        if self._chance() >= policy.shadow_share:
            return
        if len(body) > MOST_ANSWER_BYTES or len(screened.request.body) > INLINE_BYTES:
            return
        request = _whole(screened.request)
        if request is None:
            return
        tenant_id = entry.tenant_id

        async def hear(status: int, fresh: bytes) -> None:
            if status != 200 or len(fresh) > MOST_ANSWER_BYTES:
                return
            verdict = await judge(entry.operation, body, fresh, embedder)
            if verdict is not None:
                self._learn(
                    Feedback(
                        tenant_id=tenant_id, region=region, confidence=confidence, verdict=verdict, source="shadow"
                    )
                )

        self._again(screened, request, hear)


async def judge(operation: Operation, cached: bytes, fresh: bytes, embedder: Embedder | None) -> Verdict | None:
    """Whether two whole answers in the dialect of ``operation`` say the same; ``None`` where that can't be told."""
    if max(len(cached), len(fresh)) <= INLINE_BYTES:
        one, other = spoken(operation, cached), spoken(operation, fresh)
    else:
        one, other = await asyncio.to_thread(lambda: (spoken(operation, cached), spoken(operation, fresh)))
    if one is None or other is None:
        return None
    if one.calls != other.calls:
        return "wrong"
    if one.calls:
        return "good"  # what is said beside the call is for nobody's eyes
    return await _judge_texts(one, other, embedder)


async def _judge_texts(one: Spoken, other: Spoken, embedder: Embedder | None) -> Verdict | None:
    texts = " ".join(one.text.split()), " ".join(other.text.split())
    if texts[0].casefold() == texts[1].casefold():
        return "good"
    left, right = _question(texts[0]), _question(texts[1])
    if max(map(len, texts)) <= SHORT_CHARACTERS and left is not None and right is not None:
        if not left.agrees(right):
            return "wrong"
        if _is_within(*texts):
            return "good"
    similarity = await _second(texts, embedder)
    if similarity is None and left is not None and right is not None:
        similarity = left.similarity(right)
    if similarity is None or APART <= similarity < SAME:
        return None
    return "good" if similarity >= SAME else "wrong"


def _is_within(one: str, other: str) -> bool:
    """Whether the shorter answer is of few words, and the longer has them all."""
    few, many = sorted((_WORDS.findall(one.casefold()), _WORDS.findall(other.casefold())), key=len)
    return 0 < len(few) <= MOST_WORDS and set(few) <= set(many)


async def _second(texts: tuple[str, str], embedder: Embedder | None) -> float | None:
    if embedder is None:
        return None
    try:
        return cosine(await embedder.embed(_beginning(texts[0])), await embedder.embed(_beginning(texts[1])))
    except EmbedderDown:
        return None


def _question(text: str) -> Question | None:
    try:
        return Question(_beginning(text))
    except ValueError:
        return None  # without a word that is known


def _beginning(text: str) -> str:
    """As much of a text as is compared."""
    return text.encode(errors="ignore")[:MOST_BYTES].decode(errors="ignore")


def _whole(request: ChatRequest) -> ChatRequest | None:
    """The same, answered whole: then it can be compared as it comes."""
    if not request.stream:
        return request
    try:
        fields = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
        fields.pop("stream", None)
        fields.pop("stream_options", None)
        return read_request(msgspec.json.encode(fields), request.operation)
    except ValueError:
        return None  # JSON that this reader takes otherwise
