"""The comparison of three books: what clients heard, what rows say, what tenants are said to have spent.

In: the calls, the rows of ``usage_logs``, the tenants' spend. Out: figures and checks. It asks nobody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from benches.drills.load import Heard
from benches.drills.report import Check, Figures

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """What is compared. ``spent`` is ``tenants.current_spend`` by tenant id; ``ceiling`` a budget in US dollars;
    ``rolled`` are calls and cost as each table of sums has them.

    A row is the answer's: rows of hedges and shadows are calls of the gateway's own.
    """

    heard: Sequence[Heard]
    rows: Sequence[Row]
    spent: Mapping[str, Decimal]
    ceiling: Decimal | None = None
    rolled: Mapping[str, tuple[int, Decimal]] = field(default_factory=dict)

    @property
    def answered(self) -> set[str]:
        """The calls whose clients have a whole answer."""
        return {heard.call for heard in self.heard if heard.is_answered}

    @property
    def missing(self) -> set[str]:
        """Answers without a row."""
        return self.answered - self._counted.keys()

    @property
    def doubled(self) -> set[str]:
        """Calls with more than one row."""
        return {call for call, count in self._counted.items() if count > 1}

    @property
    def strangers(self) -> set[str]:
        """Rows of calls that nobody made, or that were refused: money for nothing."""
        refused = {heard.call for heard in self.heard if is_refused(heard)}
        return self._counted.keys() - ({heard.call for heard in self.heard} - refused)

    @property
    def cost(self) -> Decimal:
        """The sum of the rows that have a price."""
        return sum((row["cost"] for row in self.rows if row["cost"] is not None), Decimal(0))

    @property
    def gaps(self) -> dict[str, Decimal]:
        """By tenant, how far its spend is from the sum of its rows, where it is."""
        sums: dict[str, Decimal] = dict.fromkeys(self.spent, Decimal(0))
        for row in self.rows:
            if row["cost"] is not None and row["role"] != "shadow" and row["tenant_id"] in sums:
                sums[row["tenant_id"]] += row["cost"]
        found = {tenant: spent - sums[tenant] for tenant, spent in self.spent.items()}
        return {tenant: gap for tenant, gap in found.items() if gap}

    @property
    def overspend(self) -> Decimal:
        """Money above the ceiling; without one, money said to be spent that no row stands for."""
        if self.ceiling is not None:
            return max(Decimal(0), self.cost - self.ceiling)
        return sum((gap for gap in self.gaps.values() if gap > 0), Decimal(0))

    def sums(self, column: str) -> dict[str, tuple[int, Decimal]]:
        """By value of a column, how many calls there were and what they cost."""
        found: dict[str, tuple[int, Decimal]] = {}
        for row in self.rows:
            if row["role"] == "answer":
                calls, cost = found.get(row[column], (0, Decimal(0)))
                found[row[column]] = calls + 1, cost + (row["cost"] or 0)
        return found

    def figures(self) -> Figures:
        """One line of the table."""
        return Figures(
            requests=len(self.heard),
            admitted=sum(1 for heard in self.heard if heard.status == 200),
            refused=sum(1 for heard in self.heard if is_refused(heard)),
            rows=len(self.rows),
            cost_usd=self.cost,
            duplicates=len(self.doubled),
            missing=len(self.missing),
            overspend_usd=self.overspend,
        )

    def checks(self) -> list[Check]:
        """What holds in every drill."""
        rolled = {name: told for name, told in self.rolled.items() if told != (len(self.rows), self.cost)}
        ids = {heard.call for heard in self.heard if heard.request_id not in (None, heard.call)}
        return [
            Check("every answer has its row", not self.missing, some(self.missing)),
            Check("no call has two rows", not self.doubled, some(self.doubled)),
            Check(
                "no row is of a call that nobody made, or that was refused", not self.strangers, some(self.strangers)
            ),
            Check("clients are told the request id that the row has", not ids, some(ids)),
            Check("current_spend is the sum of the rows", not self.gaps, some(map(str, self.gaps.values()))),
            *(
                Check(f"{name} has the sums of the rows", name not in rolled, f"{calls} calls, ${cost}")
                for name, (calls, cost) in self.rolled.items()
            ),
        ]

    @property
    def _counted(self) -> Counter[str]:
        return Counter(row["request_id"] for row in self.rows if row["role"] == "answer")


def is_refused(heard: Heard) -> bool:
    """Whether the gateway said no before it asked a provider: 4xx and 503, which say so by themselves."""
    return heard.status is not None and (400 <= heard.status < 500 or heard.status == 503)


def most_in_a_window(times_s: Iterable[float], window_s: float) -> int:
    """The most moments that any half-open window of this length holds."""
    times = sorted(times_s)
    most = first = 0
    for last, moment in enumerate(times):
        while moment - times[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed; 0 where there is none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(place, len(ordered) - 1)]


def some(names: Iterable[str], most: int = 3) -> str:
    """How many there are, and the first few; nothing where there is none."""
    found = sorted(names)
    if not found:
        return ""
    return f"{len(found)}: {', '.join(found[:most])}{' …' if len(found) > most else ''}"
