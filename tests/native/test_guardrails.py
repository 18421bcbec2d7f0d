"""Policies and the guards of calls: what is put in a finding's place, what blocks, and what external checks add."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.screening import SECRET, compiled
from tests.native.twins import chat as shapes
from tests.native.twins import guardrails as twin

from tollway._native import chat, guardrails, pii
from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import Action, PiiCheck, Policy, PresidioCheck, WebhookCheck

EMAIL, CARD = "jane.doe@example.com", "4111 1111 1111 1111"
TENANT = "acme"
VALUES = st.sampled_from(
    [EMAIL, "joan@example.org", CARD, "5500-0055-5555-5559", "sum", "a, b", "\n", '"', "\\", "é€", " "]
)
TEXTS = st.lists(VALUES, max_size=8).map(" ".join)


def asking(content: Any) -> ChatRequest:
    return chat.read_request(json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode())


def said(request: ChatRequest) -> Any:
    return json.loads(request.body)["messages"][0]["content"]


def doing(action: Action, *, restore: bool = False) -> guardrails.Policy:
    return compiled(PiiCheck({"email": action, "credit_card": action}, restore=restore))


@given(TEXTS, st.sampled_from(["mask", "hash", "restore"]))
@settings(deadline=None)
def test_what_stands_in_a_findings_place_is_what_the_twin_says(text: str, way: str) -> None:
    policy = doing("redact", restore=True) if way == "restore" else doing("mask" if way == "mask" else "hash")
    expected, end = "", 0
    for kind, start, stop in pii.Scanner(["email", "credit_card"]).scan(text):
        value = text[start:stop]
        stands = {
            "mask": twin.masked(value),
            "hash": twin.hashed(SECRET, TENANT, kind, value),
            "restore": twin.named(SECRET, TENANT, kind, value),
        }
        expected, end = expected + text[end:start] + stands[way], stop
    assert said(policy.session(TENANT).request(asking(text))) == expected + text[end:]


@given(
    st.recursive(
        TEXTS | st.integers(-999, 999) | st.none() | st.just(4111111111111111),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3) | inner.map(json.dumps),
        max_leaves=8,
    ),
    st.sampled_from(["redact", "mask", "hash"]),
    st.booleans(),
)
@settings(deadline=None)
def test_json_stays_json_and_nothing_found_is_left(value: Any, action: Action, restore: bool) -> None:
    session = doing(action, restore=restore).session(TENANT)
    before = asking([{"type": "text", "text": json.dumps(value)}])
    after = session.request(before)
    text = said(after)[0]["text"]
    assert not shapes.is_container(json.dumps(value)) or shapes.is_container(text)
    assert EMAIL not in text
    assert session.request(after) is after


def test_values_are_the_same_for_a_tenant_and_no_other() -> None:
    policy = doing("redact", restore=True)
    twice = said(policy.session(TENANT).request(asking(f"{EMAIL} {EMAIL}"))).split()
    assert twice[0] == twice[1] == said(policy.session(TENANT).request(asking(EMAIL)))
    assert twice[0] != said(policy.session("other").request(asking(EMAIL)))


def test_a_block_names_its_check_and_kind_and_changes_nothing() -> None:
    session = doing("block").session(TENANT)
    request = asking(f"mail {EMAIL}")
    assert session.request(request) is request
    blocked = session.blocked
    assert blocked is not None
    assert (blocked.direction, blocked.check, blocked.kind) == ("input", "pii", "email")
    assert session.found() == [("input", "pii", "email", "block", 1)]


def test_what_is_only_watched_changes_nothing() -> None:
    session = compiled(PiiCheck({"email": "block", "credit_card": "redact"}), mode="monitor").session(TENANT)
    request = asking(f"{EMAIL} {CARD}")
    assert session.request(request) is request
    assert session.blocked is None
    assert session.found() == [("input", "pii", "credit_card", "flag", 1), ("input", "pii", "email", "flag", 1)]


def test_two_policies_are_one_in_which_the_first_decides() -> None:
    redacts, blocks = doing("redact"), doing("block")
    assert redacts.beside(blocks).session(TENANT).request(asking(EMAIL)).body == asking("[EMAIL]").body
    first = blocks.beside(redacts).session(TENANT)
    first.request(asking(EMAIL))
    assert first.blocked is not None


def test_external_findings_are_carried_out_like_any_other() -> None:
    session = compiled(action="flag").session(TENANT)
    request = asking([{"type": "text", "text": "é Jane"}, {"type": "text", "text": json.dumps({"who": "Jane\nDoe"})}])
    texts = session.texts(request)
    assert texts == [("user", "é Jane"), ("user", json.dumps({"who": "Jane\nDoe"}))]
    place = texts[1][1].index("Jane")
    edits = [
        (0, 2, 6, "presidio", "person", "redact", True),
        (1, place, place + 9, "presidio", "person", "mask", False),
    ]
    parts = said(session.edit(request, edits))
    assert parts[0]["text"] == f"é {twin.named(SECRET, TENANT, 'person', 'Jane')}"
    assert json.loads(parts[1]["text"]) == {"who": "*******"[:4] + "\n***"}
    session.note("input", "moderation", "violence", "block")
    assert session.blocked is not None
    assert session.blocked.check == "moderation"
    assert ("input", "moderation", "violence", "block", 1) in session.found()


@given(TEXTS, st.lists(st.tuples(*[st.integers(0, 99)] * 3), max_size=5))
@settings(deadline=None)
def test_external_findings_may_lie_anywhere(text: str, places: list[tuple[int, int, int]]) -> None:
    session = compiled().session(TENANT)
    request = asking([text, {"type": "text", "text": json.dumps([text, 1, {"a": text}])}])
    edits = [(which % 3, start, end, "web", "kind", "redact", False) for which, start, end in places]
    assert shapes.is_container(said(session.edit(request, edits))[1]["text"])


def test_a_text_is_examined_and_told_in_code_points() -> None:
    policy = compiled(PiiCheck({"email": "redact", "credit_card": "mask"}))
    rewritten, found = policy.examine(f"é {EMAIL}, {CARD}", "input", TENANT)
    assert rewritten == f"é [EMAIL], {twin.masked(CARD)}"
    assert [(check, kind, start, end, action) for check, kind, start, end, _, action in found] == [
        ("pii", "email", 2, 22, "redact"),
        ("pii", "credit_card", 24, 43, "mask"),
    ]
    assert all(0 < confidence <= 1 for *_, confidence, _ in found)
    assert policy.examine(EMAIL, "output", TENANT) == (EMAIL, [])


def test_what_a_policy_inspects_is_told() -> None:
    both = Policy("p", "1", (PiiCheck({"email": "flag"}),), (PiiCheck({"email": "flag"}),))
    outside = Policy("p", "1", (WebhookCheck("https://example.com"), PresidioCheck("https://example.com", {})))
    for policy, inspects in ((both, True), (outside, False), (Policy("p", "1"), False)):
        held = guardrails.Policy(msgspec.json.encode(policy), SECRET)
        assert (held.inspects_input, held.inspects_output) == (inspects, inspects)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (b"nothing", "not a policy"),
        (b'{"input": [{"check": "astrology"}]}', "unknown variant"),
        (b'{"input": [{"check": "pii", "actions": {"shoe_size": "redact"}}]}', r"input\[0\] \(pii\): unknown entity"),
        (b'{"output": [{"check": "pii", "actions": {}, "threshold": 2}]}', r"output\[0\] \(pii\): the threshold"),
        (b'{"input": [{"check": "pii", "actions": {"email": "burn"}}]}', "unknown variant"),
    ],
)
def test_a_policy_that_can_not_be_is_refused_by_its_check(spec: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        guardrails.Policy(spec, SECRET)


def test_words_that_are_none_are_refused() -> None:
    session = compiled().session(TENANT)
    with pytest.raises(ValueError, match="unknown direction"):
        session.note("sideways", "x", "y", "flag")
    with pytest.raises(ValueError, match="unknown action"):
        session.note("input", "x", "y", "burn")
    with pytest.raises(ValueError, match="unknown action"):
        session.edit(asking("x"), [(0, 0, 1, "x", "y", "burn", False)])
    with pytest.raises(ValueError, match="unknown direction"):
        compiled().examine("x", "sideways", TENANT)
