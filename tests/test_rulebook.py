"""The rulebook: what holds in a worker follows what the database has, and policies are tried as they hold."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.fakes.telemetry import Recording

from tollway.contract.guardrails import Check, Direction, PiiCheck, Policy, WebhookCheck
from tollway.contract.snapshot import Snapshot
from tollway.control.billing.prices import PACKAGED, load_prices
from tollway.control.guardrails.view import Trial
from tollway.control.publish import publish
from tollway.errors import DependencyUnavailable, InternalError, InvalidRequest
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.feed import Feed
from tollway.proxy.guardrails.policies import Policies
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.outside import Edit, External, Judgement, Remark
from tollway.rulebook import Rulebook
from tollway.settings import read
from tollway.telemetry.metrics import Metrics, prepare

EMAIL = "jane.doe@example.com"
BLOCK = '{"input": [{"check": "pii", "entities": ["email"], "action": "block"}]}'
MAKE = "insert into guardrail_policies (name, version, body, created_by) values ($1, $2, $3, 'test')"
SETTINGS = read("version: 1\nguardrails: {own: {output: [{check: pii, action: mask}]}}", {})
SNAPSHOT = publish(SETTINGS, load_prices(PACKAGED), 1)
NOWHERE = "postgresql://tollway@127.0.0.1:1/tollway"
REDACT = Policy("p", "1", (PiiCheck({"email": "redact", "credit_card": "block"}),))


class Judge:
    """An external check that says ``said``, and remembers what it was shown."""

    name = "dlp"
    restore = False

    def __init__(self, *said: Edit | Remark) -> None:
        self._edits = tuple(each for each in said if isinstance(each, Edit))
        self._remarks = tuple(each for each in said if isinstance(each, Remark))
        self.shown: list[tuple[tuple[str, ...], str, str]] = []

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """Says it."""
        self.shown.append((tuple(texts), direction, tenant))
        return Judgement(self._edits, self._remarks)


class Books:
    """A rulebook with all that follows it."""

    def __init__(self, directory: Path, recording: Recording, metrics: Metrics) -> None:
        self.directory, self.recording, self.metrics = directory, recording, metrics
        self.judge: External = Judge()
        self.screener = Screener(SNAPSHOT, metrics, recording.log, self.open)
        self.followed: list[Snapshot] = []
        self.feed = Feed(SNAPSHOT, Authenticator(None, lambda _: None, metrics), metrics)  # type: ignore[arg-type, return-value]

    def open(self, check: Check) -> External:
        """The one external check there is."""
        if not isinstance(check, WebhookCheck):
            raise ValueError("there is no such check")
        return self.judge

    def rulebook(self, dsn: str) -> Rulebook:
        """One that follows a database."""
        copy = self.directory / "copy"
        return Rulebook(SETTINGS, SNAPSHOT, self.screener, self.feed, self.open, dsn, copy, self.recording.log)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with closing(Recording(tmp_path / "log")) as made:
        yield made


@pytest.fixture
def books(tmp_path: Path, recording: Recording) -> Iterator[Books]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker-0")) as metrics:
        yield Books(tmp_path, recording, metrics)


def holding(books: Books) -> Callable[[str | None], object]:
    """What a call of a policy's name meets, by the snapshot that requests are served by."""
    known = books.feed.current()
    policies = Policies(known, books.open, broken=lambda name, fault: None)
    return lambda name: policies.of(name, "m")


async def test_what_is_stored_holds_before_anybody_is_served(
    pool: asyncpg.Pool, postgres_dsn: str, books: Books
) -> None:
    await pool.execute(MAKE, "strict", 4, BLOCK)
    rulebook = books.rulebook(postgres_dsn)
    await rulebook.learn()
    assert books.feed.current().policies.keys() == {"own", "strict"}
    assert len(books.feed.current().guardrail_secret) == 32
    strict = rulebook.policy("strict")
    assert strict is not None
    assert strict.version == "4"
    assert rulebook.policy("nobody") is None


async def test_a_change_is_followed(pool: asyncpg.Pool, postgres_dsn: str, books: Books) -> None:
    rulebook = books.rulebook(postgres_dsn)
    await rulebook.learn()
    following = asyncio.create_task(rulebook.follow())
    await pool.execute(MAKE, "strict", 1, BLOCK)
    async with asyncio.timeout(30):
        while "strict" not in books.feed.current().policies:  # noqa: ASYNC110 -- another process's doing
            await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert holding(books)("strict") is not None


async def test_while_nothing_is_known_who_names_no_policy_is_refused(books: Books) -> None:
    await books.rulebook(NOWHERE).learn()
    for name in (None, "default", "strict"):
        with pytest.raises(DependencyUnavailable) as caught:
            holding(books)(name)
        assert "Try again" in caught.value.outside
    assert holding(books)("own") is not None, "the file's policies are known"
    assert len(books.feed.current().guardrail_secret) == 32, "digests that anybody could make would tell what they hide"
    assert "guardrails_unknown" in books.recording.events()


async def test_a_stored_policy_that_is_not_understood_is_closed_and_told(
    pool: asyncpg.Pool, postgres_dsn: str, books: Books
) -> None:
    await pool.execute(MAKE, "newer", 1, '{"input": [{"check": "aura", "action": "block"}]}')
    await books.rulebook(postgres_dsn).learn()
    with pytest.raises(InternalError):
        holding(books)("newer")
    (line,) = [line for line in books.recording.lines() if line["event"] == "guardrails_not_understood"]
    assert line["some"] == ["newer"]


