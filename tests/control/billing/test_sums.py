"""``/api/v1/billing/usage`` and ``costs``: sums of the roll-ups, always those of the rows."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.control.conftest import Api
from tests.control.test_usage import ROW

from tollway.contract.usage import Costs, UsageRow
from tollway.storage.usage import insert_usage

USAGE, COSTS = "/api/v1/billing/usage", "/api/v1/billing/costs"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN = datetime(2027, 1, 30, 9, 30, tzinfo=UTC)
FIELDS = {"tenant": "tenant_id", "key": "api_key_id", "user": "user_id", "model": "model", "provider": "provider"}


def _rows(count: int) -> list[UsageRow]:
    chance = random.Random(4)
    found = []
    for number in range(count):
        costs = Costs(input=chance.randrange(10**9), output=chance.randrange(10**9), other=chance.randrange(100))
        at = BEGIN + timedelta(minutes=chance.randrange(60 * 24 * 5))
        found.append(
            msgspec.structs.replace(
                ROW,
                id=f"row-{number:04}",
                at_us=(at - EPOCH) // timedelta(microseconds=1),
                tenant_id=chance.choice(("acme", "globex")),
                user_id=chance.choice((None, "alice", "bob")),
                model=chance.choice(("small", "large")),
                provider=chance.choice(("openai", "azure")),
                tags=chance.choice(((), ("team=a",), ("team=b", "env=test"))),
                costs=costs,
                cost_picousd=sum(msgspec.structs.astuple(costs)),
            )
        )
    return found


def _value(row: UsageRow, dimension: str) -> str:
    return str(getattr(row, FIELDS[dimension]) or "")


def _at(row: UsageRow) -> datetime:
    return EPOCH + timedelta(microseconds=row.at_us)


async def _all(api: Api, path: str, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        reply = await api("GET", f"{path}?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert reply.status == 200, reply.body
        found += reply.body["data"]
        cursor = reply.body["next_cursor"]
    return found


async def _stored(api: Api, count: int = 300) -> list[UsageRow]:
    rows = _rows(count)
    async with api.pool.acquire() as connection:
        await insert_usage(connection, rows)
    return rows


@pytest.mark.parametrize("every", ["", "hour", "day", "month"])
@pytest.mark.parametrize("by", ["tenant", "user,model", "provider,key"])
async def test_sums_are_those_of_the_rows(api: Api, by: str, every: str) -> None:
    """Over a range that begins and ends inside a day, page by page."""
    rows = await _stored(api)
    start, end = datetime(2027, 1, 31, 7, tzinfo=UTC), datetime(2027, 2, 3, 22, tzinfo=UTC)
    expected: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0])
    form = {"": "", "hour": "%Y-%m-%dT%H:00:00Z", "day": "%Y-%m-%dT00:00:00Z", "month": "%Y-%m-01T00:00:00Z"}[every]
    for row in rows:
        if start <= _at(row) < end:
            key = (_at(row).strftime(form) or None, *(_value(row, name) for name in by.split(",")))
            expected[key][0] += 1
            expected[key][1] += row.cost_picousd or 0
    query = f"start=2027-01-31T07:00:00Z&end=2027-02-03T22:00:00Z&limit=7&by={by}" + (
        f"&every={every}" if every else ""
    )
    found = await _all(api, USAGE, query)
    told = {
        (line["at"], line["value"], *([line["second"]["value"]] if line["second"] else [])): [
            line["calls"],
            int(Decimal(line["cost_usd"]).scaleb(12)),
        ]
        for line in found
    }
    assert told == expected
    places = [(line["at"] or "", line["value"], (line["second"] or {}).get("value", "")) for line in found]
    assert places == sorted(places)


async def test_a_range_is_one_of_whole_hours(api: Api) -> None:
    rows = await _stored(api)
    start, end = "2027-02-01T10:59:59Z", "2027-02-01T14:00:01Z"
    (line,) = await _all(api, USAGE, f"start={start}&end={end}&every=month")
    assert line["calls"] == sum(
        datetime(2027, 2, 1, 10, tzinfo=UTC) <= _at(row) < datetime(2027, 2, 1, 15, tzinfo=UTC) for row in rows
    )
    assert line["value"] == ""


async def test_a_call_is_in_the_sum_of_each_of_its_tags(api: Api) -> None:
    rows = await _stored(api)
    span = "start=2027-01-01T00:00:00Z&end=2027-03-01T00:00:00Z"
    found = {line["value"]: line["calls"] for line in await _all(api, USAGE, f"{span}&by=tag")}
    assert found == {tag: sum(tag in row.tags for row in rows) for tag in ("team=a", "team=b", "env=test")}
    by_model = await _all(api, USAGE, f"{span}&by=model&tag=team%3Da")
    assert sum(line["calls"] for line in by_model) == found["team=a"]


async def test_a_user_selects(api: Api) -> None:
    rows = await _stored(api)
    (line,) = await _all(api, USAGE, "start=2027-01-01T00:00:00Z&end=2027-03-01T00:00:00Z&by=user&user=alice")
    assert line["calls"] == sum(row.user_id == "alice" for row in rows)


async def test_costs_are_told_by_kind_and_together_they_are_the_cost(api: Api) -> None:
    rows = await _stored(api, 40)
    found = await _all(api, COSTS, "start=2027-01-01T00:00:00Z&end=2028-01-01T00:00:00Z&by=model")
    for line in found:
        costs = {kind: int(Decimal(cost).scaleb(12)) for kind, cost in line["costs_usd"].items()}
        of_model = [row.costs for row in rows if row.model == line["value"] and row.costs]
        assert costs["input"] == sum(cost.input for cost in of_model)
        assert costs["output"] == sum(cost.output for cost in of_model)
        assert costs["other"] == sum(cost.other for cost in of_model)
        assert costs["unsplit"] == 0
        assert sum(costs.values()) == int(Decimal(line["cost_usd"]).scaleb(12))
    assert {line["value"] for line in found} == {"small", "large"}
