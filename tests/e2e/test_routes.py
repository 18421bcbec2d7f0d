"""Where calls go: hedges, keys of a provider, users that stay together, shares and causes; two workers, seen from the
providers.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import StartFor
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.routed import (
    QUICK_BREAKER,
    alias,
    answering,
    ask,
    ask_all,
    attempts,
    provider,
    question,
    routed,
    upstreams,
)
from tests.fakes.scripts import Script, status, whole
from tests.fakes.upstream import Chooser, FakeUpstream, Seen

KEYS = {"a": "sk-key-a-canary-0123456789", "b": "sk-key-b-canary-0123456789"}
SLOW_S = 1.5
HEDGE = {"after": "150ms", "budget": "100%", "max_cost_usd": 10}
PLENTY = {"attempts": 3, "budget": "100%", "backoff": "5ms"}
ONCE = {"attempts": 1, "budget": "100%"}


def key_of(seen: Seen) -> str:
    """The name of the key that a request came with."""
    given = (seen.header("authorization") or "").removeprefix("Bearer ")
    return next((name for name, key in KEYS.items() if key == given), "?")


def refusing_key(name: str, refusal: Script) -> Chooser:
    """A provider that does not take one of the keys."""
    return lambda seen: refusal if key_of(seen) == name else answering()(seen)


def refusal(code: str, told: int = 400) -> Script:
    """OpenAI's error with this code."""
    error = {"message": "scripted", "type": "invalid_request_error", "param": None, "code": code}
    return whole({"error": error}, status=told)


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeUpstream]]:
    with upstreams("one", "two") as both:
        slow, quota = answering("Late.", delay_s=SLOW_S), refusal("insufficient_quota", 429)
        both["one"].scripts = {
            "slow": slow,
            "dear": slow,
            "seldom": slow,
            "failing": status(500),
            "aside-401": refusing_key("a", status(401)),
            "aside-quota": refusing_key("a", quota),
            "too-long": refusal("context_length_exceeded"),
            "forbidden": refusal("content_filter"),
            "bad": status(400),
        }
        yield both


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, running: dict[str, FakeUpstream]) -> Gateway:
    one, two = running["one"], running["two"]
    keys = [{"name": name, "api_key": key} for name, key in KEYS.items()]
    providers = {
        "one": provider(one, breaker=QUICK_BREAKER),
        "two": provider(two),
        "keyed-401": provider(one, keys=keys),
        "keyed-quota": provider(one, keys=keys),
        "keyed-limited": provider(one, keys=[{**keys[0], "weight": 1000, "limits": {"rpm": 3}}, keys[1]]),
        "keyed-weighted": provider(one, keys=[{**keys[0], "weight": 3}, keys[1]]),
    }
    everywhere = {"strategy": "sticky", "retries": PLENTY}
    models = {
        "hedged": alias("one/slow", "two/quick", hedge=HEDGE),
        "dear": alias("one/dear", "two/dear", hedge={**HEDGE, "max_cost_usd": 0.001}),
        "seldom": alias("one/seldom", "two/seldom", hedge={**HEDGE, "budget": "5%"}),
        "prompt": alias("one/prompt", "two/prompt", hedge={**HEDGE, "after": "5s"}),
        "aside-401": alias("keyed-401/aside-401"),
        "aside-quota": alias("keyed-quota/aside-quota"),
        "limited": alias("keyed-limited/limited"),
        "keyed": alias("keyed-weighted/keyed"),
        "user": alias("one/user", "two/user", sticky_by="user", **everywhere),
        "conversation": alias("one/conversation", "two/conversation", sticky_by="conversation", **everywhere),
        "shared": alias(("one/shared", {"weight": 3}), ("two/shared", {"weight": 1}), strategy="weighted"),
        "turns": alias("one/turns", "two/turns", strategy="round_robin"),
        "canary": alias(
            ("one/canary", {"tags": ["stable"]}),
            ("two/canary", {"tags": ["canary"]}),
            rules=[{"name": "canary", "share": "20%", "to": ["canary"]}],
        ),
        "regional": alias(
            ("one/regional", {"tags": ["us"]}),
            ("two/regional", {"tags": ["eu"]}),
            rules=[{"name": "eu", "when": {"header": {"x-region": ["eu"]}}, "to": ["eu"]}],
        ),
        "caused": alias("one/too-long", fallbacks={"context_window": ["long"], "content_policy": ["lenient"]}),
        "judged": alias("one/forbidden", fallbacks={"context_window": ["long"], "content_policy": ["lenient"]}),
        "long": alias("two/long"),
        "lenient": alias("two/lenient"),
        "bad": alias("one/bad", "two/bad"),
        "failing": alias("one/failing", retries=ONCE),
    }
    server = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}
    tenants = {
        "acme": {"keys": {"ci": {"key": KEY}}},
        "small": {"keys": {"ci": {"key": "test-key-of-tenant-small-001"}}, "limits": {"rpm": 1}},
    }
    return start_for(routed(lasting_dsn, {}, models, providers=providers, server=server, tenants=tenants))


