"""Station 3: which policy holds for whom, and what it does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec
import pytest
from tests.fakes.telemetry import Recording, counted
from tests.proxy.edge import Client, arrive, ask, principal, snapshot

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import Direction, Found, PiiCheck, Policy, WebhookCheck
from tollway.contract.snapshot import Operation, Snapshot
from tollway.errors import ContentBlocked, InternalError
from tollway.proxy.exchange import DRY_RUN, Admitted, Screened
from tollway.proxy.guardrails.screen import INLINE_BYTES, Screener
from tollway.proxy.outside import Edit, External, Judgement, Remark
from tollway.proxy.pieces import Streamed
from tollway.telemetry.metrics import Metrics

EMAIL, CARD = "jane.doe@example.com", "4111 1111 1111 1111"
REDACT = PiiCheck({"email": "redact"})
BLOCK = PiiCheck({"credit_card": "block"})


Open = Callable[[Snapshot], Screener]


class Screen(Protocol):
    """See :func:`screen`."""

    async def __call__(self, policies: tuple[Policy, ...], text: str, policy: str | None = None) -> Screened:
        """Has it screened."""
        ...


@pytest.fixture
def opened(metrics: Metrics, recording: Recording) -> Open:
    """Makes a screener of a snapshot."""
    return lambda known: Screener(known, metrics, recording.log)


@pytest.fixture
def screen(opened: Open) -> Screen:
    """Has a text screened under policies, for a caller that names one or none."""

    async def screened(policies: tuple[Policy, ...], text: str, policy: str | None = None) -> Screened:
        messages = [{"role": "user", "content": text}]
        admitted = Admitted(arrive(), principal(policy=policy), ask(messages=messages), None)
        return await opened(snapshot(policies=policies)).screen(admitted)

    return screened


async def test_a_prompt_of_token_numbers_can_not_pass_a_check_unseen(opened: Open) -> None:
    request = chat.read_request(b'{"model": "m", "input": [[1, 2]]}', "embeddings")
    admitted = Admitted(arrive(operation="embeddings"), principal(), request, None)
    assert (await opened(snapshot()).screen(admitted)).request is request
    with pytest.raises(ContentBlocked, match="Token numbers"):
        await opened(snapshot(policies=(Policy("default", "1", (REDACT,)),))).screen(admitted)


@pytest.mark.parametrize(("operation", "field"), [("completions", "prompt"), ("embeddings", "input")])
async def test_a_refusal_names_the_field_of_its_operation(opened: Open, operation: Operation, field: str) -> None:
    request = chat.read_request(json.dumps({"model": "m", field: CARD}).encode(), operation)
    admitted = Admitted(arrive(operation=operation), principal(), request, None)
    with pytest.raises(ContentBlocked) as caught:
        await opened(snapshot(policies=(Policy("default", "1", (BLOCK,)),))).screen(admitted)
    assert caught.value.param == field


def said(screened: Screened) -> Any:
    return json.loads(screened.request.body)["messages"][0]["content"]


async def test_without_a_policy_a_request_passes_as_it_is(screen: Screen) -> None:
    assert said(await screen((), EMAIL)) == EMAIL


async def test_callers_that_name_no_policy_have_the_default(screen: Screen) -> None:
    policies = (Policy("default", "1", (REDACT,)), Policy("open", "1", ()))
    assert said(await screen(policies, EMAIL)) == "[EMAIL]"
    assert said(await screen(policies, EMAIL, "open")) == EMAIL


async def test_a_policy_that_is_gone_lets_nothing_through(screen: Screen) -> None:
    for policies in ((), (Policy("default", "1", ()),)):
        with pytest.raises(InternalError) as caught:
            await screen(policies, "harmless", "removed")
        assert "removed" in caught.value.inside
        assert "removed" not in caught.value.outside


async def test_a_policy_that_is_not_understood_here_lets_nothing_through(opened: Open) -> None:
    screener = opened(msgspec.structs.replace(snapshot(), unreadable=frozenset({"default", "own"})))
    for name in (None, "own"):
        with pytest.raises(InternalError):
            await screener.screen(Admitted(arrive(), principal(policy=name), ask(), None))


async def test_another_snapshot_brings_other_policies(opened: Open) -> None:
    screener = opened(snapshot())
    admitted = Admitted(arrive(), principal(), ask(messages=[{"role": "user", "content": EMAIL}]), None)
    assert said(await screener.screen(admitted)) == EMAIL
    screener.follow(snapshot(policies=(Policy("default", "1", (REDACT,)),)))
    assert said(await screener.screen(admitted)) == "[EMAIL]"


async def test_checks_run_in_order_each_on_what_the_one_before_left(screen: Screen) -> None:
    both = Policy("default", "1", (REDACT, PiiCheck({"email": "block"}), BLOCK))
    assert said(await screen((both,), f"write to {EMAIL}")) == "write to [EMAIL]"
    with pytest.raises(ContentBlocked, match="credit_card"):
        await screen((both,), f"{EMAIL} pays with {CARD}")


async def test_a_refusal_names_kinds_in_order_and_never_what_was_found(screen: Screen) -> None:
    policy = Policy("default", "1", (PiiCheck({"email": "block", "credit_card": "block"}),))
    with pytest.raises(ContentBlocked) as caught:
        await screen((policy,), f"{EMAIL} {CARD}")
    assert caught.value.outside.endswith("may not be sent: credit_card, email.")
    assert caught.value.param == "messages"
    assert EMAIL not in caught.value.inside


async def test_findings_are_counted_by_kind_and_action(screen: Screen, metrics: Metrics) -> None:
    await screen((Policy("default", "1", (REDACT, BLOCK)),), f"{EMAIL} and {EMAIL}")
    with pytest.raises(ContentBlocked):
        await screen((Policy("default", "1", (BLOCK,)),), CARD)
    assert counted(metrics, "tollway_guardrail_findings_total") == {
        ("redact", "pii", "input", "email"): 2.0,
        ("block", "pii", "input", "credit_card"): 1.0,
    }


async def test_a_large_request_is_screened_in_a_thread_with_the_same_result(screen: Screen) -> None:
    filler = "x " * INLINE_BYTES
    assert said(await screen((Policy("default", "1", (REDACT,)),), filler + EMAIL)) == f"{filler}[EMAIL]"
    with pytest.raises(ContentBlocked):
        await screen((Policy("default", "1", (BLOCK,)),), filler + CARD)


async def test_a_clean_request_is_the_very_one_that_came(opened: Open) -> None:
    admitted = Admitted(arrive(), principal(), ask(), None)
    screened = await opened(snapshot(policies=(Policy("default", "1", (REDACT,)),))).screen(admitted)
    assert screened.request is admitted.request
    assert [span for span, _ in screened.arrival.timing.spans] == ["screen"]


class Form:
    """An upload that is asked to have its texts screened."""

    is_read = True

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.checks = 0

    async def screen(self, check: Callable[[str, str], Awaitable[str]]) -> None:
        """Has them checked."""
        self.checks += 1
        self.texts = {name: await check(name, text) for name, text in self.texts.items()}

    def streamed(self, request: ChatRequest, model: str) -> Streamed:
        """Nobody asks for it here."""
        raise AssertionError

    def close(self) -> None:
        """Holds nothing."""


async def screen_form(opened: Open, form: Form, *policies: Policy) -> Screened:
    request = chat.read_request(b'{"model": "m", "prompt": "Greet"}', "transcriptions")
    admitted = Admitted(arrive(operation="transcriptions"), principal(), request, None)
    admitted.arrival.connection.upload = form
    return await opened(snapshot(policies=policies)).screen(admitted)


async def test_the_texts_of_a_form_are_screened_one_by_one(opened: Open, metrics: Metrics) -> None:
    form = Form(keywords=f"Jane {EMAIL}", language="en")
    screened = await screen_form(opened, form, Policy("default", "1", (REDACT, BLOCK)))
    assert form.texts == {"keywords": "Jane [EMAIL]", "language": "en"}
    assert screened.request.model == "m"
    assert counted(metrics, "tollway_guardrail_findings_total") == {("redact", "pii", "input", "email"): 1}


async def test_a_text_of_a_form_that_is_blocked_is_named(opened: Open) -> None:
    with pytest.raises(ContentBlocked) as refused:
        await screen_form(opened, Form(keywords=CARD), Policy("default", "1", (BLOCK,)))
    assert refused.value.param == "keywords"
    assert CARD not in refused.value.outside


async def test_without_a_policy_a_form_is_not_screened(opened: Open) -> None:
    form = Form(keywords=CARD)
    await screen_form(opened, form)
    assert form.checks == 0


class Says:
    """An external check that says what it is told to, once everybody it waits for is asked, too."""

    def __init__(self, name: str, judgement: Judgement, together: asyncio.Barrier | None = None) -> None:
        self.name, self.restore = name, True
        self.seen: list[tuple[str, ...]] = []
        self._judgement = judgement
        self._together = together

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """Notes what it was shown."""
        assert (direction, tenant) == ("input", "tenant-1")
        self.seen.append(tuple(texts))
        if self._together is not None:
            await self._together.wait()
        return self._judgement


WEBHOOK = WebhookCheck("https://example.com")
JANE = Judgement((Edit(0, 0, 4, "person", "redact"),))


@pytest.fixture
def outside(metrics: Metrics, recording: Recording) -> Callable[..., Awaitable[Screened]]:
    """Has a text screened by external checks, behind a check for e-mail addresses."""

    async def screened(text: str, *checks: Says, mode: Literal["enforce", "monitor"] = "enforce") -> Screened:
        waiting = list(checks)
        policy = Policy("default", "1", (REDACT, *[WEBHOOK] * len(checks)), mode=mode)
        screener = Screener(snapshot(policies=(policy,)), metrics, recording.log, lambda _: waiting.pop(0))
        return await screener.screen(
            Admitted(arrive(), principal(), ask(messages=[{"role": "user", "content": text}]), None)
        )

    return screened


async def test_external_checks_see_what_the_native_ones_left(outside: Callable[..., Awaitable[Screened]]) -> None:
    names = Says("names", JANE)
    screened = await outside(f"Jane is {EMAIL}", names)
    assert names.seen == [("Jane is [EMAIL]",)]
    assert said(screened).startswith("[PERSON_")
    assert said(screened).endswith("] is [EMAIL]")
    assert screened.guard is not None
    assert screened.guard.found() == (
        Found("input", "names", "person", "redact", 1),
        Found("input", "pii", "email", "redact", 1),
    )


async def test_external_checks_are_asked_at_the_same_time(outside: Callable[..., Awaitable[Screened]]) -> None:
    together = asyncio.Barrier(2)
    one, other = Says("one", JANE, together), Says("other", Judgement(), together)
    async with asyncio.timeout(10):
        assert said(await outside("Jane", one, other)).startswith("[PERSON_")


async def test_what_an_external_check_refuses_goes_no_further(
    outside: Callable[..., Awaitable[Screened]], metrics: Metrics
) -> None:
    with pytest.raises(ContentBlocked, match="the check web does not allow: violence"):
        await outside("Jane", Says("web", Judgement((), (Remark("violence", "block"),))))
    assert counted(metrics, "tollway_guardrail_findings_total") == {("block", "web", "input", "violence"): 1}


async def test_an_external_check_that_can_not_be_asked_is_named(outside: Callable[..., Awaitable[Screened]]) -> None:
    with pytest.raises(ContentBlocked, match="The check web can't be asked"):
        await outside("Jane", Says("web", Judgement((), (Remark("unavailable", "block"),))))


async def test_an_external_check_with_a_defect_lets_nothing_pass_and_its_words_are_not_repeated(
    outside: Callable[..., Awaitable[Screened]],
) -> None:
    class Broken(Says):
        async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
            raise RuntimeError(texts[0])

    with pytest.raises(InternalError) as caught:
        await outside("Jane", Broken("web", Judgement()))
    assert caught.value.inside == "web: RuntimeError"
    assert caught.value.__cause__ is None


async def test_who_is_asked_for_a_client_that_hangs_up_is_asked_no_more(metrics: Metrics, recording: Recording) -> None:
    client, asked, ends = Client(), asyncio.Event(), list[str]()

    class Slow(Says):
        async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
            asked.set()
            answer: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
            try:
                return await answer
            finally:
                ends.append(self.name)

    checks: list[External] = [Slow("one", Judgement()), Slow("other", Judgement())]
    policy = Policy("default", "1", (WEBHOOK, WEBHOOK))
    screener = Screener(snapshot(policies=(policy,)), metrics, recording.log, lambda _: checks.pop())

    async def call() -> None:
        arrival = arrive(client)
        try:
            await screener.screen(Admitted(arrival, principal(), ask(), None))
        finally:
            arrival.connection.close()

    calling = asyncio.create_task(call())
    async with asyncio.timeout(10):
        await asked.wait()
        client.hang_up()
        await asyncio.wait({calling})
    assert calling.cancelled()
    assert sorted(ends) == ["one", "other"]


async def test_an_external_check_that_only_watches_changes_nothing(outside: Callable[..., Awaitable[Screened]]) -> None:
    web = Says("web", Judgement(JANE.edits, (Remark("violence", "block"), Remark("calm", "allow"))))
    screened = await outside("Jane", web, mode="monitor")
    assert said(screened) == "Jane"
    assert screened.guard is not None
    assert {(found.kind, found.action) for found in screened.guard.found()} == {
        ("person", "flag"),
        ("violence", "flag"),
    }


async def test_a_guard_goes_along_where_somebody_looks(screen: Screen) -> None:
    assert (await screen((Policy("default", "1"),), EMAIL)).guard is None
    guard = (await screen((Policy("default", "1", (REDACT,)),), EMAIL)).guard
    assert guard is not None
    assert (guard.tenant, guard.inspects_output, guard.on_block) == ("tenant-1", False, "error")
    restoring = (await screen((Policy("default", "1", (PiiCheck({"email": "redact"}, restore=True),)),), EMAIL)).guard
    assert restoring is not None
    assert restoring.inspects_output
    restoring = (await screen((Policy("default", "1", (PiiCheck({"email": "redact"}, restore=True),)),), "Hi")).guard
    assert restoring is not None
    assert not restoring.sees_answers, "nothing was taken out that could be put back"
    watching = (await screen((Policy("default", "1", (), (REDACT,), on_block="refusal"),), EMAIL)).guard
    assert watching is not None
    assert (watching.inspects_output, watching.on_block) == (True, "refusal")


async def test_a_block_may_be_told_as_an_answer_where_the_operation_has_one(opened: Open) -> None:
    screener = opened(snapshot(policies=(Policy("default", "1", (BLOCK,), on_block="refusal"),)))
    request = ask(messages=[{"role": "user", "content": CARD}])
    refused = await screener.screen(Admitted(arrive(), principal(), request, None))
    assert refused.refusal == "The request holds personal data that may not be sent: credit_card."
    with pytest.raises(ContentBlocked):
        await screener.screen(Admitted(arrive(headers={DRY_RUN: b"route"}), principal(), request, None))
    vectors = chat.read_request(json.dumps({"model": "m", "input": CARD}).encode(), "embeddings")
    with pytest.raises(ContentBlocked):
        await screener.screen(Admitted(arrive(operation="embeddings"), principal(), vectors, None))


async def test_a_policy_that_only_watches_lets_token_numbers_pass(opened: Open) -> None:
    request = chat.read_request(b'{"model": "m", "input": [[1, 2]]}', "embeddings")
    screener = opened(snapshot(policies=(Policy("default", "1", (BLOCK,), mode="monitor"),)))
    screened = await screener.screen(Admitted(arrive(operation="embeddings"), principal(), request, None))
    assert screened.request is request
