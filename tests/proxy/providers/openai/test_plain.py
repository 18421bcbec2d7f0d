"""What an OpenAI-like provider gets of a hub's chat, and what of a client's own chat is put right for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.fakes.records import needs_records, records

from tollway.contract.snapshot import ProviderAccess, ProviderKind
from tollway.proxy.providers.openai.plain import mend, needs_plain, plain
from tollway.proxy.providers.openai.presets import PRESETS, preset_of
from tollway.wire.hub import EXTENSIONS

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
MARK = {"type": "ephemeral"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def turns(kind: ProviderKind, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    out, _ = plain({"model": "m", "messages": list(messages)}, PRESETS[kind])
    said: list[dict[str, Any]] = out["messages"]
    return said


def fields(kind: ProviderKind, **asked: Any) -> tuple[dict[str, Any], list[str]]:
    out, lost = plain({"model": "m", "messages": []} | asked, PRESETS[kind])
    return {name: value for name, value in out.items() if name not in ("model", "messages")}, lost


@pytest.mark.parametrize("kind", PRESETS)
def test_no_extension_of_the_hub_leaves_unless_the_provider_has_it(kind: ProviderKind) -> None:
    asked = {
        "model": "m",
        "cache_control": MARK,
        "extra_content": {"google": {}},
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": MARK}]},
            {"role": "user", "content": [IMAGE | {"cache_control": MARK, "extra_content": {"google": {}}}]},
            {
                "role": "assistant",
                "content": None,
                "thinking_blocks": [THOUGHT],
                "tool_calls": [CALL | {"cache_control": MARK, "extra_content": {"google": {}}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "No.", "is_error": True, "cache_control": MARK},
        ],
        "tools": [TOOL | {"cache_control": MARK, "extra_content": {"google": {}}}],
    }
    out, lost = plain(asked, PRESETS[kind])
    assert lost == []
    allowed = {"cache_control"} if PRESETS[kind].cache_marks else set()
    assert keys(out) & EXTENSIONS <= allowed


def keys(value: Any) -> set[str]:
    """Every key of every object."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("openai", "max_completion_tokens"), ("groq", "max_completion_tokens"), ("xai", "max_completion_tokens")]
    + [(kind, "max_tokens") for kind in ("mistral", "deepseek", "together", "ollama", "cohere", "vllm")],
)  # fmt: skip
def test_the_limit_of_tokens_has_the_name_that_the_provider_knows(kind: ProviderKind, name: str) -> None:
    assert fields(kind, max_completion_tokens=7) == ({name: 7}, [])


def test_fields_that_a_provider_refuses_are_dropped_and_named() -> None:
    assert fields("openai", top_k=5, thinking={"type": "enabled"}, seed=1) == ({"seed": 1}, ["top_k", "thinking"])
    assert fields("groq", logprobs=True, verbosity="low", user="u") == ({"user": "u"}, ["logprobs", "verbosity"])
    assert fields("cohere", n=2, parallel_tool_calls=False) == ({}, ["n", "parallel_tool_calls"])
    assert fields("mistral", user="u", seed=3, stop=["a"]) == ({"random_seed": 3, "stop": ["a"]}, ["user"])


def test_fields_that_a_provider_has_beyond_openais_pass() -> None:
    extras = {"top_k": 5, "guided_json": {}, "chat_template_kwargs": {"enable_thinking": False}}
    assert fields("vllm", **extras) == (extras, [])
    assert fields("openrouter", top_k=5, cache_control=MARK) == ({"top_k": 5, "cache_control": MARK}, [])
    assert fields("deepseek", thinking={"type": "disabled"}) == ({"thinking": {"type": "disabled"}}, [])


def test_a_provider_that_tells_usage_unasked_is_not_asked() -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    assert fields("mistral", **asked) == ({"stream": True}, [])
    assert fields("openai", **asked) == (asked, [])


def test_images_of_a_tools_result_stand_in_a_users_turn_behind_all_results() -> None:
    seen = turns(
        "openai",
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "Seen:"}, IMAGE]},
        {"role": "tool", "tool_call_id": "b", "content": [IMAGE]},
        {"role": "user", "content": "And?"},
    )
    assert seen == [
        {"role": "tool", "content": "Seen:", "tool_call_id": "a"},
        {"role": "tool", "content": "See the next user message.", "tool_call_id": "b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of the tool call a:"},
                IMAGE,
                {"type": "text", "text": "From the result of the tool call b:"},
                IMAGE,
            ],
        },
        {"role": "user", "content": "And?"},
    ]


