"""Cached answers against fresh ones: what is asked again, and what is learned of it."""

import json
from collections.abc import Callable, Coroutine
from itertools import cycle
from typing import Any

import pytest
from tests.proxy.edge import arrive, ask, principal

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.contract.cache import Feedback, SemanticCaching, Verdict
from tollway.proxy.cache import comparing
from tollway.proxy.cache.comparing import INLINE_BYTES, MOST_ANSWER_BYTES, Comparing, Hear, judge
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.port import EmbedderDown
from tollway.proxy.exchange import Screened

ENTRY = Entry(b"k" * 32, "tenant-1", "key-1", "m", "chat", "fake", "m-1", 0, 1, 9, 1, 1, 5)


def says(text: str | None, *calls: tuple[str, str]) -> bytes:
    """A chat's answer."""
    tools = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    return json.dumps({"choices": [{"message": {"content": text, "tool_calls": tools}}]}).encode()


class Second:
    """An embedder that knows these vectors."""

    name = "second"

    def __init__(self, **vectors: bytes) -> None:
        self.vectors = vectors

    async def embed(self, text: str) -> bytes:
        """By the first word."""
        found = self.vectors.get(text.split()[0].lower().strip("."))
        if found is None:
            raise EmbedderDown("status 500")
        return found


class Desk:
    """Comparisons whose fresh answers a test gives."""

    def __init__(self, chance: float = 0.0) -> None:
        self.learned: list[Feedback] = []
        self.asked: list[tuple[Screened, ChatRequest, Hear]] = []
        self.comparing = Comparing(self.again, self.learned.append, chance=lambda: chance)

    def again(self, screened: Screened, request: ChatRequest, hear: Hear) -> None:
        """Notes it."""
        self.asked.append((screened, request, hear))

    def compare(self, body: bytes, share: float = 1.0, **fields: Any) -> None:
        """A hit on ``body``."""
        screened = Screened(arrive(), principal(), ask(**fields))
        self.comparing.compare(screened, ENTRY, 0.97, "region-7", body, SemanticCaching(shadow_share=share), None)

    async def hear(self, status: int, body: bytes) -> None:
        """The fresh answer to the one that was asked."""
        [(_, _, hear)] = self.asked
        await hear(status, body)


@pytest.mark.parametrize(("share", "chance", "asked"), [(0.0, 0.0, 0), (0.1, 0.099, 1), (0.1, 0.1, 0), (1.0, 0.999, 1)])
async def test_a_share_of_the_hits_is_asked_again(share: float, chance: float, asked: int) -> None:
    desk = Desk(chance)
    desk.compare(says("Paris."), share)
    assert len(desk.asked) == asked


@pytest.mark.parametrize(("fresh", "verdict"), [("Paris.", "good"), ("London has 9 million people.", "wrong")])
async def test_what_is_found_is_feedback_of_the_region(fresh: str, verdict: Verdict) -> None:
    desk = Desk()
    desk.compare(says("Paris."))
    await desk.hear(200, says(fresh))
    assert desk.learned == [
        Feedback(tenant_id="tenant-1", region="region-7", confidence=0.97, verdict=verdict, source="shadow")
    ]


async def test_a_stream_is_asked_again_whole_and_as_it_was_else() -> None:
    desk = Desk()
    extra: dict[str, Any] = {"stream_options": {"include_usage": True}, "seed": 7, "big": 2**70}
    desk.compare(says("Paris."), stream=True, **extra)
    [(_, request, _)] = desk.asked
    assert not request.stream
    assert json.loads(request.body) == {
        "model": "m",
        "messages": json.loads(ask().body)["messages"],
        "seed": 7,
        "big": 2**70,
    }
    keys = chat.read_request(ask(stream=True, **extra).body).cache_keys("s", "m")
    assert request.cache_keys("s", "m").key == keys.key


async def test_a_whole_call_is_asked_again_as_it_is() -> None:
    desk = Desk()
    desk.compare(says("Paris."))
    [(screened, request, _)] = desk.asked
    assert request is screened.request


@pytest.mark.parametrize(
    ("status", "body"), [(500, says("Paris.")), (200, b"{}"), (200, b"<html>"), (200, b"x" * (MOST_ANSWER_BYTES + 1))]
)
async def test_what_is_no_answer_teaches_nothing(status: int, body: bytes) -> None:
    desk = Desk()
    desk.compare(says("Paris."))
    await desk.hear(status, body)
    assert desk.learned == []


