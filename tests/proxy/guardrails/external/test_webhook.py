"""Webhooks: what is sent and signed, and what of the answer is believed."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.guardrails.external.asked import Scripted

from tollway.proxy.guardrails.external.asking import Unanswered
from tollway.proxy.guardrails.external.webhook import Webhook, signature
from tollway.proxy.outside import Edit, Judgement, Remark

SECRET = "a secret that is long"
TEXTS = ["Ask Bob.", "", "Zoë 🙂 lives here."]


def webhook(asker: Scripted, secret: str | None = None) -> Webhook:
    return Webhook("names", "https://checks.example/judge", secret, asker, clock=lambda: 1_700_000_000.9)


async def judged(said: object, **more: Any) -> Judgement:
    return await webhook(Scripted(said, **more)).ask(TEXTS, "input", "acme")


async def test_the_texts_are_sent_with_who_asks_and_why() -> None:
    asker = Scripted({"action": "allow"})
    assert await webhook(asker).ask(TEXTS, "output", "acme") == Judgement()
    [(url, headers, body)] = asker.asked
    sent = json.loads(body)
    assert (url, headers) == ("https://checks.example/judge", {"content-type": "application/json"})
    assert len(sent.pop("id")) == 32
    assert sent == {"check": "names", "direction": "output", "tenant": "acme", "texts": TEXTS}


async def test_with_a_secret_it_is_signed_with_its_time() -> None:
    asker = Scripted({"action": "allow"})
    await webhook(asker, SECRET).ask(TEXTS, "input", "acme")
    [(_, headers, body)] = asker.asked
    digest = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-tollway-timestamp"] == "1700000000"
    assert headers["x-tollway-signature"] == f"v1={digest}"


async def test_large_texts_are_sent_whole() -> None:
    asker = Scripted({"action": "allow"})
    await webhook(asker, SECRET).ask(["x" * 500_000, "y"], "input", "acme")
    [(_, headers, body)] = asker.asked
    assert json.loads(body)["texts"] == ["x" * 500_000, "y"]
    assert headers["x-tollway-signature"] == signature(SECRET.encode(), "1700000000", body)


async def test_a_block_is_a_remark_with_its_reason() -> None:
    assert await judged({"action": "block", "reason": "Names"}) == Judgement(remarks=(Remark("names", "block"),))
    assert await judged({"action": "block"}) == Judgement(remarks=(Remark("blocked", "block"),))


async def test_a_reason_that_could_be_a_piece_of_the_text_is_not_repeated() -> None:
    said = {"action": "block", "reason": "Bob said so"}
    assert await judged(said) == Judgement(remarks=(Remark("other", "block"),))


async def test_findings_are_replaced_where_they_stand() -> None:
    said = {
        "action": "redact",
        "findings": [
            {"text": 0, "start": 4, "end": 7, "kind": "PERSON"},
            {"text": 2, "start": 0, "end": 3, "kind": "person", "action": "mask"},
            {"text": 2, "start": 4, "end": 5},
        ],
    }
    assert await judged(said) == Judgement(
        edits=(
            Edit(0, 4, 7, "person", "redact"),
            Edit(2, 0, 3, "person", "mask"),
            Edit(2, 4, 5, "webhook", "redact"),
        )
    )


async def test_findings_of_what_is_allowed_are_recorded() -> None:
    said = {"action": "allow", "findings": [{"text": 0, "start": 0, "end": 3, "action": "redact"}]}
    assert await judged(said) == Judgement(edits=(Edit(0, 0, 3, "webhook", "flag"),))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"allow",
        b'{"action": "allow"',
        b"[" * 100_000,
        b'{"action": "\xff"}',
        {},
        [],
        {"action": "maybe"},
        {"action": "redact"},
        {"action": "redact", "findings": []},
        {"action": "block", "reason": 7},
        {"action": "redact", "findings": [{"text": 3, "start": 0, "end": 1}]},
        {"action": "redact", "findings": [{"text": -1, "start": 0, "end": 1}]},
        {"action": "redact", "findings": [{"text": 0, "start": 0, "end": 9}]},
        {"action": "redact", "findings": [{"text": 0, "start": 3, "end": 3}]},
        {"action": "redact", "findings": [{"text": 0, "start": -1, "end": 3}]},
        {"action": "redact", "findings": [{"text": 1, "start": 0, "end": 1}]},
        {"action": "redact", "findings": [{"text": 0, "start": 0, "end": 3, "action": "block"}]},
    ],
)
async def test_what_is_no_judgement_is_no_answer(said: object) -> None:
    with pytest.raises(Unanswered):
        await judged(said)


@pytest.mark.parametrize("status", [199, 301, 302, 307, 400, 404, 429, 500, 503])
async def test_another_status_than_success_is_no_answer(status: int) -> None:
    with pytest.raises(Unanswered, match=f"^status {status}$"):
        await judged({"action": "allow"}, status=status)


ANSWER = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.sampled_from(["allow", "block", "redact", "mask"]) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["action", "reason", "findings", "text", "start", "end", "kind"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)


@given(ANSWER)
async def test_whatever_is_said_there_is_a_judgement_or_no_answer(said: object) -> None:
    try:
        judgement = await judged(said)
    except Unanswered:
        return
    for edit in judgement.edits:
        assert 0 <= edit.start < edit.end <= len(TEXTS[edit.text])
