"""Whether an answer to another question serves this one: candidates of the same namespace, then the verifier.

In: a question. Out: the candidate that the verifier is surest of, if it is sure enough. Nothing is asked over a network
but a second embedder, where the policy names one, and only when a candidate is worth it.
"""

import asyncio
from collections.abc import Callable, Sequence

from tollway._native.questions import Question
from tollway.contract.cache import SemanticCaching, region_of
from tollway.proxy.cache.embedders.vectors import cosine
from tollway.proxy.cache.entry import Entry, Found, Near
from tollway.proxy.cache.port import Embedder, EmbedderDown

LOOSE = 0.5
"""By the built-in embedder, two questions that are less alike are not worth a second opinion."""

EMBED_S = 1.0
"""A second embedder has so long; then the built-in one decides."""

Threshold = Callable[[SemanticCaching, str], float]
"""The least confidence that serves in a region."""


async def matched(
    question: Question,
    candidates: Sequence[Near],
    serves: Callable[[Entry], bool],
    policy: SemanticCaching,
    threshold: Threshold,
    embedder: Embedder | None,
) -> Found | None:
    """The candidate that serves; ``serves`` says of an entry whether it may at all."""
    agreeing = [near for near in candidates if serves(near.entry) and question.agrees(near.question)]
    if not agreeing:
        return None
    vector = None
    if embedder is not None and any(_is_worth_asking(near, embedder.name) for near in agreeing):
        vector = await _embedded(embedder, question.text)
    found: Found | None = None
    for near in agreeing:
        second = None
        if vector is not None and embedder is not None:
            second = cosine(vector, near.entry.vectors.get(embedder.name, b""))
        confidence = question.confidence(near.question, second)
        region = region_of(near.entry.tenant_id, near.entry.model, near.similarity)
        if confidence >= threshold(policy, region) and (found is None or confidence > found.confidence):
            found = Found(near.entry, "semantic", confidence, region)
    return found


def _is_worth_asking(near: Near, embedder: str) -> bool:
    return near.similarity >= LOOSE and embedder in near.entry.vectors


async def _embedded(embedder: Embedder, text: str) -> bytes | None:
    try:
        async with asyncio.timeout(EMBED_S):
            return await embedder.embed(text)
    except (EmbedderDown, TimeoutError):
        return None