def both(running: dict[str, FakeUpstream], model: str) -> tuple[int, int]:
    """How often each provider was asked for a model."""
    return running["one"].hits_of(model), running["two"].hits_of(model)


def rows_of(gateway: Gateway, model: str, count: int) -> list[dict[str, Any]]:
    """The usage rows of a model, once they are there."""
    query = f"select * from usage_logs where model = '{model}' order by created_at, id"  # noqa: S608 -- a test's word
    gateway.wait_until(lambda: len(gateway.fetch(query)) >= count, f"{count} rows of {model}")
    return gateway.fetch(query)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_hedge_answers_for_a_slow_target_which_is_cut_and_both_are_billed(
    gateway: Gateway, running: dict[str, FakeUpstream], stream: bool
) -> None:
    aborts, (slow, quick) = len(running["one"].aborts), both(running, "slow")
    answer = ask(gateway, "hedged", stream=stream)
    assert answer.status_code == 200
    assert "I am two." in answer.text
    assert answer.headers["x-tollway-provider"] == "two"
    if not stream:
        assert attempts(answer) == 2
    assert (running["one"].hits_of("slow"), running["two"].hits_of("quick")) == (slow + 1, slow + 1)
    assert quick == 0
    running["one"].wait_for(lambda: len(running["one"].aborts) == aborts + 1)
    rows = rows_of(gateway, "hedged", 2 * (slow + 1))[-2:]
    assert Counter(row["provider"] for row in rows) == {"one": 1, "two": 1}
    assert len({row["role"] for row in rows}) == 2, "only one of them is the client's call"
    assert all(row["prompt_tokens"] > 0 for row in rows)


