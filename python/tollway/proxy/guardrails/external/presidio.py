"""Presidio: names, places and whatever else its analyzer finds, over its HTTP API.

``POST /analyze`` takes ``text``, ``language``, ``score_threshold`` and ``entities``, and answers a list of
``entity_type``, ``start``, ``end`` (code points) and ``score`` (microsoft/presidio, ``presidio-analyzer/app.py``).
Newer servers take a list of texts as well, older ones don't: so all texts are asked about in one, between blank lines,
and what is found over such a line is cut at it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from tollway.contract.guardrails import Action, Direction
from tollway.proxy.guardrails.external.asking import ANSWER_BYTES_MAX, Asker, Unanswered, read, written
from tollway.proxy.guardrails.external.kinds import Kinds
from tollway.proxy.outside import Edit, Judgement, Remark

BETWEEN = "\n\n"
"""What stands between two texts."""


class _Finding(msgspec.Struct):
    entity_type: str
    start: int
    end: int
    score: float = 1.0


class Presidio:
    """Asks the analyzer at ``url``. ``actions`` holds what is looked for, by Presidio's names."""

    def __init__(
        self, url: str, actions: Mapping[str, Action], asker: Asker, *, language: str = "en", threshold: float = 0.5
    ) -> None:
        self._url = f"{url.rstrip('/')}/analyze"
        self._actions = dict(actions)
        self._asker = asker
        self._language = language
        self._threshold = threshold

    async def ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """As :class:`~.steady.Judge` says."""
        joined = BETWEEN.join(texts)
        question = {
            "text": joined,
            "language": self._language,
            "score_threshold": self._threshold,
            "entities": sorted(self._actions),
        }
        body = await written(question, texts)
        answer = await self._asker.ask(self._url, [("content-type", "application/json")], body, ANSWER_BYTES_MAX)
        return self._judgement(await read(answer, list[_Finding]), texts, len(joined))

    def _judgement(self, findings: list[_Finding], texts: Sequence[str], length: int) -> Judgement:
        kinds = Kinds()
        starts = []
        begin = 0
        for text in texts:
            starts.append(begin)
            begin += len(text) + len(BETWEEN)
        edits, remarks = [], []
        for finding in findings:
            if not 0 <= finding.start < finding.end <= length:
                raise Unanswered("a finding outside the texts")
            action = self._actions.get(finding.entity_type, "allow")
            if action == "allow" or finding.score < self._threshold:
                continue
            kind = kinds.plain(finding.entity_type)
            if action == "block":
                remarks.append(Remark(kind, action))
                continue
            edits += _placed(finding, kind, action, texts, starts)
        return Judgement(tuple(edits), tuple(remarks))


def _placed(finding: _Finding, kind: str, action: Action, texts: Sequence[str], starts: Sequence[int]) -> list[Edit]:
    """A finding in the texts that it touches."""
    edits = []
    for index in range(bisect_right(starts, finding.start) - 1, bisect_right(starts, finding.end - 1)):
        start = max(finding.start - starts[index], 0)
        end = min(finding.end - starts[index], len(texts[index]))
        if start < end:
            edits.append(Edit(index, start, end, kind, action))
    return edits
