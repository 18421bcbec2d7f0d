"""Second embedders, through a whole gateway: asked in time or left out, and nobody's call fails for them."""

import re
from itertools import product
from typing import Any

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import completion, hang, status, whole
from tests.fakes.upstream import FakeUpstream

EMBEDDED = whole({"data": [{"embedding": [0.5, -0.25, 0.125]}], "usage": {"prompt_tokens": 5, "total_tokens": 5}})
ALIASES = models("m") | {
    "ours": {"targets": [{"provider": "fake", "model": "embed"}], "price": {"input_per_1m": 10, "output_per_1m": 0}}
}
QUESTION = "How do I reset my password?"
ENDINGS = ("please", "thanks", "here", "hello", "hi", "well", "so", "kindly", "just", "exactly", "really", "actually")


def asking(embedder: str, **more: Any) -> dict[str, Any]:
    """A cache with that embedder."""
    return {"semantic": {"threshold": 0.7, "embedder": embedder, **more}}


def ask(gateway: Gateway, question: str, **more: str) -> httpx2.Response:
    """A call of the model; ``more`` are headers."""
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    headers = {"authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in more.items()}
    answer = httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def kept(gateway: Gateway, question: str = QUESTION) -> None:
    """The answer to a question is in the cache."""
    ask(gateway, question)
    gateway.wait_until(lambda: ask(gateway, question).headers["x-tollway-cache"] != "miss", "kept")


def outcomes(gateway: Gateway) -> dict[str, float]:
    """How often an embedder was to be asked, by what came of it."""
    found = re.findall(r'tollway_cache_embedder_total\{.*result="(\w+)"\} (\S+)', gateway.metrics())
    return {result: float(count) for result, count in found}


def test_an_alias_confirms_and_what_it_costs_has_rows_of_the_operators(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts |= {"m": whole(completion("Click it.")), "embed": EMBEDDED}
    gateway = start(models=ALIASES, cache=asking("ours"))
    kept(gateway)
    answer = ask(gateway, f"{QUESTION[:-1]}, please?")
    assert answer.headers["x-tollway-cache"] == "semantic"
    assert upstream.hits_of("embed") == 2, "once for the entry, once for the other question"
    gateway.wait_until(lambda: len([row for row in gateway.rows() if row["role"] == "shadow"]) == 2, "rows")
    for row in gateway.rows():
        if row["role"] == "shadow":
            assert (row["model"], row["provider_model"], row["prompt_tokens"]) == ("ours", "embed", 5)
            assert (str(row["tenant_id"]), row["status"], row["usage_source"]) == ("acme", "ok", "told")
    assert outcomes(gateway) == {"answered": 2.0}


def test_while_an_embedder_hangs_two_calls_wait_for_it_and_the_others_do_not(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.scripts |= {"m": whole(completion("Click it.")), "embed": EMBEDDED}
    gateway = start(models=ALIASES, cache=asking("ours"))
    kept(gateway)
    upstream.scripts["embed"] = hang()
    before = upstream.hits_of("embed")
    answers = [ask(gateway, f"{QUESTION[:-1]}, {ending}?") for ending in ENDINGS]
    assert {answer.headers["x-tollway-cache"] for answer in answers} == {"semantic"}, "the built-in one decides"
    assert upstream.hits_of("m") == 1
    told = outcomes(gateway)
    assert told["left_out"] == len(ENDINGS) - 2.0
    assert upstream.hits_of("embed") - before <= 3, "two, and at most one that tried again beside the calls"
    assert gateway.log().count('"embedder_left_out"') == 1


def test_while_an_embedder_is_dead_calls_are_answered_and_kept(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts |= {"m": whole(completion("Click it.")), "embed": status(500)}
    gateway = start(models=ALIASES, cache=asking("ours"))
    kept(gateway)
    assert ask(gateway, f"{QUESTION[:-1]}, please?").headers["x-tollway-cache"] == "semantic"
    kept(gateway, "Who wrote the play Hamlet?")
    assert '"defect"' not in gateway.log()


def test_minilm_confirms_on_the_gateways_own_machine(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = whole(completion("Click it."))
    gateway = start(models=ALIASES, cache=asking("minilm"))
    endings = product(ENDINGS, ENDINGS)

    def has_confirmed() -> bool:
        """A busy machine may take longer than a second for its first vectors. The entry's is asked for once, so when
        there are more, they are of other questions."""
        ask(gateway, QUESTION, x_tollway_cache="refresh")
        ask(gateway, f"{QUESTION[:-1]}, {' '.join(next(endings))}?")
        return outcomes(gateway).get("answered", 0.0) >= 3

    gateway.wait_until(has_confirmed, "confirmed")
    assert ask(gateway, f"{QUESTION[:-1]}, please?").headers["x-tollway-cache"] == "semantic"
    assert '"defect"' not in gateway.log()


def test_hits_are_compared_with_fresh_answers_beside_the_call(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = lambda seen: hang() if b"please" in seen.body else whole(completion("Click it."))
    gateway = start(models=ALIASES, cache=asking("builtin", shadow="100%"))
    kept(gateway)
    answer = ask(gateway, f"{QUESTION[:-1]}, please?")
    assert answer.headers["x-tollway-cache"] == "semantic", "it does not wait for the fresh answer"
    upstream.wait_for(lambda: any(b"please" in seen.body for seen in upstream.requests))
    gateway.wait_until(lambda: any(row["role"] == "shadow" for row in gateway.rows()), "a row of a fresh answer")
    assert '"defect"' not in gateway.log()
