"""Rows of the gateway's own calls: what a provider bills is told, and billed to nobody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.telemetry import counted
from tests.proxy.edge import record, target
from tests.proxy.usage.test_journal import rows_in

from tollway.contract.prices import TenantPrices
from tollway.contract.usage import UsageRow
from tollway.errors import DependencyUnavailable
from tollway.proxy.own_calls import OwnCall
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.own_calls import OwnCalls
from tollway.telemetry.metrics import Metrics

ANSWER = b'{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":9,"total_tokens":9}}'


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / "journal").mkdir()
    made = Journal(tmp_path / "journal")
    yield made
    made.close()


@pytest.fixture
def books(journal: Journal, metrics: Metrics) -> OwnCalls:
    return OwnCalls(journal, lambda: "own-1", metrics)


def call(**changes: Any) -> OwnCall:
    asked = {"at_us": 1_700_000_000_000_000, "took_ms": 12, "status": 200, "body": ANSWER, **changes}
    caller = record(prices=TenantPrices(factor_millionths=2_000_000))
    return OwnCall(caller, "ours", target("embed-1"), "embeddings", 41, **asked)


def row_of(told: OwnCall, books: OwnCalls, tmp_path: Path) -> UsageRow:
    books.record(told)
    [row] = rows_in(tmp_path / "journal")
    return row


def test_a_call_has_a_row_on_the_operators_account(books: OwnCalls, tmp_path: Path, metrics: Metrics) -> None:
    row = row_of(call(), books, tmp_path)
    assert (row.id, row.request_id, row.tenant_id, row.api_key_id) == ("own-1", "own-1", "tenant-1", "key-1")
    assert (row.role, row.charged, row.model, row.provider, row.provider_model) == (
        ("shadow", (), "ours", "fake", "embed-1")
    )
    assert (row.prompt_tokens, row.completion_tokens, row.usage_source) == (9, 0, "told")
    assert (row.cost_picousd, row.price_version) == (9_000, "test"), "as listed: no tenant has agreed upon it"
    assert (row.outcome, row.http_status, row.latency_ms, row.at_us) == ("ok", 200, 12, 1_700_000_000_000_000)
    assert sum(counted(metrics, "tollway_cost_usd_total").values()) == pytest.approx(9e-9)


@pytest.mark.parametrize("body", [b"{}", b"nonsense", b'{"data":[],"usage":{}}'])
def test_tokens_that_were_not_told_are_estimated(body: bytes, books: OwnCalls, tmp_path: Path) -> None:
    row = row_of(call(body=body), books, tmp_path)
    assert (row.prompt_tokens, row.usage_source, row.outcome) == (11, "estimated", "ok")


def test_a_call_that_was_given_up_may_have_been_billed(books: OwnCalls, tmp_path: Path) -> None:
    row = row_of(call(status=0, body=None), books, tmp_path)
    assert (row.outcome, row.prompt_tokens, row.cost_picousd) == ("cut", 11, 11_000)


def test_a_refusal_costs_nothing(books: OwnCalls, tmp_path: Path) -> None:
    row = row_of(call(status=429, body=b"{}"), books, tmp_path)
    assert (row.outcome, row.http_status, row.prompt_tokens, row.cost_picousd) == ("error", 429, 0, 0)


def test_where_rows_can_not_be_written_none_is_to_be_made(books: OwnCalls, journal: Journal) -> None:
    books.check_room()
    journal.full = True
    with pytest.raises(DependencyUnavailable):
        books.check_room()