def test_calls_made_in_turns_that_follow_each_other_are_one_turn_with_all_results_behind_it() -> None:
    second = CALL | {"id": "call_2"}
    said = turns(
        "openai",
        {"role": "assistant", "content": "One.", "tool_calls": [CALL]},
        {"role": "assistant", "content": [{"type": "text", "text": "Two."}], "tool_calls": [second]},
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
        {"role": "tool", "tool_call_id": "call_2", "content": "y"},
        {"role": "assistant", "content": "Three."},
        {"role": "assistant", "content": "Four."},
    )
    assert said[0] == {"role": "assistant", "content": "One.\n\nTwo.", "tool_calls": [CALL, second]}
    assert [turn["role"] for turn in said[1:]] == ["tool", "tool", "assistant", "assistant"]


@pytest.mark.parametrize(
    ("kind", "role"),
    [("openai", "developer"), ("azure", "developer"), ("vllm", "system"), ("deepseek", "system"), ("xai", "system")],
)
def test_a_developer_is_a_system_where_the_role_is_unknown(kind: ProviderKind, role: str) -> None:
    assert turns(kind, {"role": "developer", "content": "Be brief."}) == [{"role": role, "content": "Be brief."}]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("deepseek", {"reasoning_content": "Hm."}),
        ("vllm", {"reasoning_content": "Hm."}),
        ("openrouter", {"reasoning": "Hm."}),
        ("openai", {}),
        ("mistral", {}),
        ("groq", {}),
    ],
)
def test_earlier_thoughts_go_back_only_to_who_takes_them(kind: ProviderKind, said: dict[str, str]) -> None:
    (turn,) = turns(kind, {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."})
    assert turn == {"role": "assistant", "content": "Yes."} | said


def test_several_texts_are_one_where_a_list_is_not_sure_to_be_taken() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turns("deepseek", {"role": "system", "content": parts}) == [{"role": "system", "content": "a\nb"}]
    assert turns("openai", {"role": "system", "content": parts}) == [{"role": "system", "content": parts}]
    marked = [{"type": "text", "text": "a", "cache_control": MARK}]
    assert turns("openrouter", {"role": "system", "content": marked})[0]["content"] == marked


def test_a_document_is_inline_and_named_and_one_of_text_is_text() -> None:
    def said(kind: ProviderKind, **file: str) -> Any:
        return turns(kind, {"role": "user", "content": [IMAGE, {"type": "file", "file": file}]})[0]["content"][1:]

    pdf = "data:application/pdf;base64,JVBERi0="
    assert said("openai", file_data=pdf) == [{"type": "file", "file": {"filename": "document.pdf", "file_data": pdf}}]
    assert said("openai", file_id="file-1") == [{"type": "file", "file": {"file_id": "file-1"}}]
    text = "data:text/plain;charset=utf-8;base64,SGk="
    assert said("openai", file_data=text, filename="a.txt") == [{"type": "text", "text": "a.txt\n\nHi"}]
    assert said("openai", file_data="data:text/markdown,a%20b") == [{"type": "text", "text": "a b"}]
    url = "https://example.com/a.pdf"
    assert said("openai", file_url=url) == []
    assert said("openrouter", file_url=url)[0]["file"]["file_data"] == url
    assert said("mistral", file_url=url) == [{"type": "document_url", "document_url": url}]


def test_what_is_lost_of_contents_is_named_once() -> None:
    url = {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}, "citations": True}
    asked = {"messages": [{"role": "user", "content": [url, url]}], "tools": [{"type": "web_search"}]}
    _, lost = plain(asked, PRESETS["openai"])
    assert lost == ["messages.citations", "messages.file_url", "tools"]


def test_tools_of_another_vendor_are_dropped_and_with_the_last_their_choice() -> None:
    asked = {"tools": [{"type": "web_search"}], "tool_choice": "auto", "parallel_tool_calls": False}
    assert fields("openai", **asked) == ({}, ["tools"])
    (kept,) = fields("openai", **asked | {"tools": [TOOL, {"type": "web_search"}]})[0]["tools"]
    parameters = {"type": "object", "properties": {}}
    assert kept["function"] == {"name": "look", "parameters": parameters}


def test_a_tool_that_openai_can_not_be_strict_about_is_offered_without() -> None:
    def offered(**schema: Any) -> tuple[Any, list[str]]:
        function = {"name": "f", "strict": True, "parameters": {"type": "object", **schema}}
        out, lost = fields("openai", tools=[{"type": "function", "function": function}])
        return out["tools"][0]["function"].get("strict"), lost

    text = {"type": "string"}
    assert offered(properties={"a": text}, required=["a"], additionalProperties=False) == (True, [])
    assert offered(properties={"a": text}, additionalProperties=False) == (None, ["tools.strict"])
    assert offered(properties=None, additionalProperties=False) == (True, [])


def test_mistral_gets_the_order_of_turns_and_the_ids_that_it_insists_on() -> None:
    said = turns(
        "mistral",
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "abcDEF123"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
        {"role": "tool", "tool_call_id": "abcDEF123", "content": "y"},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "Well."},
        {"role": "system", "content": "Be briefer."},
    )
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user", "assistant", "user"]
    assert [turn["role"] for turn in said] == roles
    short, kept = (call["id"] for call in said[2]["tool_calls"])
    assert (said[3]["tool_call_id"], said[4]["tool_call_id"], kept) == (short, kept, "abcDEF123")
    assert len(short) == 9
    assert short.isalnum()