async def examine(books: Books, policy: Policy = REDACT, **trial: Any) -> Any:
    """A trial, as JSON says it."""
    found = await books.rulebook(NOWHERE).examine(policy, Trial(**trial))
    return msgspec.json.decode(msgspec.json.encode(found))


async def test_a_text_is_tried(books: Books) -> None:
    found = await examine(books, text=f"\N{PARTY POPPER} {EMAIL}!")
    (finding,) = found["findings"]
    assert (found["text"], found["blocked"]) == ("\N{PARTY POPPER} [EMAIL]!", False)
    assert (finding["check"], finding["kind"], finding["action"]) == ("pii", "email", "redact")
    assert (finding["start"], finding["end"]) == (2, 2 + len(EMAIL)), "in characters, not in bytes"
    assert 0.5 <= finding["confidence"] <= 1


async def test_what_is_blocked_passes_nothing(books: Books) -> None:
    found = await examine(books, text=f"{EMAIL} 4111 1111 1111 1111")
    assert (found["text"], found["blocked"]) == (None, True)
    assert [each["action"] for each in found["findings"]] == ["redact", "block"]


async def test_each_direction_has_its_own_checks(books: Books) -> None:
    found = await examine(books, text=EMAIL, direction="output")
    assert (found["text"], found["findings"]) == (EMAIL, [])


async def test_a_request_is_tried_as_a_whole(books: Books) -> None:
    messages = [{"role": "system", "content": EMAIL}, {"role": "user", "content": f"{EMAIL} and {EMAIL}"}]
    body = msgspec.json.encode({"model": "m", "messages": messages, "x-own": 1})
    found = await examine(books, request=body)
    assert [each["content"] for each in found["request"]["messages"]] == ["[EMAIL]", "[EMAIL] and [EMAIL]"]
    assert found["request"]["x-own"] == 1
    assert [(each["kind"], each["count"], each["start"]) for each in found["findings"]] == [("email", 3, None)]
    blocked = await examine(books, request=body.replace(EMAIL.encode(), b"4111111111111111"))
    assert (blocked["request"], blocked["blocked"]) == (None, True)


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": 1}'])
async def test_what_is_no_request_is_refused(books: Books, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await examine(books, request=body)


async def test_an_answer_is_tried_as_a_text_alone(books: Books) -> None:
    with pytest.raises(InvalidRequest, match="as a text"):
        await examine(books, request=b"{}", direction="output")


async def test_a_policy_that_can_not_be_made_says_which_check_is_wrong(books: Books) -> None:
    policy = Policy("p", "1", (PiiCheck({"aura": "redact"}),))
    with pytest.raises(InvalidRequest, match=r"input\[0\] \(pii\)"):
        await examine(books, policy, text="x")


WEBHOOK = Policy("p", "1", (PiiCheck({"email": "redact"}), WebhookCheck("https://dlp.test")))


async def test_nobody_is_asked_unless_that_is_asked_for(books: Books) -> None:
    books.judge = judge = Judge()
    found = await examine(books, WEBHOOK, text=EMAIL)
    assert (found["skipped"], judge.shown) == (["webhook"], [])


async def test_external_checks_see_what_the_native_ones_have_left(books: Books) -> None:
    books.judge = judge = Judge(Edit(0, 0, 7, "mark", "redact"), Remark("mood", "flag"))
    found = await examine(books, WEBHOOK, text=f"{EMAIL} wins", external=True)
    assert judge.shown == [(("[EMAIL] wins",), "input", "")]
    assert (found["text"], found["skipped"], found["blocked"]) == ("[MARK] wins", [], False)
    assert [(each["check"], each["kind"], each["start"]) for each in found["findings"]] == [
        ("pii", "email", 0),
        ("dlp", "mark", 0),
        ("dlp", "mood", None),
    ]


async def test_external_checks_judge_requests_and_answers(books: Books) -> None:
    books.judge = judge = Judge(Edit(1, 0, 2, "mark", "redact"))
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": each} for each in ("a", "bcd")]})
    found = await examine(books, WEBHOOK, request=body, external=True)
    assert [each["content"] for each in found["request"]["messages"]] == ["a", "[MARK]d"]
    books.judge = judge = Judge(Remark("unavailable", "block"))
    found = await examine(books, Policy("p", "1", (), WEBHOOK.input), text=EMAIL, direction="output", external=True)
    assert judge.shown == [(("[EMAIL]",), "output", "")]
    assert (found["text"], found["blocked"]) == (None, True)


async def test_nobody_is_asked_about_what_is_blocked_already(books: Books) -> None:
    books.judge = judge = Judge()
    policy = Policy("p", "1", (PiiCheck({"email": "block"}), WebhookCheck("https://dlp.test")))
    assert (await examine(books, policy, text=EMAIL, external=True))["blocked"]
    assert judge.shown == []


async def test_a_policy_that_watches_is_tried_as_it_watches(books: Books) -> None:
    books.judge = Judge(Remark("mood", "block"))
    policy = msgspec.structs.replace(WEBHOOK, mode="monitor")
    found = await examine(books, policy, text=EMAIL, external=True)
    assert (found["text"], found["blocked"]) == (EMAIL, False)
    assert [each["action"] for each in found["findings"]] == ["flag", "flag"]
