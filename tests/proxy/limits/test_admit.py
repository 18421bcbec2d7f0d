"""Station 2: limits as they are written become rules of the ledger, and refusals say what to do."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.telemetry import counted
from tests.proxy.edge import Client, arrive, ask, record, snapshot

from tollway._native import tokens
from tollway._native.limits import Ledger
from tollway.contract.limits import LimitRule, LimitValues
from tollway.errors import DependencyUnavailable, GatewayError, RateLimited, RequestTooLargeForLimit
from tollway.proxy.exchange import Admitted, Principal, Received
from tollway.proxy.limits.admit import INLINE_COUNT_BYTES, Admitter
from tollway.proxy.limits.book import LimitBook, compile_principal
from tollway.proxy.limits.expected import FIRST_TOKENS, MOST_TOKENS, Expectations
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.metrics import Metrics

UNLIMITED = LimitValues()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger", 1024)
    yield made
    made.close()


@pytest.fixture
def admitter(ledger: Ledger, metrics: Metrics) -> Admitter:
    return opened(ledger, metrics)


def opened(ledger: Ledger, metrics: Metrics, *rules: LimitRule) -> Admitter:
    """One that knows these rules, and the model ``m``."""
    known = msgspec.structs.replace(snapshot(), limit_rules=rules)
    return Admitter(ledger, LimitBook(known), Expectations(known, lambda target: None), Vocabularies(), metrics)


def caller(**limits: int) -> Principal:
    """A caller whose tenant has these limits."""
    return compile_principal(record(tenant_limits=LimitValues(**limits)), UNLIMITED)


def received(caller: Principal, **fields: Any) -> Received:
    return Received(arrive(Client()), caller, ask(**fields))


async def admit(admitter: Admitter, caller: Principal, **fields: Any) -> Admitted:
    return await admitter.admit(received(caller, **fields))


def standing(ledger: Ledger, caller: Principal) -> list[tuple[str, int, int]]:
    """Kind, limit and what is left, of each rule."""
    assert caller.limits is not None
    return [(kind, limit, left) for kind, limit, left, _ in ledger.status(caller.limits, time.time_ns() // 1_000_000)]


async def refused(admitter: Admitter, caller: Principal, **fields: Any) -> tuple[GatewayError, dict[bytes, bytes]]:
    """The refusal of a call, and the headers that it goes out with."""
    asked = received(caller, **fields)
    with pytest.raises(GatewayError) as caught:
        await admitter.admit(asked)
    return caught.value, dict(asked.arrival.connection.answer_headers)


@pytest.mark.parametrize(
    ("tenant", "key", "default", "rules"),
    [
        (None, None, UNLIMITED, None),
        (UNLIMITED, UNLIMITED, LimitValues(rpm=9), None),
        (None, None, LimitValues(rpm=9, tpm=8), [("requests", 9), ("tokens", 8)]),
        (LimitValues(tpm=5), None, LimitValues(rpm=9), [("tokens", 5)]),
        (None, LimitValues(concurrency=2), LimitValues(rpm=9), [("requests", 9), ("concurrency", 2)]),
        (LimitValues(rpm=5), LimitValues(rpm=3), UNLIMITED, [("requests", 5), ("requests", 3)]),
        (
            LimitValues(rpm=1, tpm=2, concurrency=3),
            LimitValues(rpm=4, tpm=5, concurrency=6),
            LimitValues(rpm=9),
            [("requests", 1), ("tokens", 2), ("concurrency", 3), ("requests", 4), ("tokens", 5), ("concurrency", 6)],
        ),
    ],
)
def test_a_callers_rules_are_its_tenants_own_or_the_default_and_its_keys_beside_them(
    ledger: Ledger,
    tenant: LimitValues | None,
    key: LimitValues | None,
    default: LimitValues,
    rules: list[tuple[str, int]] | None,
) -> None:
    compiled = compile_principal(record(tenant_limits=tenant, key_limits=key), default)
    if rules is None:
        assert compiled.limits is None
    else:
        assert [(kind, limit) for kind, limit, _ in standing(ledger, compiled)] == rules


async def test_keys_of_one_tenant_share_its_limits_and_have_their_own_for_themselves(
    ledger: Ledger, admitter: Admitter
) -> None:
    tenant, own = LimitValues(rpm=5), LimitValues(rpm=3)
    one, two, stranger = (
        compile_principal(record(key_id=key_id, tenant_id=tenant_id, tenant_limits=tenant, key_limits=own), UNLIMITED)
        for key_id, tenant_id in (("k1", "t1"), ("k2", "t1"), ("k3", "t2"))
    )
    for _ in range(2):
        await admit(admitter, one)
    await admit(admitter, two)
    assert standing(ledger, one) == [("requests", 5, 2), ("requests", 3, 1)]
    assert standing(ledger, two) == [("requests", 5, 2), ("requests", 3, 2)]
    assert standing(ledger, stranger) == [("requests", 5, 5), ("requests", 3, 3)]


async def test_a_caller_without_limits_reserves_nothing_and_gets_no_headers(admitter: Admitter) -> None:
    admitted = await admit(admitter, compile_principal(record(), UNLIMITED))
    assert admitted.reservation is None
    assert admitted.arrival.connection.answer_headers == []
    assert [span for span, _ in admitted.arrival.timing.spans] == ["admit"]


async def test_the_headers_are_openais_for_the_kinds_it_knows(ledger: Ledger, admitter: Admitter) -> None:
    admitted = await admit(admitter, caller(rpm=60, tpm=1000, concurrency=5), max_tokens=100)
    headers = dict(admitted.arrival.connection.answer_headers)
    reserved = ask().prompt_upper_bound() + 100
    assert headers.keys() == {
        b"x-ratelimit-%b-%b" % (what, kind)
        for what in (b"limit", b"remaining", b"reset")
        for kind in (b"requests", b"tokens")
    }
    assert (headers[b"x-ratelimit-limit-requests"], headers[b"x-ratelimit-remaining-requests"]) == (b"60", b"59")
    assert headers[b"x-ratelimit-limit-tokens"] == b"1000"
    assert headers[b"x-ratelimit-remaining-tokens"] == str(1000 - reserved).encode()
    for kind in (b"requests", b"tokens"):
        reset = headers[b"x-ratelimit-reset-" + kind]
        assert reset.endswith(b"s")
        assert 0 < float(reset.removesuffix(b"s")) <= 62


async def test_tokens_of_prompts_and_answers_have_headers_of_their_own(admitter: Admitter) -> None:
    limited = caller(input_tpm=1000, output_tpd=5000, output_tps=600, rpd=9)
    admitted = await admit(admitter, limited, max_tokens=100)
    headers = dict(admitted.arrival.connection.answer_headers)
    assert headers[b"x-ratelimit-remaining-input-tokens"] == str(1000 - ask().prompt_upper_bound()).encode()
    assert headers[b"x-ratelimit-limit-output-tokens"] == b"600"
    assert headers[b"x-ratelimit-remaining-output-tokens"] == b"500"
    assert headers[b"x-ratelimit-remaining-requests"] == b"8"
    assert b"x-ratelimit-limit-tokens" not in headers


@pytest.mark.parametrize(
    ("limits", "fields", "words"),
    [
        ({"rps": 1}, {}, "1 requests per second"),
        ({"rpd": 1}, {}, "1 requests per day"),
        ({"output_tph": 100}, {"max_tokens": 60}, "100 completion tokens per hour"),
        ({"tpd": 200}, {"max_tokens": 101}, "200 tokens per day"),
    ],
)
async def test_a_refusal_says_what_is_limited_in_which_time(
    admitter: Admitter, limits: dict[str, int], fields: dict[str, int], words: str
) -> None:
    limited = caller(**limits)
    await admit(admitter, limited, **fields)
    error, _ = await refused(admitter, limited, **fields)
    assert type(error) is RateLimited
    assert f"this tenant may use {words}." in error.outside


async def test_a_prompt_is_held_by_the_limit_of_prompts_alone(admitter: Admitter, metrics: Metrics) -> None:
    limited = caller(input_tpm=3)
    error, _ = await refused(admitter, limited)
    assert type(error) is RequestTooLargeForLimit
    assert counted(metrics, "tollway_limited_total") == {("input_tokens",): 1.0}


async def test_of_two_rules_of_a_kind_the_headers_tell_the_tighter(admitter: Admitter) -> None:
    both = compile_principal(record(tenant_limits=LimitValues(rpm=100), key_limits=LimitValues(rpm=3)), UNLIMITED)
    admitted = await admit(admitter, both)
    assert dict(admitted.arrival.connection.answer_headers)[b"x-ratelimit-limit-requests"] == b"3"
    for _ in range(2):
        await admit(admitter, both)
    _, headers = await refused(admitter, both)
    assert headers[b"x-ratelimit-limit-requests"] == b"3"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"


async def test_used_up_requests_are_refused_with_the_time_to_wait(admitter: Admitter, metrics: Metrics) -> None:
    tight = caller(rpm=1, tpm=1000)
    await admit(admitter, tight)
    error, headers = await refused(admitter, tight)
    assert type(error) is RateLimited
    assert error.outside.startswith("Rate limit reached: this tenant may use 1 requests per minute. Try again in ")
    assert error.retry_after_s is not None
    assert 0 < error.retry_after_s <= 62
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-limit-tokens"] == b"1000"
    assert counted(metrics, "tollway_limited_total") == {("requests",): 1.0}


async def test_a_refusal_names_whose_limit_it_is(admitter: Admitter) -> None:
    own = compile_principal(record(tenant_limits=LimitValues(rpm=9), key_limits=LimitValues(rpm=1)), UNLIMITED)
    await admit(admitter, own)
    error, _ = await refused(admitter, own)
    assert "this key may use 1 requests per minute" in error.outside


async def test_a_rules_refusal_tells_its_name_and_what_it_tells_apart_but_not_who(
    ledger: Ledger, metrics: Metrics
) -> None:
    rule = LimitRule("fair", LimitValues(rpm=1), ("user", "model"))
    admitter = opened(ledger, metrics, rule)
    anyone = compile_principal(record(), UNLIMITED)
    await admit(admitter, anyone, user="alice")
    error, headers = await refused(admitter, anyone, user="alice")
    assert "this user and model (rule fair) may use 1 requests per minute" in error.outside
    assert "alice" not in error.outside
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    await admit(admitter, anyone, user="bob")


async def test_the_calls_at_once_are_told_without_headers_and_a_slot_comes_back(
    admitter: Admitter, metrics: Metrics
) -> None:
    one = caller(concurrency=1)
    admitted = await admit(admitter, one)
    assert admitted.arrival.connection.answer_headers == []
    error, headers = await refused(admitter, one)
    assert "1 calls at once" in error.outside
    assert (error.retry_after_s, headers) == (1.0, {})
    assert counted(metrics, "tollway_limited_total") == {("concurrency",): 1.0}
    assert admitted.reservation is not None
    admitted.reservation.release()
    await admit(admitter, one)


async def test_a_call_that_no_waiting_helps_is_told_so(admitter: Admitter, metrics: Metrics) -> None:
    error, headers = await refused(admitter, caller(tpm=100), max_tokens=5000)
    assert type(error) is RequestTooLargeForLimit
    assert error.retry_after_s is None
    assert "the tenant's limit of 100 tokens per minute. Shorten the prompt or lower max_tokens." in error.outside
    assert headers[b"x-ratelimit-remaining-tokens"] == b"100"
    assert counted(metrics, "tollway_limited_total") == {("tokens",): 1.0}


@pytest.mark.parametrize("fields", [{"max_tokens": 2**31 - 1}, {"max_completion_tokens": 2**31 - 1}])
async def test_a_huge_cap_on_the_answer_is_reserved_as_the_most_that_any_model_writes(
    ledger: Ledger, admitter: Admitter, fields: dict[str, int]
) -> None:
    wide = caller(tpm=10 * MOST_TOKENS)
    await admit(admitter, wide, n=2, **fields)
    ((_, limit, left),) = standing(ledger, wide)
    assert limit - left == 2 * MOST_TOKENS + ask(n=2).prompt_upper_bound()


async def test_an_answer_without_a_bound_is_reserved_by_what_answers_have_had(
    ledger: Ledger, admitter: Admitter
) -> None:
    wide = caller(output_tpm=10_000)
    admitted = await admit(admitter, wide, n=2)
    assert standing(ledger, wide) == [("output_tokens", 10_000, 10_000 - 2 * FIRST_TOKENS)]
    assert admitted.output_tokens == 2 * FIRST_TOKENS


async def test_a_guess_that_no_limit_could_hold_refuses_nobody_but_a_bound_of_the_clients_does(
    ledger: Ledger, admitter: Admitter
) -> None:
    narrow = caller(tpm=FIRST_TOKENS, output_tpm=9)
    await admit(admitter, narrow)
    assert standing(ledger, narrow)[1] == ("output_tokens", 9, 9)
    error, _ = await refused(admitter, narrow, max_tokens=10)
    assert type(error) is RequestTooLargeForLimit


async def test_a_guess_waits_where_a_limit_holds_others_now(admitter: Admitter) -> None:
    shared = caller(output_tpm=2 * FIRST_TOKENS)
    for _ in range(2):
        await admit(admitter, shared)
    error, _ = await refused(admitter, shared)
    assert type(error) is RateLimited


async def test_what_a_caller_without_limits_is_taken_to_use_is_known_too(admitter: Admitter) -> None:
    admitted = await admit(admitter, compile_principal(record(), UNLIMITED))
    assert (admitted.output_tokens, admitted.growth) == (FIRST_TOKENS, None)
    assert (await admit(admitter, caller(tpm=900))).growth is None
    assert (await admit(admitter, caller(tpm=900), stream=True)).growth is not None


async def test_the_largest_numbers_that_a_request_may_hold_do_not_overflow(admitter: Admitter) -> None:
    error, _ = await refused(admitter, caller(tpm=1_000_000_000), max_tokens=2**31 - 1, n=128)
    assert type(error) is RequestTooLargeForLimit


async def test_a_refused_call_consumes_nothing(ledger: Ledger, admitter: Admitter) -> None:
    tight = caller(rpm=5, tpm=100, concurrency=1)
    for _ in range(10):
        await refused(admitter, tight, max_tokens=5000)
    assert standing(ledger, tight) == [("requests", 5, 5), ("tokens", 100, 100), ("concurrency", 1, 1)]


@pytest.mark.parametrize("words", [200, INLINE_COUNT_BYTES // 4], ids=["inline", "in a thread"])
async def test_a_prompt_is_counted_before_it_is_refused_for_its_length(
    ledger: Ledger, admitter: Admitter, words: int
) -> None:
    """The cheap bound says more than the limit, the true count less."""
    messages = [{"role": "user", "content": "aqueduct " * words}]
    request = ask("gpt-4o", messages=messages)
    exact = request.count_prompt(tokens.encoding_of("gpt-4o"))
    assert exact + 10 < request.prompt_upper_bound()
    fitting = caller(tpm=exact + 10)
    await admit(admitter, fitting, model="gpt-4o", messages=messages)
    ((_, _, left),) = standing(ledger, fitting)
    assert left == 10
    error, _ = await refused(admitter, fitting, model="gpt-4o", messages=messages)
    assert type(error) is RateLimited


async def test_a_ledger_without_room_for_another_caller_refuses_it_as_our_own_failure(
    tmp_path: Path, metrics: Metrics
) -> None:
    ledger = Ledger(tmp_path / "small", 16)
    admitter = opened(ledger, metrics)
    held: list[Admitted] = []

    async def fill() -> None:
        for number in range(1000):
            one = compile_principal(record(tenant_id=str(number), tenant_limits=LimitValues(rpm=5)), UNLIMITED)
            held.append(await admit(admitter, one))

    with pytest.raises(DependencyUnavailable, match="can't keep count") as caught:
        await fill()
    assert caught.value.retry_after_s == 1.0
    assert held
    ledger.close()
