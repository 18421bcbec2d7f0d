"""Providers' own exports are read whole, or refused in words that show nothing of them."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.admin.organization import UsageCompletionsResponse, UsageCostsResponse

from tollway.control.billing.invoices import Form, Told, read_account
from tollway.errors import InvalidRequest

DAY = date(2027, 1, 31)
START = 1801353600  # the beginning of that day
OPENAI_USAGE: dict[str, Any] = {
    "object": "page",
    "has_more": False,
    "next_page": None,
    "data": [
        {
            "object": "bucket",
            "start_time": START,
            "end_time": START + 86400,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "num_model_requests": 5,
                    "model": model,
                    "batch": batch,
                }
                for model, batch in (("gpt-4o-2024-08-06", False), ("gpt-4o-2024-08-06", True), ("gpt-4o-mini", False))
            ],
        },
        {"object": "bucket", "start_time": START + 86400, "end_time": START + 2 * 86400, "results": []},
    ],
}
OPENAI_COSTS: dict[str, Any] = {
    "object": "page",
    "has_more": False,
    "next_page": None,
    "data": [
        {
            "object": "bucket",
            "start_time": START,
            "end_time": START + 86400,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": value, "currency": "usd"},
                    "line_item": item,
                    "project_id": None,
                }
                for item, value in (("gpt-4o-mini, input", 0.1), ("gpt-4o-mini, cached input", 0.2), (None, 3))
            ],
        }
    ],
}
ANTHROPIC_USAGE: dict[str, Any] = {
    "data": [
        {
            "starting_at": "2027-01-31T00:00:00Z",
            "ending_at": "2027-02-01T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 100,
                    "cache_read_input_tokens": 30,
                    "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 7},
                    "output_tokens": 40,
                    "server_tool_use": {"web_search_requests": 1},
                    "model": "claude-sonnet-4-20250514",
                    "service_tier": "standard",
                    "api_key_id": None,
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
ANTHROPIC_COSTS: dict[str, Any] = {
    "data": [
        {
            "starting_at": "2027-01-31T00:00:00Z",
            "ending_at": "2027-02-01T00:00:00Z",
            "results": [
                {
                    "amount": amount,
                    "currency": "USD",
                    "cost_type": kind,
                    "description": description,
                    "model": model,
                    "token_type": None,
                }
                for amount, kind, description, model in (
                    ("123.78912", "tokens", "Claude Sonnet 4 Usage - Input Tokens", "claude-sonnet-4-20250514"),
                    ("10", "web_search", "Web Search Usage", None),
                )
            ],
        }
    ],
    "has_more": True,
    "next_page": "page",
}
FORMS: list[tuple[Form, dict[str, Any]]] = [
    ("openai", OPENAI_USAGE),
    ("openai", OPENAI_COSTS),
    ("anthropic", ANTHROPIC_USAGE),
    ("anthropic", ANTHROPIC_COSTS),
]
PLAIN = b"""day,model,requests,input_tokens,cached_tokens,output_tokens,cost_usd
2027-01-31,m,2,10,4,5,0.25
2027-01-31,m,1,1,,1,
2027-01-31T12:00:00+00:00,n,,,,,1e-6
"""


def test_the_samples_are_what_the_official_client_reads() -> None:
    usage = UsageCompletionsResponse.model_validate(OPENAI_USAGE)
    costs = UsageCostsResponse.model_validate(OPENAI_COSTS)
    assert usage.data[0].results[0].object == "organization.usage.completions.result"
    assert costs.data[0].results[0].object == "organization.costs.result"


def test_openai_s_usage_is_summed_by_day_and_model() -> None:
    first, second = read_account(json.dumps(OPENAI_USAGE).encode(), "openai")
    assert first == Told(
        day=DAY,
        model="gpt-4o-2024-08-06",
        requests=10,
        input_tokens=2000,
        cached_tokens=1600,
        output_tokens=1000,
    )
    assert (second.model, second.requests) == ("gpt-4o-mini", 5)


def test_openai_s_costs_are_exact_and_by_the_model_of_the_line() -> None:
    total, mini = read_account(json.dumps(OPENAI_COSTS).encode(), "openai")
    assert mini == Told(day=DAY, model="gpt-4o-mini", cost_usd=Decimal("0.3"))
    assert total == Told(day=DAY, model="", cost_usd=Decimal(3))


def test_anthropic_s_prompts_are_all_that_was_read() -> None:
    (told,) = read_account(json.dumps(ANTHROPIC_USAGE).encode(), "anthropic")
    assert told == Told(
        day=DAY,
        model="claude-sonnet-4-20250514",
        input_tokens=142,
        cached_tokens=30,
        cache_write_tokens=12,
        output_tokens=40,
    )


def test_anthropic_s_amounts_are_cents() -> None:
    search, sonnet = read_account(json.dumps(ANTHROPIC_COSTS).encode(), "anthropic")
    assert (search.model, search.cost_usd) == ("Web Search Usage", Decimal("0.10"))
    assert (sonnet.model, sonnet.cost_usd) == ("claude-sonnet-4-20250514", Decimal("1.2378912"))


@pytest.mark.parametrize(("form", "page"), FORMS)
def test_pages_may_be_an_array_or_a_line_each(form: Form, page: dict[str, Any]) -> None:
    one = json.dumps(page)
    twice = read_account(f"[{one}, {one}]".encode(), form)
    assert read_account(f"{one}\n\n{one}\n".encode(), form) == twice
    assert len(twice) == len(read_account(one.encode(), form))


def test_a_plain_csv_says_what_it_says() -> None:
    m, n = read_account(PLAIN, "csv")
    assert m == Told(
        day=DAY, model="m", requests=3, input_tokens=11, cached_tokens=4, output_tokens=6, cost_usd=Decimal("0.25")
    )
    assert n == Told(day=DAY, model="n", cost_usd=Decimal("0.000001"))


def test_the_dashboards_csvs_are_read() -> None:
    costs = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\r\n"
        '1,2,2027-01-31T00:00:00+00:00,x,0.8958740000000000,usd,"gpt-4o, output",\r\n'
        "1,2,2027-02-01T00:00:00+00:00,x,,,,\r\n"
    )
    assert read_account(b"\xef\xbb\xbf" + costs.encode(), "openai") == [
        Told(day=DAY, model="gpt-4o", cost_usd=Decimal("0.895874")),
        Told(day=date(2027, 2, 1)),
    ]
    usage = (
        "start_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\n"
        "2027-01-31T00:00:00+00:00,p,3,gpt-4o,100,20,40\n"
    )
    assert read_account(usage.encode(), "openai") == [
        Told(day=DAY, model="gpt-4o", requests=3, input_tokens=100, cached_tokens=40, output_tokens=20)
    ]
    usage = (
        "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2027-01-31,claude-x,k,100,5,7,30,40\n"
    )
    (told,) = read_account(usage.encode(), "anthropic")
    assert (told.input_tokens, told.cached_tokens, told.cache_write_tokens, told.output_tokens) == (142, 30, 12, 40)
    costs = "usage_date_utc,model,token_type,cost_usd\n2027-01-31,claude-x,input,0.5\n2027-01-31,,,0.1\n"
    assert [each.cost_usd for each in read_account(costs.encode(), "anthropic")] == [Decimal("0.1"), Decimal("0.5")]


@pytest.mark.parametrize(
    ("content", "form", "said"),
    [
        (b"\xff", "csv", "UTF-8"),
        (b"a,b\n1,2\n", "csv", "lacks columns"),
        (b"", "csv", "lacks columns"),
        (b"day,model\nsoon,m\n", "csv", "Line 2: A day"),
        (b"day,model\n0001-01-01T00:00:00+14:00,m\n", "csv", "Line 2: A day"),
        (b"day,model,requests\n2027-01-31,m,-1\n", "csv", "Line 2: requests"),
        (b"day,model,cost_usd\n2027-01-31,m,NaN\n", "csv", "Line 2: A cost"),
        (b"day,model,cost_usd\n2027-01-31,m,1e99\n", "csv", "Line 2: A cost"),
        (b'day,model\n2027-01-31,"m\n', "csv", "no line of a CSV"),
        (b"{", "openai", "not JSON"),
        (b"[[[[", "anthropic", "not a page"),
        (b'{"data": ' + b"[" * 100_000, "anthropic", "not"),
        (b'{"data": [{"start_time": "canary", "results": []}]}', "openai", "data"),
        (b'{"data": [{"start_time": 99999999999999, "results": [{}]}]}', "openai", "Unix time"),
        (
            b'{"data": [{"start_time": 1, "results": [{"amount": {"value": 1, "currency": "eur"}}]}]}',
            "openai",
            "US dollars",
        ),
    ],
)
def test_what_is_not_understood_is_refused_and_not_shown(content: bytes, form: Form, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_account(content, form)
    assert said in caught.value.outside
    assert "canary" not in caught.value.outside


_ODD: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in below for found in _paths(each, (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], to: object) -> Any:
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], to)
    return copy


@given(st.data(), st.sampled_from(FORMS))
def test_any_record_with_another_type_is_read_or_refused(data: st.DataObject, sample: tuple[Form, Any]) -> None:
    form, page = sample
    changed = _changed(page, data.draw(st.sampled_from(_paths(page))), data.draw(_ODD))
    _survives(json.dumps(changed).encode(), form)


@given(st.data(), st.sampled_from([*FORMS, ("csv", None)]))
def test_any_cut_or_zeroed_file_is_read_or_refused(data: st.DataObject, sample: tuple[Form, Any]) -> None:
    form, page = sample
    content = PLAIN if page is None else json.dumps(page).encode()
    at, end = sorted(data.draw(st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))))
    _survives(content[:at] + b"\x00" * (end - at) + content[end:], form)
    _survives(content[:at], form)


@given(st.binary(max_size=200), st.sampled_from(["openai", "anthropic", "csv"]))
def test_any_bytes_are_read_or_refused(content: bytes, form: Form) -> None:
    _survives(content, form)
    _survives(b"day,model,requests,cost_usd\n" + content, "csv")


def _survives(content: bytes, form: Form) -> None:
    try:
        read_account(content, form)
    except InvalidRequest:
        return
