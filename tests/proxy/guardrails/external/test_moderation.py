"""Moderation by a model of ours: which categories count."""

import json
from typing import Any

import pytest
from tests.proxy.guardrails.external.asked import Scripted

from tollway.proxy.guardrails.external.asking import Unanswered
from tollway.proxy.guardrails.external.moderation import Moderation
from tollway.proxy.outside import Judgement, Remark


def result(flagged: bool | None = None, **scores: float) -> dict[str, Any]:
    named = {name.replace("_", "-"): score for name, score in scores.items()}
    categories = {name: score >= 0.7 for name, score in named.items()}
    said: dict[str, Any] = {"categories": categories, "category_scores": named}
    return said if flagged is None else said | {"flagged": flagged}


async def judged(*results: dict[str, Any], **more: Any) -> list[str]:
    asker = Scripted({"id": "modr-1", "model": "m", "results": results})
    moderation = Moderation("moderator", asker, action="block", **more)
    judgement = await moderation.ask(["text"] * len(results), "input", "acme")
    assert all(remark.action == "block" for remark in judgement.remarks)
    assert judgement.edits == ()
    return [remark.kind for remark in judgement.remarks]


async def test_the_alias_is_asked_about_every_text_that_says_something() -> None:
    asker = Scripted({"results": [result(False), result(False)]})
    assert await Moderation("moderator", asker, action="flag").ask(["a", "", "b"], "input", "acme") == Judgement()
    [(model, _, body)] = asker.asked
    assert (model, json.loads(body)) == ("moderator", {"input": ["a", "b"]})


async def test_without_categories_what_the_model_flags_counts() -> None:
    assert await judged(result(True, violence=0.9, hate=0.1)) == ["violence"]
    assert await judged(result(False, violence=0.9)) == []
    assert await judged(result(True)) == ["flagged"]
    assert await judged(result(None, violence=0.9), result(None, hate=0.8)) == ["violence", "hate"]


async def test_a_category_counts_from_its_threshold_on() -> None:
    assert await judged(result(False, violence=0.3, hate=0.2), categories=["violence"], threshold=0.3) == ["violence"]
    assert await judged(result(True, violence=0.9), categories=["hate"]) == []
    assert await judged({"flagged": True, "categories": {"hate": True}}, categories=["hate"]) == ["hate"]


async def test_an_action_flag_records() -> None:
    asker = Scripted({"results": [result(True, violence=0.9)]})
    judgement = await Moderation("moderator", asker, action="flag").ask(["a"], "input", "acme")
    assert judgement == Judgement(remarks=(Remark("violence", "flag"),))


@pytest.mark.parametrize(
    "said",
    [
        {"results": []},
        {"results": [result(True), result(True)]},
        {"results": [{"flagged": "yes"}]},
        {"error": {"message": "no"}},
        b"oops",
    ],
)
async def test_what_has_no_result_for_each_text_is_no_answer(said: object) -> None:
    with pytest.raises(Unanswered):
        await Moderation("moderator", Scripted(said), action="block").ask(["a"], "input", "acme")
