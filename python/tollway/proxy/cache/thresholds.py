"""How sure the verifier must be, learned apart for each region of tenant, model and band of similarity.

In: what somebody said of hits, one by one. Out: the threshold of a region. Pure: no clock, no I/O, no chance.

A region's threshold is the lowest of :data:`EDGES` above which the share of wrong hits is at most ``max_wrong`` by the
upper end of the 95 % interval of Clopper and Pearson (1934, "The use of confidence or fiducial limits illustrated in
the case of the binomial", Biometrika 26): so few wrong ones among so many would be seen in at most one case out of
forty if the share were larger. It must hold at each edge in between, too. What counts are the region's last
:data:`MOST_HITS` verdicts, and beside them :data:`PRIOR`, as if it were verdicts, with which each region begins. Many
good ones above an edge make room for the next lower one, whose hits are then judged themselves. Where no edge holds, as
at the beginning for a strict bound, the surest hits are served until verdicts refute them.

What it does not promise. The bound is for one look at verdicts that are drawn evenly from the hits, as those of shadow
calls are. Clients tell of wrong answers rather than of good ones, which makes thresholds higher than they need be; who
tells of good ones alone makes them too low, for his own tenant. It is looked at after each verdict and over several
edges, so that now and then an edge is taken too early; the verdicts that follow take it back. And a region whose
answers change is judged by the old ones until as many new ones have come.
"""

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from tollway.contract.cache import Feedback, SemanticCaching

EDGES: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
"""The thresholds that there are to choose from; bins of confidence begin at them."""

TRIED: Final = (0.985, 0.99, 0.995)
"""What is tried where too little is known for any of them: the lowest that has not been wrong too often."""

NEVER: Final = math.inf
"""The threshold of a region whose surest hits are wrong too often."""

PRIOR: Final = (
    *((7, 4), (7, 4), (4, 3), (5, 2), (5, 2), (4, 2), (4, 1), (6, 1)),
    *((3, 1), (3, 0), (3, 0), (3, 1), (2, 0), (14, 0), (10, 0), (10, 0)),
)
"""What a region begins with: hits by bin, and how many of them are wrong. About what the verifier's hits on the
development pairs were like, rounded and few, so that a region's own verdicts soon outweigh them."""

MOST_HITS: Final = 4_096
"""Of a region, the last ones count."""

MOST_REGIONS: Final = 4_096
"""A worker remembers those that were asked for, or heard of, last; any other begins anew."""

_DOUBT: Final = 0.025
"""On each side of a 95 % interval."""

_REFUTED: Final = 0.001
"""It is looked at after each verdict, and nothing brings hits back soon: so chance must hardly explain it."""

_SLACK: Final = 1e-9
"""Sums of floats are good to more digits than this, and err on the side of doubt."""


class Thresholds:
    """One worker's."""

    def __init__(self, prior: Sequence[tuple[int, int]] = PRIOR) -> None:
        self._prior = prior
        self._regions: OrderedDict[str, _Region] = OrderedDict()
        self._unheard = _Region(prior)

    def of(self, policy: SemanticCaching, region: str) -> float:
        """The least confidence that serves in the region; ``policy.threshold`` itself unless it is adaptive."""
        if not policy.adaptive:
            return policy.threshold
        found = self._regions.get(region)
        if found is None:
            return self._unheard.threshold(policy.max_wrong)
        self._regions.move_to_end(region)
        return found.threshold(policy.max_wrong)

    def learn(self, feedback: Feedback) -> None:
        """Takes a verdict into account. A hit that no threshold here could have served is passed over."""
        at = bisect_right(EDGES, feedback.confidence) - 1
        if at < 0:
            return
        region = self._regions.get(feedback.region)
        if region is None:
            region = self._regions[feedback.region] = _Region(self._prior)
            if len(self._regions) > MOST_REGIONS:
                self._regions.popitem(last=False)
        self._regions.move_to_end(feedback.region)
        region.learn(at, is_wrong=feedback.verdict == "wrong")

    def forget(self) -> None:
        """Begins anew, so that only what is told from now on counts."""
        self._regions.clear()


