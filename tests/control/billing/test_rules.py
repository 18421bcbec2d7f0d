from datetime import UTC, date, datetime

import pytest

from tollway.control.billing import rules
from tollway.errors import Conflict, InvalidRequest
from tollway.settings import read

PROVIDERS = read(
    """
version: 1
providers:
  main: {kind: openai, api_key: provider-key-canary}
  spare: {kind: openai, api_key: provider-key-canary-2}
  claude: {kind: anthropic, api_key: provider-key-canary-3}
  near: {kind: vllm, base_url: "http://127.0.0.1:1"}
""",
    {},
).providers


@pytest.mark.parametrize(
    ("provider", "names", "form"),
    [
        ("main", ["main"], "openai"),
        ("openai", ["main", "spare"], "openai"),
        ("claude", ["claude"], "anthropic"),
        ("vllm", ["near"], "csv"),
        ("gone", ["gone"], "csv"),
    ],
)
def test_a_provider_is_a_name_or_a_kind(provider: str, names: list[str], form: str) -> None:
    assert rules.accounts(rules.ReconcileQuery(provider=provider), PROVIDERS) == (names, form)
    assert rules.accounts(rules.ReconcileQuery(provider=provider, form="csv"), PROVIDERS) == (names, "csv")


def test_a_month_ends_where_the_next_begins() -> None:
    assert rules.month_end(rules.month("2027-12")) == datetime(2028, 1, 1, tzinfo=UTC)
    assert rules.month_end(date(2027, 1, 1)) == datetime(2027, 2, 1, tzinfo=UTC)


def test_a_month_is_closed_from_its_end_on() -> None:
    with pytest.raises(Conflict):
        rules.may_close(date(2027, 1, 1), datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC))
    rules.may_close(date(2027, 1, 1), datetime(2027, 2, 1, tzinfo=UTC))


def test_sums_are_exported_by_whole_days_and_calls_as_they_were() -> None:
    start, end = datetime(2027, 1, 1, 7, tzinfo=UTC), datetime(2027, 1, 3, 0, 0, 1, tzinfo=UTC)
    daily = rules.export(rules.ExportDraft(what="daily", start=start, end=end))
    assert (daily.start, daily.end) == (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC))
    rows = rules.export(rules.ExportDraft(what="rows", start=start, end=end))
    assert (rows.start, rows.end) == (start, end)
    month = rules.export(rules.ExportDraft(what="focus", month="2027-01"))
    assert (month.start, month.end) == (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("by", ["", ",", "tenant,", "tenant,tenant", "a", "tenant,model,key", "tenant; drop table"])
def test_what_is_no_dimension_is_refused(by: str) -> None:
    with pytest.raises(InvalidRequest):
        rules.grouping(by, None)
