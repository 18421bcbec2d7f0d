"""What the hub carries for Anthropic beyond chat's fields: ``extra_content.anthropic``, ``citations``, ``file_url``."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.anthropic_schema import check

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.request import map_request

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "1"}


def own(**fields: Any) -> dict[str, Any]:
    return {"extra_content": {"anthropic": fields}}


def mapped(messages: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    body = map_request({"messages": messages or [{"role": "user", "content": "Hi"}], **fields}, "claude-opus-5").body
    check(body)
    return body


def blocks(*parts: dict[str, Any]) -> list[Any]:
    content: list[Any] = mapped([{"role": "user", "content": list(parts)}])["messages"][0]["content"]
    return content


def test_a_file_may_be_an_address_an_image_that_anthropic_holds_or_one_to_be_cited() -> None:
    assert blocks(
        {"type": "file", "file": {"file_url": "https://a.example/b.pdf", "filename": "B"}, "citations": True},
        {"type": "file", "file": {"file_url": "https://a.example/c.pdf", "filename": "document.pdf"}},
        {"type": "file", "file": {"file_id": "file_1"}, **own(image=True)},
    ) == [
        {
            "type": "document",
            "source": {"type": "url", "url": "https://a.example/b.pdf"},
            "title": "B",
            "citations": {"enabled": True},
        },
        {"type": "document", "source": {"type": "url", "url": "https://a.example/c.pdf"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ]


def test_a_document_of_text_is_taken_apart_by_the_lengths_that_are_told() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "It is."}
    told = {"type": "text", "text": "T\n\nIt is.", **own(document={"title": 1, "context": 0})}
    assert blocks(told) == [{"type": "document", "source": source, "title": "T"}]


def test_a_marked_system_message_stays_where_it_was_said() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "In French.", **own(in_place=True)}]
    made = mapped(messages)
    assert "system" not in made
    assert made["messages"][-1] == {"role": "system", "content": [{"type": "text", "text": "In French."}]}


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        (["text", "thinking", "tool_use"], ["text", "thinking", "tool_use"]),
        (["text", "tool_use"], ["thinking", "text", "tool_use"]),
        (["text", "text", "tool_use"], ["thinking", "text", "tool_use"]),
        ([1], ["thinking", "text", "tool_use"]),
        ("text", ["thinking", "text", "tool_use"]),
    ],
)
def test_blocks_go_back_in_the_order_that_is_told_if_it_fits(order: Any, kinds: list[str]) -> None:
    said = {"role": "assistant", "content": "So", "thinking_blocks": [THOUGHT], "tool_calls": [CALL]}
    messages = [{"role": "user", "content": "Hi"}, {**said, **own(order=order)}, RESULT]
    assert [block["type"] for block in mapped(messages, tools=[FUNCTION])["messages"][1]["content"]] == kinds


def test_tools_of_anthropics_own_go_back_to_their_places_with_the_choice() -> None:
    made = mapped(
        tools=[FUNCTION],
        **own(tools=[{"at": 0, "tool": SEARCH}], tool_choice={"type": "any", "disable_parallel_tool_use": True}),
    )
    assert [tool["name"] for tool in made["tools"]] == ["web_search", "f"]
    assert made["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_anthropics_own_words_for_effort_and_form_win_over_what_was_made_of_them() -> None:
    form = {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}
    derived = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    made = mapped(response_format=derived, reasoning_effort="high", **own(output_config={"format": form}))
    assert made["output_config"] == {"format": form}
    assert "thinking" not in made
    assert "output_config" not in mapped(reasoning_effort="high", **own(output_config={}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (own(tools=1), "extra_content.anthropic.tools"),
        (own(tools=[{"at": "x", "tool": SEARCH}]), "extra_content.anthropic.tools"),
        (own(tools=[{"at": 0, "tool": {}}]), "extra_content.anthropic.tools"),
        (own(output_config=1), "output_config"),
        (own(thinking=1), "thinking"),
        (own(tool_choice=1), "tool_choice"),
    ],
)
def test_what_is_malformed_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        mapped(**fields)
    assert raised.value.param == param


@pytest.mark.parametrize("lengths", [{}, {"title": -1, "context": 0}, {"title": True, "context": 0}, {"title": 1}])
def test_lengths_that_are_none_are_refused(lengths: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        blocks({"type": "text", "text": "x", **own(document=lengths)})
    assert raised.value.param == "messages[0].content[0].extra_content"


ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, -1, "", "x", "text", 10**30]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "at", "tool", "title", "context", "name"]), inner, max_size=3)
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(
    "tools tool_choice output_config thinking metadata container order in_place image document".split()
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(NAMES, ODD), st.dictionaries(NAMES, ODD), st.dictionaries(NAMES, ODD))
def test_extra_content_of_any_shape_is_taken_or_refused(top: Any, turn: Any, part: Any) -> None:
    messages = [
        {"role": "system", "content": "s", **own(**turn)},
        {"role": "user", "content": [{"type": "text", "text": "Hi", **own(**part)}], **own(**turn)},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}, **own(**part)}]},
        {"role": "assistant", "content": "So", "tool_calls": [{**CALL, **own(**part)}], **own(**turn)},
        RESULT,
    ]
    try:
        made = map_request({"messages": messages, "tools": [{**FUNCTION, **own(**part)}], **own(**top)}, "m")
    except InvalidRequest as refusal:
        assert refusal.outside  # noqa: PT017 - a refusal is one of the two good ends
        return
    assert made.body["messages"]