def test_googles_door_gets_its_signatures_back() -> None:
    signed = CALL | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    out, _ = plain({"messages": [{"role": "assistant", "tool_calls": [signed]}]}, PRESETS["vllm"], keeps_extra=True)
    assert out["messages"][0]["tool_calls"] == [signed]


def test_a_clients_own_chat_is_left_as_it_was_written() -> None:
    own = {"model": "m", "messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}]}], "top_k": 1}
    for preset in PRESETS.values():
        assert not needs_plain(json.dumps(own).encode(), preset)
        assert mend(own, preset) == own


def test_what_another_vendors_answer_left_in_a_conversation_is_cut() -> None:
    signed = CALL | {"extra_content": {"google": {}}}
    left = {"role": "assistant", "content": "a", "thinking_blocks": [THOUGHT], "extra_content": {"anthropic": {}}}
    own = {"model": "m", "messages": [left | {"tool_calls": [signed], "reasoning_content": "Hm."}]}
    for preset, kept in ((PRESETS["groq"], {}), (PRESETS["deepseek"], {"reasoning_content": "Hm."})):
        assert needs_plain(json.dumps(own).encode(), preset)
        assert mend(own, preset)["messages"] == [{"role": "assistant", "content": "a", "tool_calls": [CALL]} | kept]


HOME = preset_of(ProviderAccess("o", "openai", "https://api.openai.com/v1", None)) or PRESETS["openai"]
"""OpenAI itself: a server of its kind that lives elsewhere gets a client's chat as it was written."""

DUMPED: dict[str, Any] = {"refusal": None, "annotations": [], "audio": None, "function_call": None}
"""What OpenAI's SDK writes of an answer beside its content."""


@pytest.mark.parametrize("kind", ["groq", "mistral", "cohere", "openai"])
def test_an_answer_of_whoever_spoke_before_comes_back_as_the_next_provider_takes_it(kind: ProviderKind) -> None:
    thought = {"reasoning_content": "Hm.", "reasoning_details": []} if kind != "cohere" else {}
    own = {"messages": [{"role": "assistant", "content": "a", **DUMPED, **thought}]}
    preset = HOME if kind == "openai" else PRESETS[kind]
    assert needs_plain(json.dumps(own).encode(), preset)
    said = {"role": "assistant", "content": "a"} | (DUMPED if kind == "openai" else {})
    assert mend(own, preset)["messages"] == [said]


@pytest.mark.parametrize("kind", ["openai", "azure", "openai_compatible", "vllm"])
def test_a_server_that_may_be_any_gets_a_chat_as_it_was_written(kind: ProviderKind) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    turn = {"role": "assistant", "content": [thinking], "reasoning_content": "Hm.", "reasoning": "Hm.", **DUMPED}
    own = {"messages": [turn, {"role": "tool", "tool_call_id": "x" * 41, "content": "x"}]}
    assert not needs_plain(json.dumps(own).encode(), PRESETS[kind])


def test_a_refusal_stays_said_where_the_field_is_refused() -> None:
    own = {"messages": [{"role": "assistant", "content": None, "refusal": "No."}]}
    assert mend(own, PRESETS["groq"])["messages"] == [{"role": "assistant", "content": "No."}]
    call = {"name": "f", "arguments": "{}"}
    old = {"messages": [{"role": "assistant", "content": None, "function_call": call}]}
    assert mend(old, PRESETS["groq"]) == old


@pytest.mark.parametrize("kind", sorted(PRESETS.keys() - {"mistral", "azure", "vllm", "openai_compatible"}))
def test_thoughts_inside_a_content_of_mistrals_go_to_nobody_else(kind: ProviderKind) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    text = {"type": "text", "text": "Yes."}
    own = {"messages": [{"role": "assistant", "content": [thought, text, {"type": "reference", "reference_ids": [1]}]}]}
    preset = HOME if kind == "openai" else PRESETS[kind]
    assert needs_plain(json.dumps(own).encode(), preset)
    said = "Yes." if preset.joins_texts else [text]
    assert mend(own, preset)["messages"] == [{"role": "assistant", "content": said}]
    assert not needs_plain(json.dumps(own).encode(), PRESETS["mistral"])


def test_names_that_are_newer_than_the_provider_are_put_right() -> None:
    own = {"messages": [], "max_completion_tokens": 5, "seed": 1, "stream_options": {"include_usage": True}}
    assert needs_plain(json.dumps(own).encode(), PRESETS["mistral"])
    assert mend(own, PRESETS["mistral"]) == {"messages": [], "max_tokens": 5, "random_seed": 1}
    assert mend(own, PRESETS["deepseek"])["max_tokens"] == 5
    assert not needs_plain(json.dumps(own).encode(), PRESETS["openai"])


def test_ids_that_mistral_refuses_are_put_right_in_a_clients_own_chat() -> None:
    own = {"messages": [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1"}]}
    assert needs_plain(json.dumps(own).encode(), PRESETS["mistral"])
    call, result = mend(own, PRESETS["mistral"])["messages"]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] != "call_1"
    assert not needs_plain(b'{"tool_call_id": "abcDEF123"}', PRESETS["mistral"])


def test_a_tool_that_failed_without_a_word_is_not_taken_for_one_that_did_its_work() -> None:
    failed = {"role": "tool", "tool_call_id": "c", "is_error": True}
    (silent,) = turns("openai", failed | {"content": ""})
    assert "failed" in silent["content"]
    assert turns("openai", failed | {"content": "No such file."})[0]["content"] == "No such file."


def test_ids_that_openai_finds_too_long_are_put_right_and_stay_the_same() -> None:
    long = "chatcmpl-tool-" + "0123456789abcdef" * 2
    own = {
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": long}, CALL]},
            {"role": "tool", "tool_call_id": long, "content": "x"},
            {"role": "tool", "tool_call_id": CALL["id"], "content": "x"},
        ]
    }
    assert needs_plain(json.dumps(own).encode(), HOME)
    assert not needs_plain(json.dumps({"tool_call_id": "x" * 40}).encode(), HOME)
    for made in (mend(own, HOME), plain(own, PRESETS["openai"])[0]):
        calls, first, second = made["messages"]
        assert calls["tool_calls"][0]["id"] == first["tool_call_id"] != long
        assert len(first["tool_call_id"]) <= 40
        assert calls["tool_calls"][1]["id"] == second["tool_call_id"] == CALL["id"]


@needs_records
@pytest.mark.parametrize("kind", ["mistral", "deepseek", "groq", "xai", "ollama", "openrouter"])
def test_recorded_requests_pass_unmended(kind: ProviderKind) -> None:
    mended = [each.id for each in records(kind) if needs_plain(json.dumps(each.asked).encode(), PRESETS[kind])]
    assert mended == []


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=9),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                "role content type text image_url file file_data file_url filename tool_calls tool_call_id id function "
                "refusal reasoning_content extra_content citations name".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(some.dictionaries(some.sampled_from(["messages", "tools", "stop", "top_k", "stream_options"]), JSON, max_size=4))
def test_whatever_a_chat_holds_something_leaves(asked: dict[str, Any]) -> None:
    for preset in PRESETS.values():
        json.dumps(plain(asked, preset)[0])
        json.dumps(mend(asked, preset))


@given(some.lists(JSON, max_size=4))
def test_whatever_the_turns_hold_something_leaves(messages: list[Any]) -> None:
    for preset in (PRESETS["openai"], PRESETS["mistral"], PRESETS["openrouter"]):
        json.dumps(plain({"messages": messages}, preset)[0])
        json.dumps(mend({"messages": messages}, preset))
