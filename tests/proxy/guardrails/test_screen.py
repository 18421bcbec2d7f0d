"""Station 3: which policy holds for whom, and what it does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.telemetry import counted
from tests.proxy.edge import arrive, ask, principal, snapshot

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation, PiiCheck, Policy
from tollway.errors import ContentBlocked, InternalError
from tollway.proxy.exchange import Admitted, Screened
from tollway.proxy.guardrails.screen import INLINE_BYTES, Screener
from tollway.proxy.pieces import Streamed
from tollway.telemetry.metrics import Metrics

EMAIL, CARD = "jane.doe@example.com", "4111 1111 1111 1111"
REDACT = PiiCheck(("email",), "redact")
BLOCK = PiiCheck(("credit_card",), "block")


async def screen(metrics: Metrics, policies: tuple[Policy, ...], text: str, policy: str | None = None) -> Screened:
    messages = [{"role": "user", "content": text}]
    admitted = Admitted(arrive(), principal(policy=policy), ask(messages=messages), None)
    return await Screener(snapshot(policies=policies), metrics).screen(admitted)


async def test_a_prompt_of_token_numbers_can_not_pass_a_check_unseen(metrics: Metrics) -> None:
    request = chat.read_request(b'{"model": "m", "input": [[1, 2]]}', "embeddings")
    admitted = Admitted(arrive(operation="embeddings"), principal(), request, None)
    assert (await Screener(snapshot(), metrics).screen(admitted)).request is request
    with pytest.raises(ContentBlocked, match="Token numbers"):
        await Screener(snapshot(policies=(Policy("default", (REDACT,)),)), metrics).screen(admitted)


@pytest.mark.parametrize(("operation", "field"), [("completions", "prompt"), ("embeddings", "input")])
async def test_a_refusal_names_the_field_of_its_operation(metrics: Metrics, operation: Operation, field: str) -> None:
    request = chat.read_request(json.dumps({"model": "m", field: CARD}).encode(), operation)
    admitted = Admitted(arrive(operation=operation), principal(), request, None)
    with pytest.raises(ContentBlocked) as caught:
        await Screener(snapshot(policies=(Policy("default", (BLOCK,)),)), metrics).screen(admitted)
    assert caught.value.param == field


def said(screened: Screened) -> Any:
    return json.loads(screened.request.body)["messages"][0]["content"]


async def test_without_a_policy_a_request_passes_as_it_is(metrics: Metrics) -> None:
    assert said(await screen(metrics, (), EMAIL)) == EMAIL


async def test_callers_that_name_no_policy_have_the_default(metrics: Metrics) -> None:
    policies = (Policy("default", (REDACT,)), Policy("open", ()))
    assert said(await screen(metrics, policies, EMAIL)) == "[EMAIL]"
    assert said(await screen(metrics, policies, EMAIL, "open")) == EMAIL


async def test_a_policy_that_is_gone_lets_nothing_through(metrics: Metrics) -> None:
    for policies in ((), (Policy("default", ()),)):
        with pytest.raises(InternalError) as caught:
            await screen(metrics, policies, "harmless", "removed")
        assert "removed" in caught.value.inside
        assert "removed" not in caught.value.outside


async def test_checks_run_in_order_each_on_what_the_one_before_left(metrics: Metrics) -> None:
    both = Policy("default", (REDACT, PiiCheck(("email",), "block"), BLOCK))
    assert said(await screen(metrics, (both,), f"write to {EMAIL}")) == "write to [EMAIL]"
    with pytest.raises(ContentBlocked, match="credit_card"):
        await screen(metrics, (both,), f"{EMAIL} pays with {CARD}")


async def test_a_refusal_names_kinds_in_order_and_never_what_was_found(metrics: Metrics) -> None:
    policy = Policy("default", (PiiCheck(("email", "credit_card"), "block"),))
    with pytest.raises(ContentBlocked) as caught:
        await screen(metrics, (policy,), f"{EMAIL} {CARD}")
    assert caught.value.outside.endswith("may not be sent: credit_card, email.")
    assert caught.value.param == "messages"
    assert EMAIL not in caught.value.inside


async def test_findings_are_counted_by_kind_and_action(metrics: Metrics) -> None:
    await screen(metrics, (Policy("default", (REDACT, BLOCK)),), f"{EMAIL} and {EMAIL}")
    with pytest.raises(ContentBlocked):
        await screen(metrics, (Policy("default", (BLOCK,)),), CARD)
    assert counted(metrics, "tollway_guardrail_findings_total") == {
        ("redact", "email"): 2.0,
        ("block", "credit_card"): 1.0,
    }


async def test_a_large_request_is_screened_in_a_thread_with_the_same_result(metrics: Metrics) -> None:
    filler = "x " * INLINE_BYTES
    assert said(await screen(metrics, (Policy("default", (REDACT,)),), filler + EMAIL)) == f"{filler}[EMAIL]"
    with pytest.raises(ContentBlocked):
        await screen(metrics, (Policy("default", (BLOCK,)),), filler + CARD)


async def test_a_clean_request_is_the_very_one_that_came(metrics: Metrics) -> None:
    admitted = Admitted(arrive(), principal(), ask(), None)
    screened = await Screener(snapshot(policies=(Policy("default", (REDACT,)),)), metrics).screen(admitted)
    assert screened.request is admitted.request
    assert [span for span, _ in screened.arrival.timing.spans] == ["screen"]


class Form:
    """An upload that is asked to have its texts screened."""

    is_read = True

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.checks = 0

    async def screen(self, check: Callable[[str, str], str]) -> None:
        """Has them checked."""
        self.checks += 1
        self.texts = {name: check(name, text) for name, text in self.texts.items()}

    def streamed(self, request: ChatRequest, model: str) -> Streamed:
        """Nobody asks for it here."""
        raise AssertionError

    def close(self) -> None:
        """Holds nothing."""


async def screen_form(metrics: Metrics, form: Form, *policies: Policy) -> Screened:
    request = chat.read_request(b'{"model": "m", "prompt": "Greet"}', "transcriptions")
    admitted = Admitted(arrive(operation="transcriptions"), principal(), request, None)
    admitted.arrival.connection.upload = form
    return await Screener(snapshot(policies=policies), metrics).screen(admitted)


async def test_the_texts_of_a_form_are_screened_one_by_one(metrics: Metrics) -> None:
    form = Form(keywords=f"Jane {EMAIL}", language="en")
    screened = await screen_form(metrics, form, Policy("default", (REDACT, BLOCK)))
    assert form.texts == {"keywords": "Jane [EMAIL]", "language": "en"}
    assert screened.request.model == "m"
    assert counted(metrics, "tollway_guardrail_findings_total") == {("redact", "email"): 1}


async def test_a_text_of_a_form_that_is_blocked_is_named(metrics: Metrics) -> None:
    with pytest.raises(ContentBlocked) as refused:
        await screen_form(metrics, Form(keywords=CARD), Policy("default", (BLOCK,)))
    assert refused.value.param == "keywords"
    assert CARD not in refused.value.outside


async def test_without_a_policy_a_form_is_not_screened(metrics: Metrics) -> None:
    form = Form(keywords=CARD)
    await screen_form(metrics, form)
    assert form.checks == 0