class _Region:
    """Verdicts by bin: the last ones in order, and their counts, to which the prior's are added."""

    __slots__ = ("_hits", "_last", "_next", "_prior", "_thresholds", "_wrong")

    def __init__(self, prior: Sequence[tuple[int, int]]) -> None:
        self._prior = prior
        self._hits = [0] * len(EDGES)
        self._wrong = [0] * len(EDGES)
        self._last = bytearray()
        self._next = 0
        self._thresholds: dict[float, float] = {}

    def learn(self, at: int, *, is_wrong: bool) -> None:
        verdict = at << 1 | is_wrong
        if len(self._last) < MOST_HITS:
            self._last.append(verdict)
        else:
            self._count(self._last[self._next], -1)
            self._last[self._next] = verdict
            self._next = (self._next + 1) % MOST_HITS
        self._count(verdict, 1)
        self._thresholds.clear()

    def _count(self, verdict: int, by: int) -> None:
        self._hits[verdict >> 1] += by
        self._wrong[verdict >> 1] += by * (verdict & 1)

    def threshold(self, max_wrong: float) -> float:
        known = self._thresholds.get(max_wrong)
        if known is None:
            if len(self._thresholds) >= len(EDGES):  # policies of one region with ever other bounds
                self._thresholds.clear()
            known = self._thresholds[max_wrong] = self._lowest(max_wrong)
        return known

    def _lowest(self, max_wrong: float) -> float:
        found: float | None = None
        hits = wrong = 0
        for at in range(len(EDGES) - 1, -1, -1):
            hits += self._hits[at] + self._prior[at][0]
            wrong += self._wrong[at] + self._prior[at][1]
            if is_bounded(wrong, hits, max_wrong):
                found = EDGES[at]
            elif found is not None:
                break
        if found is not None:
            return found
        return next((edge for edge in TRIED if not self._has_failed(edge, max_wrong)), NEVER)

    def _has_failed(self, edge: float, max_wrong: float) -> bool:
        """Whether what is tried is wrong too often: beyond chance, or else, where there is a higher edge, for the
        bound, or for the strictest that as many good hits could prove: so no looser bound fails what a stricter one
        tries. Good hits above it give it another try."""
        at = EDGES.index(edge)
        hits = sum(self._hits[at:]) + sum(count for count, _ in self._prior[at:])
        wrong = sum(self._wrong[at:]) + sum(count for _, count in self._prior[at:])
        strictest = 1.0 - _DOUBT ** (1.0 / max(1, hits))
        has_higher = edge < TRIED[-1]
        return is_refuted(wrong, hits, max_wrong) or (has_higher and wrong > hits * max(max_wrong, strictest))


def is_bounded(wrong: int, hits: int, share: float) -> bool:
    """Whether the 95 % interval of Clopper and Pearson for ``wrong`` out of ``hits`` ends at ``share`` or below.

    It ends where the binomial distribution of that share has a fortieth at ``wrong`` and below.
    """
    if share >= 1.0:
        return True
    if wrong >= hits * share:  # half of the distribution is there, or more
        return False
    return _at_most(wrong, hits, share) <= _DOUBT - _SLACK


def is_refuted(wrong: int, hits: int, share: float) -> bool:
    """Whether chance hardly explains ``wrong`` or more out of ``hits``: in one case out of a thousand, were the true
    share no larger than ``share``."""
    if wrong <= hits * min(share, 1.0):
        return False
    return 1.0 - _at_most(wrong - 1, hits, share) < _REFUTED


def _at_most(wrong: int, hits: int, share: float) -> float:
    """P(X <= wrong) of the binomial distribution of ``hits`` with 0 < ``share`` < 1, from its largest term on."""
    start = min(wrong, int((hits + 1) * share))
    log = math.lgamma(hits + 1) - math.lgamma(start + 1) - math.lgamma(hits - start + 1)
    first = math.exp(log + start * math.log(share) + (hits - start) * math.log1p(-share))
    terms, term, odds = [first], first, share / (1.0 - share)
    for count in range(start, 0, -1):
        term *= count / ((hits - count + 1) * odds)
        terms.append(term)
        if term < first * 1e-18:
            break
    term = first
    for count in range(start + 1, wrong + 1):
        term *= (hits - count + 1) * odds / count
        terms.append(term)
        if term < first * 1e-18:
            break
    return min(1.0, math.fsum(terms))