def test_a_hedge_that_costs_too_much_is_not_made(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    answer = ask(gateway, "dear")
    assert (answer.status_code, attempts(answer)) == (200, 1)
    assert "Late." in answer.text
    assert both(running, "dear") == (1, 0)


async def test_hedges_are_a_share_of_the_calls(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    answers = await ask_all([gateway], "seldom", 40, at_once=40)
    assert {answer.status_code for answer in answers} == {200}
    first, second = both(running, "seldom")
    assert first == 40
    assert 1 <= second <= 40 * 0.05 + 1


def test_who_answers_in_time_is_not_hedged(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    assert attempts(ask(gateway, "prompt")) == 1
    assert both(running, "prompt") == (1, 0)


@pytest.mark.parametrize("model", ["aside-401", "aside-quota"])
async def test_a_key_that_is_refused_is_set_aside_and_the_other_one_serves(
    gateway: Gateway, running: dict[str, FakeUpstream], model: str
) -> None:
    for _ in range(12):
        answer = await asyncio.to_thread(ask, gateway, model)
        assert answer.status_code == 200, "also the call that met the bad key"
    await ask_all([gateway], model, 20, at_once=10)
    used = Counter(key_of(seen) for seen in running["one"].requests if seen.model == model)
    assert used["a"] == 1
    assert used["b"] >= 32
    log = gateway.log()
    assert any('"provider_key_set_aside"' in line and '"a"' in line for line in log.splitlines())
    assert not any(key in log or key in gateway.metrics() for key in KEYS.values())


def test_a_key_beyond_its_own_limit_leaves_the_calls_to_the_other(
    gateway: Gateway, running: dict[str, FakeUpstream]
) -> None:
    answers = [ask(gateway, "limited") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    used = Counter(key_of(seen) for seen in running["one"].requests if seen.model == "limited")
    assert (used["a"], used["b"]) == (3, 9)


async def test_keys_share_the_calls_by_weight(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    await ask_all([gateway], "keyed", 200, at_once=20)
    used = Counter(key_of(seen) for seen in running["one"].requests if seen.model == "keyed")
    assert used.total() == 200
    assert 119 <= used["a"] <= 181, "150, within five standard deviations"


async def asked_as(gateway: Gateway, model: str, users: list[str], *, as_header: bool) -> dict[str, str]:
    """The text that each user is answered."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, base_url=gateway.base_url, timeout=60) as client:
        answers = [
            await client.post(
                "/chat/completions",
                json=question(model) if as_header else question(model, user=user),
                headers={"x-tollway-user": user} if as_header else {},
            )
            for user in users
        ]
    assert {answer.status_code for answer in answers} == {200}
    return {
        user: answer.json()["choices"][0]["message"]["content"] for user, answer in zip(users, answers, strict=True)
    }


@pytest.mark.parametrize("model", ["user", "canary"])
async def test_a_user_always_finds_the_same_target_however_he_is_named(
    gateway: Gateway, running: dict[str, FakeUpstream], model: str
) -> None:
    users = [f"user-{number}" for number in range(60)]
    first = await asked_as(gateway, model, users, as_header=True)
    assert await asked_as(gateway, model, users, as_header=True) == first
    assert await asked_as(gateway, model, users, as_header=False) == first
    assert set(first.values()) == {"I am one.", "I am two."}


async def test_a_share_of_the_users_is_the_canarys(gateway: Gateway) -> None:
    users = [f"somebody-{number}" for number in range(250)]
    told = Counter((await asked_as(gateway, "canary", users, as_header=True)).values())
    assert 18 <= told["I am two."] <= 82, "50, within five standard deviations"


async def test_a_conversation_stays_where_it_began(gateway: Gateway) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    places: dict[int, set[str]] = {}
    async with httpx2.AsyncClient(headers=headers, base_url=gateway.base_url, timeout=60) as client:
        for number in range(12):
            said: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
            said.append({"role": "user", "content": f"Story {number}, please."})
            for _ in range(3):
                answer = await client.post("/chat/completions", json={"model": "conversation", "messages": said})
                text = answer.json()["choices"][0]["message"]["content"]
                places.setdefault(number, set()).add(text)
                said += [{"role": "assistant", "content": text}, {"role": "user", "content": "Go on."}]
    assert all(len(texts) == 1 for texts in places.values())
    assert len(set.union(*places.values())) == 2, "not all of them in one place"


async def test_weights_and_turns_hold_over_all_workers(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    await ask_all([gateway], "shared", 200, at_once=20)
    first, second = both(running, "shared")
    assert first + second == 200
    assert 119 <= first <= 181, "150, within five standard deviations"
    await ask_all([gateway], "turns", 100, at_once=20)
    assert both(running, "turns") == (50, 50), "the turn is the host's"


def test_a_rule_sends_a_call_by_its_header(gateway: Gateway, running: dict[str, FakeUpstream]) -> None:
    for _ in range(5):
        assert "I am two." in ask(gateway, "regional", headers={"x-region": "eu"}).text
    assert running["one"].hits_of("regional") == 0


@pytest.mark.parametrize(("model", "fallback"), [("caused", "long"), ("judged", "lenient")])
def test_a_fallback_is_chosen_by_the_cause(
    gateway: Gateway, running: dict[str, FakeUpstream], model: str, fallback: str
) -> None:
    answer = ask(gateway, model)
    assert (answer.status_code, attempts(answer)) == (200, 2)
    assert answer.headers["x-tollway-model"] == fallback
    assert both(running, fallback) == (0, 1)


def test_a_dry_run_says_where_a_call_would_go_and_calls_nobody(
    gateway: Gateway, running: dict[str, FakeUpstream]
) -> None:
    before = running["one"].hits + running["two"].hits
    answer = ask(gateway, "regional", headers={"x-tollway-dry-run": "route", "x-region": "eu"})
    assert answer.status_code == 200
    text = json.dumps(answer.json())
    assert "two/regional" in text
    assert "one/regional" in text, "with the reason why it was left out"
    assert '"eu"' in text
    assert running["one"].hits + running["two"].hits == before
    wrong = ask(gateway, "regional", headers={"x-tollway-dry-run": "everything"})
    assert wrong.status_code == 400


def test_every_answer_says_how_many_calls_it_took(gateway: Gateway) -> None:
    asked: dict[str, Callable[[], httpx2.Response]] = {
        "1": lambda: ask(gateway, "long"),
        "1 of a stream": lambda: ask(gateway, "long", stream=True),
        "1 of a refusal": lambda: ask(gateway, "bad"),
        "1 of a failure": lambda: ask(gateway, "failing"),
        "0 of an unknown model": lambda: ask(gateway, "nowhere"),
        "0 of a wrong key": lambda: ask(gateway, "long", key="wrong-key-of-nobody-0000001"),
        "0 of a bad body": lambda: ask(gateway, "long", messages="none"),
    }
    told = {name: make().headers.get("x-tollway-attempts") for name, make in asked.items()}
    assert told == {name: name[0] for name in asked}
