"""Failure 19: whoever judges texts outside answers 500, hangs, talks nonsense or is cut; the mode decides."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import StartFor
from tests.fakes.gateway import Gateway, config
from tests.fakes.scripts import Script, completion, whole
from tests.fakes.upstream import FakeUpstream, Seen

CANARY = "the canary sings at dawn"
CHECKS = ("webhook", "presidio", "moderation")
MODES = ("open", "closed")
CLIENT_S = 6.0
"""A decision takes 2 s at most; the rest is what a busy machine adds."""

PRICE = {"input_per_1m": 1000, "output_per_1m": 2000}
SECRET = "a-secret-of-the-webhook-0123456789"


def key(check: str, mode: str) -> str:
    return f"tw-key-{check}-{mode}-0123456789abcdefghij"


def well(seen: Seen) -> Script:
    """What each kind of check answers when there is nothing to say."""
    if seen.path.endswith("/analyze"):
        return whole([])
    if seen.path.endswith("/moderations"):
        return whole({"results": [{"flagged": False, "categories": {}, "category_scores": {}}]})
    return whole({"action": "allow"})


def found(seen: Seen) -> Script:
    """What each says when there is something."""
    if seen.path.endswith("/analyze"):
        return whole([{"entity_type": "PERSON", "start": 0, "end": 3, "score": 0.9}])
    if seen.path.endswith("/moderations"):
        return whole({"results": [{"flagged": True, "categories": {"violence": True}, "category_scores": {}}]})
    return whole({"action": "block", "reason": "birdsong"})


DEAD = {
    "500": whole({"detail": CANARY}, status=500),
    "hangs": Script(raw_head=b"", steps=(("hang",),)),
    "talks nonsense": whole(f'{{"action": "{CANARY}'.encode()),
    "is cut": Script(steps=(("send", b'{"action": "allow"'), ("fin",)), framing="chunked"),
}


@pytest.fixture(scope="module")
def detector() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeUpstream]:
    with FakeUpstream(default=whole(completion())) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, detector: FakeUpstream, provider: FakeUpstream) -> Gateway:
    origin = detector.base_url.removesuffix("/v1")
    made: dict[str, dict[str, Any]] = {
        "webhook": {"check": "webhook", "url": f"{origin}/judge", "secret": SECRET, "timeout": "2s"},
        "presidio": {"check": "presidio", "url": origin, "action": "block", "entities": ["PERSON"], "timeout": "2s"},
        "moderation": {"check": "moderation", "model": "moderator", "action": "block", "timeout": "2s"},
    }
    names = {(check, mode): f"{check}-{mode}" for check in CHECKS for mode in MODES}
    policies = {name: {"input": [{**made[check], "on_error": mode}]} for (check, mode), name in names.items()}
    keys = {name: {"key": key(*pair), "guardrails": name} for pair, name in names.items()}
    judge = {"kind": "openai", "base_url": detector.base_url, "api_key": "sk-judge-canary-0123456789"}
    fake = {"kind": "openai", "base_url": provider.base_url, "api_key": "sk-upstream-canary-0123456789"}
    moderator = {"targets": [{"provider": "judge", "model": "omni"}], "price": PRICE}
    model = {"targets": [{"provider": "fake", "model": "m"}], "price": PRICE}
    return start_for(
        config(
            lasting_dsn,
            None,
            providers={"fake": fake, "judge": judge},
            models={"m": model, "moderator": moderator},
            guardrails=policies,
            tenants={"acme": {"keys": keys}},
        )
    )


def call(gateway: Gateway, check: str, mode: str, **more: Any) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": CANARY}], **more}
    headers = {"authorization": f"Bearer {key(check, mode)}"}
    return httpx2.post(f"{gateway.base_url}/chat/completions", headers=headers, json=body, timeout=CLIENT_S)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("check", CHECKS)
def test_the_mode_decides_whatever_the_detector_does(
    check: str, mode: str, gateway: Gateway, detector: FakeUpstream, provider: FakeUpstream
) -> None:
    for how, script in DEAD.items():
        detector.default = script
        asked, hits = detector.hits, provider.hits
        answer = call(gateway, check, mode)
        assert detector.hits == asked + 1, how
        if mode == "open":
            assert (answer.status_code, provider.hits) == (200, hits + 1), how
        else:
            assert (answer.status_code, provider.hits) == (400, hits), how
            assert answer.json()["error"]["code"] == "content_blocked"
            assert CANARY not in answer.text
        detector.default = well
        assert call(gateway, check, mode).status_code == 200, f"after it {how}, it is asked again"


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_found_is_refused_in_either_mode(
    check: str, gateway: Gateway, detector: FakeUpstream, provider: FakeUpstream
) -> None:
    detector.default = found
    hits = provider.hits
    assert [call(gateway, check, mode).status_code for mode in MODES] == [400, 400]
    assert provider.hits == hits


@pytest.mark.parametrize("mode", MODES)
def test_a_detector_that_stays_dead_is_left_out_and_the_mode_still_decides(
    mode: str, gateway: Gateway, detector: FakeUpstream, provider: FakeUpstream
) -> None:
    detector.default = DEAD["500"]
    asked, hits = detector.hits, provider.hits
    statuses = [call(gateway, "webhook", mode).status_code for _ in range(12)]
    assert set(statuses) == ({200} if mode == "open" else {400})
    assert detector.hits - asked < 12
    assert provider.hits - hits == (12 if mode == "open" else 0)


def test_a_redirect_of_the_detector_leads_nowhere(gateway: Gateway, detector: FakeUpstream) -> None:
    with FakeUpstream(default=well) as canary:
        for check in ("presidio", "moderation"):
            detector.default = whole({}, status=307, headers=[("location", f"{canary.base_url}/judge")])
            assert call(gateway, check, "closed").status_code == 400
            detector.default = well
            assert call(gateway, check, "closed").status_code == 200
        assert canary.hits == 0


def test_neither_logs_nor_metrics_hold_what_was_asked(gateway: Gateway) -> None:
    metrics = gateway.metrics()
    assert 'tollway_guardrail_asked_total{check="presidio",result="late"}' in metrics
    assert "guardrail_check_failed" in gateway.log()
    for text in (metrics, gateway.log()):
        assert CANARY not in text
        assert SECRET not in text