async def test_what_is_too_large_is_not_compared() -> None:
    desk = Desk()
    desk.compare(b"x" * (MOST_ANSWER_BYTES + 1))
    desk.compare(says("Paris."), messages=[{"role": "user", "content": "x" * INLINE_BYTES}])
    assert desk.asked == []


WEATHER = ("weather", '{"city": "Paris", "days": 2}')


@pytest.mark.parametrize(
    ("cached", "fresh", "verdict"),
    [
        (says(None, WEATHER), says(None, ("weather", '{"days":2,"city":"Paris"}')), "good"),
        (says("Let me look.", WEATHER), says("One moment.", WEATHER), "good"),
        (says(None, WEATHER), says(None, ("weather", '{"city":"Paris","days":3}')), "wrong"),
        (says(None, WEATHER), says(None, ("forecast", WEATHER[1])), "wrong"),
        (says(None, WEATHER), says(None, WEATHER, WEATHER), "wrong"),
        (says(None, WEATHER), says("It rains."), "wrong"),
        (says("It  rains.\n"), says("it rains."), "good"),
    ],
)
async def test_tools_are_compared_by_name_and_arguments_and_texts_without_case(
    cached: bytes, fresh: bytes, verdict: Verdict
) -> None:
    assert await judge("chat", cached, fresh, None) == verdict
    assert await judge("chat", fresh, cached, None) == verdict


async def test_the_second_embedder_says_whether_texts_mean_the_same() -> None:
    second = Second(one=b"\x7f\x00", uno=b"\x7f\x10", two=b"\x00\x7f", eins=b"\x7f\x5f")
    assert await judge("chat", says("one answer"), says("uno answer"), second) == "good"
    assert await judge("chat", says("one answer"), says("two answers"), second) == "wrong"
    assert await judge("chat", says("one answer"), says("eins"), second) is None, "neither near nor far"


async def test_numbers_and_negations_of_short_texts_count_whatever_an_embedder_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparing, "Question", Opposed)
    second = Second(yes=b"\x7f", no=b"\x7f")
    assert await judge("chat", says("yes it is"), says("no it is not"), second) == "wrong"
    long = " and so on" * 50
    assert await judge("chat", says("yes it is" + long), says("no it is not" + long), second) == "good"


async def test_the_built_in_embedder_decides_where_the_second_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "Question", Alike)
    assert await judge("chat", says("here"), says("there"), Second()) == "good"
    assert await judge("chat", says("here"), says("there"), None) == "good"


@pytest.mark.parametrize(
    ("cached", "fresh", "verdict"),
    [
        ("Yes.", "Yes, it is.", "good"),
        ("42", "The answer is 42.", "good"),
        ("42", "The answer is 43.", "wrong"),
        ("Open the menu at the top left.", "Open the menu at the top left and then close it again.", "wrong"),
    ],
)
async def test_few_words_are_said_by_a_sentence_that_has_them_all(
    cached: str, fresh: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "Question", Alike)
    second = Second()
    monkeypatch.setattr(second, "embed", far_apart())
    assert await judge("chat", says(cached), says(fresh), second) == verdict


async def test_what_nobody_can_compare_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "Question", Wordless)
    assert await judge("chat", says("!?"), says("??"), None) is None


async def test_long_answers_are_compared_by_their_beginnings() -> None:
    text = "The gateway passes on every byte. "
    assert await judge("chat", says(text * 5_000 + "one"), says(text * 5_000 + "two"), None) == "good"


def far_apart() -> Callable[[str], Coroutine[Any, Any, bytes]]:
    """What finds any two texts far apart."""
    turns = cycle([b"\x7f\x00", b"\x00\x7f"])

    async def embed(_: str) -> bytes:
        return next(turns)

    return embed


class Alike:
    """A question that agrees with any other."""

    def __init__(self, text: str) -> None:
        self.text = text

    def agrees(self, _: "Alike") -> bool:
        """Always."""
        return True

    def similarity(self, _: "Alike") -> float:
        """Near."""
        return 0.9


class Opposed(Alike):
    """One that agrees with none."""

    def agrees(self, _: Alike) -> bool:
        """Never."""
        return False


class Wordless(Alike):
    """No question at all."""

    def __init__(self, text: str) -> None:
        raise ValueError("no known token")
