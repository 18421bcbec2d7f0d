"""Moderation: one of our own models says which categories a text falls into (OpenAI's /v1/moderations).

A result is ``flagged``, ``categories`` (by name: whether) and ``category_scores`` (by name: 0 to 1), one for each
text; Mistral's have no ``flagged``. Such a call is the gateway's own: it is no caller's, takes none of their limits and
has no usage row.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tollway.contract.guardrails import Direction
from tollway.proxy.guardrails.external.asking import ANSWER_BYTES_MAX, Moderator, Unanswered, read, written
from tollway.proxy.guardrails.external.kinds import Kinds
from tollway.proxy.outside import Judgement, Remark

FLAGGED = "flagged"
"""The kind of what is flagged without a category."""


class _Result(msgspec.Struct):
    flagged: bool | None = None
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}


class _Said(msgspec.Struct):
    results: list[_Result]


class Moderation:
    """Asks the alias ``model``. A category of ``categories`` counts from ``threshold`` on; without any, what the model
    flags."""

    def __init__(
        self,
        model: str,
        moderator: Moderator,
        *,
        action: Literal["flag", "block"],
        categories: Sequence[str] = (),
        threshold: float = 0.5,
    ) -> None:
        self._model = model
        self._moderator = moderator
        self._action = action
        self._categories = tuple(categories)
        self._threshold = threshold

    async def ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """As :class:`~.steady.Judge` says."""
        texts = [text for text in texts if text]  # an empty one is refused
        body = await written({"input": texts}, texts)
        said = await read(await self._moderator.moderate(self._model, body, ANSWER_BYTES_MAX), _Said)
        if len(said.results) != len(texts):
            raise Unanswered("not a result for each text")
        kinds = Kinds()
        found = [kinds.plain(category) for result in said.results for category in self._counted(result)]
        return Judgement(remarks=tuple(Remark(kind, self._action) for kind in found))

    def _counted(self, result: _Result) -> list[str]:
        if self._categories:
            return [category for category in self._categories if self._holds(result, category)]
        named = [category for category, holds in result.categories.items() if holds]
        is_flagged = bool(named) if result.flagged is None else result.flagged
        return (named or [FLAGGED]) if is_flagged else []

    def _holds(self, result: _Result, category: str) -> bool:
        score = result.category_scores.get(category)
        return result.categories.get(category, False) if score is None else score >= self._threshold
