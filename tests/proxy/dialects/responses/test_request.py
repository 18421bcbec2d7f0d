"""Responses requests as the hub's: each item, each field, and what is refused."""

import json
from typing import Any

import pytest
from tests.fakes.openai_schema import check_chat_request

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.dialects.responses.sealed import Sealed, seal
from tollway.wire.hub import Thought

TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": True}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1.50}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "a cat"}
USER = {"role": "user", "content": "hi"}
IMAGE_BY_ID = {"type": "input_image", "file_id": "f"}
FILE_BY_ID = {"type": "input_file", "file_id": "f"}
NONE_ALLOWED = {"type": "allowed_tools", "mode": "required", "tools": []}


def hubbed(**asked: Any) -> dict[str, Any]:
    """The hub's request, after a strict check."""
    body: dict[str, Any] = json.loads(
        ResponsesDialect().to_hub(json.dumps({"model": "alias", "input": "hi"} | asked).encode(), "real").body
    )
    assert check_chat_request(body, extensions=True) == []
    return body


def messages(*items: Any, **asked: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = hubbed(input=list(items), **asked)["messages"]
    return told


def warnings(**asked: Any) -> tuple[str, ...]:
    body = {"model": "alias", "input": "hi"} | asked
    return ResponsesDialect().to_hub(json.dumps(body).encode(), "real").warnings


def refused(**asked: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        ResponsesDialect().to_hub(json.dumps({"model": "alias", "input": "hi"} | asked).encode(), "real")
    return caught.value.param


def test_a_text_is_the_users_and_the_model_is_the_targets() -> None:
    assert hubbed() == {"model": "real", "messages": [{"role": "user", "content": "hi"}]}


def test_instructions_go_first() -> None:
    told = messages({"role": "system", "content": "b"}, {"role": "developer", "content": "c"}, USER, instructions="a")
    assert [(turn["role"], turn["content"]) for turn in told] == [
        ("system", "a"),
        ("system", "b"),
        ("developer", "c"),
        ("user", "hi"),
    ]


def test_a_message_may_say_its_type_or_not() -> None:
    assert messages({"type": "message", "status": "completed", "id": "msg_1", **USER}) == messages(USER)


def test_one_text_part_is_a_text() -> None:
    part = {"type": "input_text", "text": "hi"}
    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": "hi"}]
    (turn,) = messages({"role": "user", "content": [part, part]})
    assert turn["content"] == [{"type": "text", "text": "hi"}] * 2


def test_images_files_and_sound_are_parts() -> None:
    parts = [
        {"type": "input_image", "image_url": "https://host/cat.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
        {"type": "input_image", "image_url": "https://host/cat.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://host/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    (turn,) = messages({"role": "user", "content": parts})
    assert turn["content"] == [
        {"type": "image_url", "image_url": {"url": "https://host/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://host/cat.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_url": "https://host/a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_a_breakpoint_of_the_prompts_cache_is_kept() -> None:
    part = {"type": "input_text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}
    (turn,) = messages({"role": "user", "content": [part]})
    assert turn["content"] == [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]


def test_what_the_assistant_said_comes_back_as_one_text() -> None:
    said = [{"type": "output_text", "text": "a", "annotations": []}, {"type": "output_text", "text": "b"}]
    refusal = {"type": "refusal", "refusal": "no"}
    assert messages(USER, {"role": "assistant", "content": said})[1] == {"role": "assistant", "content": "ab"}
    assert messages(USER, {"role": "assistant", "content": [refusal]})[1] == {"role": "assistant", "refusal": "no"}


def test_adjacent_calls_are_one_turn_with_the_message_before_them() -> None:
    said = {"role": "assistant", "content": "I look."}
    told = messages(USER, said, CALL, CALL | {"call_id": "c2", "arguments": ""}, RESULT, RESULT | {"call_id": "c2"})
    assert told[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1.50}'}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "c2", "content": "a cat"},
    ]


def test_thoughts_and_words_between_calls_do_not_part_them_from_their_results() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = {"role": "assistant", "content": "and now"}
    told = messages(USER, thought, CALL, said, thought, CALL | {"call_id": "c2"}, RESULT, RESULT | {"call_id": "c2"})
    assert [turn["role"] for turn in told] == ["user", "assistant", "tool", "tool"]
    assert told[1]["reasoning_content"] == "hm\n\nhm"
    assert told[1]["content"] == "and now"


def test_a_thought_belongs_to_what_follows_it() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    told = messages({"role": "assistant", "content": "a"}, thought, {"role": "assistant", "content": "b"}, USER)
    assert told[0] == {"role": "assistant", "content": "a"}
    assert told[1] == {"role": "assistant", "content": "b", "reasoning_content": "hm"}


def test_a_thought_alone_is_no_turn() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert [turn["role"] for turn in messages(USER, thought, USER)] == ["user", "user"]


def test_a_result_may_hold_an_image() -> None:
    output = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://host/cat.png"}]
    told = messages(USER, CALL, RESULT | {"output": output})
    assert [part["type"] for part in told[2]["content"]] == ["text", "image_url"]


def test_what_was_sealed_comes_back_to_its_turn_and_its_calls() -> None:
    carried = Sealed(
        thinking_blocks=[Thought(type="thinking", thinking="hm", signature="s")],
        extra={"google": {"thought_signature": "AA=="}},
        calls={"c1": {"google": {"thought_signature": "BB=="}}},
    )
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(carried)}
    turn = messages(USER, thought, CALL, RESULT)[1]
    assert turn["thinking_blocks"] == [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    assert turn["extra_content"] == {"google": {"thought_signature": "AA=="}}
    assert turn["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "BB=="}}


def test_what_was_sealed_after_the_words_comes_back_to_them() -> None:
    carried = Sealed(extra={"google": {"thought_signature": "AA=="}}, after=True)
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(carried)}
    told = messages(USER, {"role": "assistant", "content": "a"}, thought, USER)
    assert told[1] == {"role": "assistant", "content": "a", "extra_content": carried.extra}


def test_what_openai_encrypted_is_kept_for_openai_alone() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    turn = messages(USER, thought, {"role": "assistant", "content": "a"}, USER)[1]
    assert turn["extra_content"] == {"openai": {"encrypted_content": ["gAAA"]}}


@pytest.mark.parametrize("spoilt", ["tollway.", "tollway.%", "tollway.e30", "tollway.é", "tollway." + "W10="])
def test_a_seal_that_was_changed_is_refused(spoilt: str) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": spoilt}
    assert refused(input=[USER, thought]) == "input[1].encrypted_content"


def test_functions_are_nested_and_their_schemas_stay() -> None:
    (tool,) = hubbed(tools=[TOOL])["tools"]
    assert tool == {"type": "function", "function": {name: TOOL[name] for name in TOOL if name != "type"}}


def test_tools_of_vendors_are_left_out_with_a_warning() -> None:
    vendors = [{"type": "web_search"}, {"type": "mcp", "server_label": "x", "server_url": "https://host"}]
    assert len(hubbed(tools=[*vendors, TOOL])["tools"]) == 1
    assert warnings(tools=[*vendors, TOOL]) == ("tools[0].type", "tools[1].type")
    assert "tools" not in hubbed(tools=vendors, tool_choice="auto", parallel_tool_calls=True)


def test_tools_that_came_up_on_the_way_are_there_from_the_beginning() -> None:
    found = {"type": "tool_search_output", "call_id": None, "status": "completed", "tools": [TOOL]}
    more = {"type": "additional_tools", "role": "developer", "tools": [TOOL, TOOL | {"name": "go"}]}
    tools = hubbed(input=[USER, found, more])["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["look", "go"]


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_choice_by_word_stays(choice: str) -> None:
    assert hubbed(tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_a_choice_by_name_is_nested() -> None:
    told = hubbed(tools=[TOOL], tool_choice={"type": "function", "name": "look"})
    assert told["tool_choice"] == {"type": "function", "function": {"name": "look"}}


def test_tools_that_are_not_allowed_are_not_told() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "go"}]}
    told = hubbed(tools=[TOOL, TOOL | {"name": "go"}], tool_choice=allowed)
    assert [tool["function"]["name"] for tool in told["tools"]] == ["go"]
    assert told["tool_choice"] == "required"


def test_the_form_of_the_answer_is_nested() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0.1}}}
    form = {"type": "json_schema", "name": "shape", "schema": schema, "strict": True, "description": "d"}
    told = hubbed(text={"format": form, "verbosity": "low"})
    assert told["response_format"] == {"type": "json_schema", "json_schema": {k: form[k] for k in form if k != "type"}}
    assert told["verbosity"] == "low"
    assert hubbed(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert "response_format" not in hubbed(text={"format": {"type": "text"}})


def test_parameters_have_chats_names() -> None:
    told = hubbed(
        max_output_tokens=20,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low", "summary": "auto"},
        service_tier="flex",
        user="u",
        top_logprobs=2,
        parallel_tool_calls=False,
        tools=[TOOL],
        seed=7,
        stop=["x"],
    )
    del told["messages"], told["tools"], told["model"]
    assert told == {
        "max_completion_tokens": 20,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "service_tier": "flex",
        "user": "u",
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "seed": 7,
        "stop": ["x"],
    }


def test_what_is_anyones_default_is_not_told() -> None:
    assert "parallel_tool_calls" not in hubbed(tools=[TOOL], parallel_tool_calls=True)
    assert "service_tier" not in hubbed(service_tier="auto")


def test_likelihoods_are_asked_for_by_include() -> None:
    assert hubbed(include=["message.output_text.logprobs"])["logprobs"] is True
    assert "logprobs" not in hubbed(include=["reasoning.encrypted_content"], top_logprobs=0)


def test_a_safety_identifier_says_who_asks() -> None:
    assert hubbed(safety_identifier="s")["user"] == "s"


def test_a_stream_always_asks_for_usage() -> None:
    told = hubbed(stream=True, stream_options={"include_obfuscation": False})
    assert (told["stream"], told["stream_options"]) == (True, {"include_usage": True})


def test_nulls_are_as_good_as_missing() -> None:
    names = "instructions tools tool_choice text reasoning max_output_tokens previous_response_id conversation prompt"
    nulls = dict.fromkeys([*names.split(), "store", "metadata", "include", "stream", "truncation"])
    assert hubbed(**nulls) == hubbed()
    assert warnings(**nulls) == ()


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"store": True}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"reasoning": {"context": "current_turn"}}, "reasoning.context"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"made_up": 1}, "made_up"),
        ({"input": [USER, {"type": "web_search_call", "id": "ws_1", "status": "completed"}]}, "input.web_search_call"),
    ],
)
def test_what_chat_has_no_place_for_is_named(asked: dict[str, Any], named: str) -> None:
    assert warnings(**asked) == (named,)


