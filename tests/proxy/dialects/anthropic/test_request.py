"""Requests to Messages as the hub's chat, field by field; and every recorded one through the hub and back."""

import base64
import json
from typing import Any

import pytest
from tests.fakes.anthropic_schema import check
from tests.fakes.records import Record, needs_records, records

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.anthropic.signatures import Packing
from tollway.proxy.providers.anthropic.request import map_request

HI: list[Any] = [{"role": "user", "content": "Hi"}]
CACHED = {"type": "ephemeral", "ttl": "1h"}


def hub(messages: list[Any] | None = None, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request in the hub, and what was lost."""
    body = {"model": "alias", "max_tokens": 64, "messages": messages or HI, **fields}
    made = MessagesDialect().to_hub(json.dumps(body).encode(), "m")
    request: dict[str, Any] = json.loads(made.body)
    return request, made.warnings


def turns(*blocks: Any, role: str = "user") -> list[Any]:
    """The turns that one message becomes; nothing of it is lost."""
    request, lost = hub([{"role": role, "content": list(blocks)}])
    assert lost == ()
    turns: list[Any] = request["messages"]
    return turns


def parts(*blocks: Any) -> Any:
    (turn,) = turns(*blocks)
    assert turn["role"] == "user"
    return turn["content"]


def test_the_least_request() -> None:
    assert hub() == ({"model": "m", "max_completion_tokens": 64, "messages": HI}, ())


def test_parameters_have_their_names_in_the_hub() -> None:
    request, lost = hub(
        temperature=1,
        top_p=0.5,
        top_k=5,
        stop_sequences=["a"],
        stream=True,
        metadata={"user_id": "u"},
        service_tier="standard_only",
        cache_control=CACHED,
        guided_json={"type": "object"},
    )
    assert lost == ()
    assert request == {
        "model": "m",
        "messages": HI,
        "max_completion_tokens": 64,
        "temperature": 1,
        "top_p": 0.5,
        "top_k": 5,
        "stop": ["a"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u",
        "service_tier": "default",
        "cache_control": CACHED,
        "guided_json": {"type": "object"},
    }


def test_nulls_ask_for_nothing() -> None:
    fields = "system temperature top_p top_k stop_sequences stream tools tool_choice thinking output_config metadata "
    assert (
        hub(**dict.fromkeys((fields + "output_format service_tier cache_control container x").split()))[0] == hub()[0]
    )


def test_a_user_whose_name_is_too_long_for_others_is_told_by_its_hash() -> None:
    request, _ = hub(metadata={"user_id": "u" * 65})
    assert len(request["user"]) == 64
    assert request["extra_content"]["anthropic"]["metadata"] == {"user_id": "u" * 65}
    assert map_request(request, "claude-opus-5").body["metadata"] == {"user_id": "u" * 65}


def test_the_system_speaks_first_as_text_or_as_parts() -> None:
    assert hub(system="Be brief.")[0]["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    one = hub(system=[{"type": "text", "text": "Be brief."}])[0]["messages"]
    assert one == [{"role": "system", "content": "Be brief."}, *HI]
    marked = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert hub(system=[marked, {"type": "text", "text": "Now."}])[0]["messages"][0] == {
        "role": "system",
        "content": [marked, {"type": "text", "text": "Now."}],
    }


def test_a_system_message_among_the_others_stays_where_it_is() -> None:
    said = [*HI, {"role": "system", "content": [{"type": "text", "text": "In French."}]}]
    request, _ = hub(said)
    assert [turn["role"] for turn in request["messages"]] == ["user", "system"]
    assert map_request(request, "claude-opus-4-8").body["messages"][-1] == said[-1]


def test_images_become_urls() -> None:
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YQ=="}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}, "cache_control": CACHED}
    assert parts(inline, linked) == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}, "cache_control": CACHED},
    ]


def test_documents_become_files_and_those_of_text_become_text() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "YQ=="}}
    linked = {"type": "document", "title": "B", "source": {"type": "url", "url": "https://a.example/b.pdf"}}
    held = {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "citations": {"enabled": True}}
    assert parts(pdf, linked, held) == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,YQ==", "filename": "document.pdf"}},
        {"type": "file", "file": {"file_url": "https://a.example/b.pdf", "filename": "B"}},
        {"type": "file", "file": {"file_id": "file_1"}, "citations": True},
    ]
    text = {"type": "text", "media_type": "text/plain", "data": "It is."}
    (plain,) = parts({"type": "document", "source": text, "title": "T", "context": "C", "cache_control": CACHED})
    assert (plain["type"], plain["text"], plain["cache_control"]) == ("text", "T\n\nC\n\nIt is.", CACHED)
    inner = {"type": "content", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
    assert [part["text"] for part in parts({"type": "document", "title": "T", "source": inner})] == ["T", "x", "y"]


def test_results_go_first_in_order_each_in_a_turn_of_its_own() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    assert turns(
        {"type": "text", "text": "See"},
        {"type": "tool_result", "tool_use_id": "a", "content": "1", "is_error": True},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "2"}, image]},
        {"type": "tool_result", "tool_use_id": "c", "cache_control": CACHED},
        {"type": "text", "text": "?"},
    ) == [
        {"role": "tool", "tool_call_id": "a", "content": "1", "is_error": True},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [
                {"type": "text", "text": "2"},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "", "cache_control": CACHED},
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "text", "text": "?"}]},
    ]


def test_a_turn_of_the_assistant_keeps_thoughts_text_and_calls() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    (turn,) = turns(
        thought,
        hidden,
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1.50}, "cache_control": CACHED},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}, "caller": {"type": "direct"}},
        role="assistant",
    )
    assert turn == {
        "role": "assistant",
        "content": "Let me see.",
        "thinking_blocks": [thought, hidden],
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "f", "arguments": '{"n": 1.5}'},
                "cache_control": CACHED,
            },
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_numbers_in_a_call_stay_as_they_were_written() -> None:
    use = b'{"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1.50}}'
    body = b'{"messages": [{"role": "assistant", "content": [%s]}]}' % use
    call = json.loads(MessagesDialect().to_hub(body, "m").body)["messages"][0]["tool_calls"][0]
    assert call["function"]["arguments"] == '{"n": 1.50}'


def test_calls_alone_have_no_content_and_thoughts_alone_an_empty_one() -> None:
    (turn,) = turns({"type": "tool_use", "id": "a", "name": "f", "input": {}}, role="assistant")
    assert turn["content"] is None
    (turn,) = turns({"type": "thinking", "thinking": "hm", "signature": ""}, role="assistant")
    assert turn == {"role": "assistant", "content": "", "reasoning_content": "hm"}


def test_thoughts_between_calls_come_back_to_anthropic_in_their_order() -> None:
    said = [
        {"type": "thinking", "thinking": "one", "signature": "YQ=="},
        {"type": "text", "text": "So"},
        {"type": "thinking", "thinking": "two", "signature": "Yg=="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]
    request, _ = hub([*HI, {"role": "assistant", "content": said}])
    assert map_request(request, "claude-opus-5").body["messages"][1]["content"] == said


def test_what_another_vendor_signed_goes_back_to_the_text_and_the_calls() -> None:
    packing = Packing()
    packing.keep({"google": {"thought_signature": "dGV4dA=="}, "anthropic": {"x": 1}})
    packing.keep({"google": {"thought_signature": "Y2FsbA=="}}, "a")
    (signature,) = packing.signatures()
    (turn,) = turns(
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "text", "text": "So"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
        role="assistant",
    )
    assert turn["extra_content"] == {"google": {"thought_signature": "dGV4dA=="}}
    assert turn["reasoning_content"] == "hm"
    assert "thinking_blocks" not in turn
    assert [call.get("extra_content") for call in turn["tool_calls"]] == [
        {"google": {"thought_signature": "Y2FsbA=="}},
        None,
    ]


@pytest.mark.parametrize("kind", ["server_tool_use", "web_search_tool_result", "container_upload"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_blocks_that_chat_can_t_say_are_told_to_be_lost_and_never_become_text(kind: str, role: str) -> None:
    block = {"type": kind, "title": "canary", "content": [{"type": "text", "text": "canary"}]}
    request, lost = hub([{"role": role, "content": [block, {"type": "text", "text": "Hi"}]}])
    assert request["messages"] == [{"role": role, "content": "Hi"}]
    assert lost == (f"messages.{kind}",)


def test_what_a_clients_own_search_found_is_text() -> None:
    found = {"type": "search_result", "source": "kb/1", "title": "Tea", "content": [{"type": "text", "text": "Hot."}]}
    text = {"type": "text", "text": "Tea\n\nkb/1\n\nHot."}
    assert parts(found | {"citations": {"enabled": True}}, {"type": "text", "text": "So?"})[0] == text
    (result,) = turns({"type": "tool_result", "tool_use_id": "t", "content": [found | {"cache_control": CACHED}]})
    assert result["content"] == [text | {"cache_control": CACHED}]


SCHEMA = {"type": "object", "properties": {"a": {"type": "number", "minimum": 1.0}}}


def test_tools_become_functions_with_their_schemas_as_they_were_written() -> None:
    request, lost = hub(
        tools=[
            {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "cache_control": CACHED},
            {"type": "custom", "name": "g", "input_schema": SCHEMA, "defer_loading": True},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert lost == ()
    assert request["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
            "cache_control": CACHED,
        },
        {
            "type": "function",
            "function": {"name": "g", "parameters": SCHEMA},
            "extra_content": {"anthropic": {"defer_loading": True}},
        },
    ]
    assert request["tool_choice"] == "required"
    assert request["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_choices_are_said_in_openais_words(choice: dict[str, str], chosen: Any) -> None:
    assert hub(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice=choice)[0]["tool_choice"] == chosen


def test_tools_of_anthropics_own_are_kept_aside_with_their_places() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    tools = [search, {"name": "f", "input_schema": SCHEMA}]
    request, lost = hub(tools=tools, tool_choice={"type": "tool", "name": "web_search"})
    assert lost == ("tools.web_search_20250305", "tool_choice")
    assert [tool["function"]["name"] for tool in request["tools"]] == ["f"]
    assert "tool_choice" not in request
    again = map_request(request, "claude-opus-5").body
    assert (again["tools"], again["tool_choice"]) == (tools, {"type": "tool", "name": "web_search"})


def test_a_choice_among_no_tools_is_left_out() -> None:
    assert hub(tool_choice={"type": "auto"}) == hub()
    request, lost = hub(tool_choice={"type": "any"})
    assert (request, lost) == (hub()[0], ("tool_choice",))


@pytest.mark.parametrize(
    ("fields", "thinking", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"type": "enabled", "budget_tokens": 1024}, "low"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
            {"type": "enabled", "budget_tokens": 8192},
            "medium",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 32000}},
            {"type": "enabled", "budget_tokens": 32000},
            "high",
        ),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"type": "adaptive", "display": "omitted"}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"type": "adaptive"}, "low"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, {"type": "disabled"}, None),
        ({"output_config": {"effort": "max"}}, None, "high"),
    ],
)
def test_thinking_is_said_as_it_was_and_as_an_effort(fields: dict[str, Any], thinking: Any, effort: str | None) -> None:
    request, lost = hub(**fields)
    assert (request.get("thinking"), request.get("reasoning_effort"), lost) == (thinking, effort, ())
    again = map_request(request, "claude-opus-5")
    assert again.body.get("thinking") == fields.get("thinking")
    assert again.body.get("output_config") == fields.get("output_config")
    assert again.warnings == ()


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_of_the_answer_is_one_of_the_hubs_and_goes_back_as_it_was(place: str) -> None:
    form = {"type": "json_schema", "schema": {**SCHEMA, "title": "Answer_1"}}
    fields: dict[str, Any] = {place: {"format": form} if place == "output_config" else form}
    request, lost = hub(**fields)
    assert lost == ()
    assert request["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Answer_1", "schema": form["schema"]},
    }
    assert map_request(request, "claude-opus-5").body["output_config"] == {"format": form}


def test_fields_that_only_anthropic_knows_reach_nobody_else_and_are_told_to_be_lost() -> None:
    request, lost = hub(container="c", mcp_servers=[], speed="fast", betas=["x"], anthropic_version="y")
    assert lost == ("container", "mcp_servers", "speed")
    assert request["extra_content"] == {"anthropic": {"container": "c", "mcp_servers": [], "speed": "fast"}}
    assert request.keys() == {"model", "max_completion_tokens", "messages", "extra_content"}


def test_fields_of_chat_that_would_go_round_limits_and_screening_do_not_pass() -> None:
    request, lost = hub(n=9, max_completion_tokens=9000, prediction={"content": "x"}, extra_content={"google": {}})
    assert request == hub()[0]
    assert lost == ("n", "max_completion_tokens", "prediction", "extra_content")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": 1}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        (
            {"messages": [*HI, {"role": "user", "content": [{"type": "text", "text": "a"}, {}]}]},
            "messages.1.content.1.type",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "txt"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "system", "content": [{"type": "image"}]}]}, "messages.0.content.0.type"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}]}, "system.0.cache_control.type"),
        ({"max_tokens": "1"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools.0.input_schema"),
        ({"tools": [{"name": "", "input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"type": 1}]}, "tools.0.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "x"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "x"}}, "thinking.type"),
        ({"output_config": {"effort": "x"}}, "output_config.effort"),
        ({"output_format": {"type": "json_schema", "schema": 1}}, "output_config.format.schema"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
    ],
)
def test_a_malformed_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        MessagesDialect().to_hub(json.dumps({"messages": HI, **fields}).encode(), "m")
    assert raised.value.param == param


@pytest.mark.parametrize("value", [b'"\xff"', b'"\\ud800"', b"[" * 100_000 + b"]" * 100_000, b"01", b'"'])
@pytest.mark.parametrize(
    "place",
    [b'{"messages": [{"role": "user", "content": "Hi"}], "x": %s}', b'{"messages": [{"role": "user", "content": %s}]}'],
)
def test_a_body_that_is_no_json_is_refused(value: bytes, place: bytes) -> None:
    with pytest.raises(InvalidRequest):
        MessagesDialect().to_hub(place % value, "m")


def test_a_malformed_field_is_never_quoted() -> None:
    with pytest.raises(InvalidRequest) as raised:
        hub([{"role": "canary", "content": "x"}])
    assert "canary" not in raised.value.outside


@pytest.mark.parametrize(
    "signature", ["tollway.google.x", "tollway.google.e30", "tollway..e30=", "tollway.anthropic.e30="]
)
def test_a_made_signature_that_was_changed_is_refused(signature: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        turns({"type": "thinking", "thinking": "", "signature": signature}, role="assistant")
    assert raised.value.param == "messages.0.content.0.signature"


SAYABLE = {"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"}


def plain(block: dict[str, Any]) -> dict[str, Any] | None:
    """A block without what says nothing; none for one that chat can't say."""
    block = {name: value for name, value in block.items() if name != "caller"}
    if block["type"] == "search_result":
        texts = [block["title"], block["source"], *(inner["text"] for inner in block["content"])]
        block = {"type": "text", "text": "\n\n".join(texts)}
    if block["type"] not in SAYABLE or (block["type"] == "text" and not block["text"].strip()):
        return None
    if block["type"] == "tool_result":
        inner = block.pop("content", None)
        if isinstance(inner, list):
            inner = [kept for each in inner if (kept := plain(each))]
            inner = inner[0]["text"] if len(inner) == 1 and inner[0].keys() == {"type", "text"} else inner
        if inner and not (isinstance(inner, str) and not inner.strip()):
            block["content"] = inner
        if not block.get("is_error"):
            block.pop("is_error", None)
    return block


def meaning(asked: dict[str, Any]) -> dict[str, Any]:
    """A request of Anthropic's in one form, for many say the same: texts as blocks, neighbours of one role as one."""
    asked = json.loads(json.dumps({name: value for name, value in asked.items() if value not in (None, [], False)}))
    if isinstance(asked.get("system"), str):
        asked["system"] = [{"type": "text", "text": asked["system"]}]
    asked["system"] = [kept for block in asked.get("system", []) if (kept := plain(block))]
    if form := asked.pop("output_format", None):
        asked["output_config"] = {"format": form}
    turns: list[dict[str, Any]] = []
    for message in asked["messages"]:
        content = message["content"]
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks = [kept for block in content if (kept := plain(block))]
        if message["role"] == "user":
            blocks.sort(key=lambda block: block["type"] != "tool_result")
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": message["role"], "content": blocks})
    asked["messages"] = turns
    for tool in asked.get("tools", []):
        tool.pop("description", None) if not tool.get("description") else None
    if asked.get("tool_choice") == {"type": "auto"}:
        del asked["tool_choice"]
    if asked.get("temperature") == 1:
        del asked["temperature"]
    return asked


@needs_records
@pytest.mark.parametrize("record", records("anthropic", "messages"), ids=lambda record: record.id)
def test_a_recorded_request_comes_back_from_the_hub_as_it_was_meant(record: Record) -> None:
    made = MessagesDialect().to_hub(json.dumps(record.asked).encode(), record.asked["model"])
    again = map_request(json.loads(made.body), record.asked["model"], has_beta=True)
    assert meaning(again.body) == meaning(record.asked)
    assert set(again.warnings) <= {"temperature"}


def test_caches_are_marked_in_all_five_places_on_the_way_through_the_hub() -> None:
    pdf = base64.b64encode(b"%PDF").decode()
    image = {"type": "base64", "media_type": "image/png", "data": "YQ=="}
    asked: dict[str, Any] = {
        "model": "claude-opus-5",
        "max_tokens": 64,
        "cache_control": CACHED,
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": CACHED}],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": CACHED}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See", "cache_control": CACHED},
                    {"type": "image", "source": image, "cache_control": CACHED},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": pdf},
                        "cache_control": CACHED,
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}, "cache_control": CACHED}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1", "cache_control": CACHED}],
            },
        ],
    }
    request, lost = hub(**asked)
    assert lost == ()
    again = map_request(request, "claude-opus-5").body
    check(again)
    assert meaning(again) == meaning(asked)


def test_a_document_of_text_comes_back_with_title_context_and_citations() -> None:
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "T\n\nT"},
        "title": "T",
        "context": "C",
        "citations": {"enabled": True},
    }
    request, _ = hub([{"role": "user", "content": [document]}])
    assert map_request(request, "claude-opus-5").body["messages"][0]["content"] == [document]
