"""What a policy says of an external check becomes one that asks."""

import json

import pytest
from tests.fakes.telemetry import Recording
from tests.proxy.guardrails.external.asked import Scripted

from tollway.contract.guardrails import ContentCheck, ModerationCheck, PresidioCheck, WebhookCheck
from tollway.proxy.guardrails.external.opening import Opener
from tollway.proxy.outside import Edit, Judgement, Remark
from tollway.telemetry.metrics import Metrics


def opener(asker: Scripted, recording: Recording, metrics: Metrics) -> Opener:
    return Opener(asker, asker, recording.log, metrics)


async def test_a_webhook_is_asked_at_its_address_under_its_name(recording: Recording, metrics: Metrics) -> None:
    asker = Scripted({"action": "block", "reason": "nope"})
    check = opener(asker, recording, metrics)(WebhookCheck(url="https://a.example/x", name="names", secret="s" * 32))
    assert (check.name, check.restore) == ("names", False)
    assert await check.judge(["a"], "input", "acme") == Judgement(remarks=(Remark("nope", "block"),))
    [(url, headers, body)] = asker.asked
    assert (url, json.loads(body)["check"]) == ("https://a.example/x", "names")
    assert headers["x-tollway-signature"].startswith("v1=")


async def test_presidio_is_asked_for_what_has_an_action(recording: Recording, metrics: Metrics) -> None:
    asker = Scripted([{"entity_type": "PERSON", "start": 0, "end": 3, "score": 0.9}])
    said = PresidioCheck(url="http://p:3000", actions={"PERSON": "hash"}, language="fr", threshold=0.8, restore=True)
    check = opener(asker, recording, metrics)(said)
    assert (check.name, check.restore) == ("presidio", True)
    assert await check.judge(["Bob"], "input", "acme") == Judgement(edits=(Edit(0, 0, 3, "person", "hash"),))
    sent = json.loads(asker.asked[0][2])
    assert (sent["entities"], sent["language"], sent["score_threshold"]) == (["PERSON"], "fr", 0.8)


async def test_moderation_asks_the_alias(recording: Recording, metrics: Metrics) -> None:
    asker = Scripted({"results": [{"flagged": False, "category_scores": {"hate": 0.4}}]})
    said = ModerationCheck(action="flag", model="moderator", categories=("hate",), threshold=0.4)
    check = opener(asker, recording, metrics)(said)
    assert check.name == "moderation"
    assert await check.judge(["a"], "output", "acme") == Judgement(remarks=(Remark("hate", "flag"),))
    assert asker.asked[0][0] == "moderator"


@pytest.mark.parametrize(
    ("check", "action"),
    [
        (WebhookCheck(url="https://a.example"), "block"),
        (WebhookCheck(url="https://a.example", on_error="open"), "flag"),
        (PresidioCheck(url="https://a.example", actions={}), "block"),
        (PresidioCheck(url="https://a.example", actions={}, on_error="open"), "flag"),
        (ModerationCheck(action="flag", model="m"), "block"),
        (ModerationCheck(action="block", model="m", on_error="open"), "flag"),
    ],
)
async def test_on_error_is_what_the_policy_says(
    check: WebhookCheck | PresidioCheck | ModerationCheck, action: str, recording: Recording, metrics: Metrics
) -> None:
    opened = opener(Scripted(b"oops"), recording, metrics)(check)
    said = await opened.judge(["a"], "input", "acme")
    assert [(remark.kind, remark.action) for remark in said.remarks] == [("unavailable", action)]


def test_a_native_check_is_refused(recording: Recording, metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="native"):
        opener(Scripted(), recording, metrics)(ContentCheck(action="flag"))