def test_what_costs_nothing_is_not_worth_a_warning() -> None:
    quiet = {"store": False, "truncation": "disabled", "metadata": {"a": "b"}, "include": [], "background": False}
    assert warnings(**quiet, reasoning={"context": "all_turns", "mode": "standard", "summary": "auto"}) == ()


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0].type"),
        ({"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": "x"}]}, "input[0].type"),
        ({"input": [{"type": "made_up"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [IMAGE_BY_ID]}]}, "input[0].content[0].file_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "system", "content": [FILE_BY_ID]}]}, "input[0].content[0].type"),
        ({"input": [USER, {"role": "assistant", "content": [{"type": "input_image"}]}]}, "input[1].content[0].type"),
        ({"input": [USER, {"type": "function_call", "call_id": "c", "name": "f"}]}, "input[1].arguments"),
        ({"input": [USER, {"type": "function_call", "name": "f", "arguments": ""}]}, "input[1].call_id"),
        ({"input": [USER, {"type": "function_call_output", "output": "x"}]}, "input[1].call_id"),
        ({"input": [USER, {"type": "reasoning", "summary": [{}]}]}, "input[1].summary[0].text"),
        ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "any", "tools": [TOOL]}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "go"}, "tools": [TOOL]}, "tool_choice.name"),
        ({"tool_choice": {"type": "web_search"}, "tools": [TOOL]}, "tool_choice.type"),
        ({"tool_choice": NONE_ALLOWED, "tools": [TOOL]}, "tool_choice.mode"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"text": "json"}, "text"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"include": [1]}, "include[0]"),
        ({"stream": "yes"}, "stream"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"reasoning": {"summary": 3}}, "reasoning.summary"),
        ({"metadata": "x"}, "metadata"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_its_place(asked: dict[str, Any], param: str) -> None:
    assert refused(**asked) == param


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b"[" * 100_000, b'{"input": ' + b"[" * 100_000, b'{"input": "\xff"}']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        ResponsesDialect().to_hub(body, "real")


CRM = {"type": "namespace", "name": "crm", "description": "It.", "tools": [{"type": "function", "name": "look"}]}


def test_functions_of_a_namespace_are_told_with_its_name_and_so_are_their_calls() -> None:
    asked = {"input": [USER, CALL | {"namespace": "crm", "name": "look"}, RESULT], "tools": [CRM]}
    made = hubbed(**asked)
    assert [tool["function"]["name"] for tool in made["tools"]] == ["crm__look"]
    assert made["messages"][1]["tool_calls"][0]["function"]["name"] == "crm__look"
    assert warnings(**asked) == ()


def test_a_custom_tool_of_a_namespace_is_refused_as_any() -> None:
    custom = {"type": "namespace", "name": "crm", "tools": [{"type": "custom", "name": "c"}]}
    assert refused(tools=[custom]) == "tools[0].tools[0].type"
