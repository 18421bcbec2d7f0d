"""Token counts: the same as tiktoken's for every text, and no slower for hostile ones."""

import sys
from collections.abc import Iterator

import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.native.twins import tokens as twin
from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from tollway._native import tokens

NAMES = ("cl100k_base", "o200k_base")
SCRIPTS = st.sampled_from(
    [
        "Straße ",
        "Ωμέγα",
        "Привет, мир",
        "שלום",
        "مرحبا بالعالم",
        "नमस्ते",
        "こんにちは",
        "你好,世界",
        "한국어",
        "ไทย",
        "ﬁ",
        "ǅ",
        "İı",
    ]
)
SIGNS = st.sampled_from(
    [
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "e\u0301",
        "\u200b",
        "\ufeff",
        "\x00",
        "<|endoftext|>",
        "<|im_start|>",
        "'S",
        "'ll",
        "don't",
        "I'\u017f",
        "...",
        "/*",
    ]
)
SPACES = st.text(st.sampled_from(" \t\n\r\u00a0\u3000\u2028\x0b\x85"), max_size=12)
CODE = st.sampled_from(
    ['{"a": [1, 2.50, null]}', "def f(x):\n    return x\n", "https://a.b/c?d=e#f", "2024-01-31T10:00:00Z", "1234567"]
)
ANYTHING = st.text(max_size=60)
TEXTS = st.lists(SCRIPTS | SIGNS | SPACES | CODE | ANYTHING, max_size=12).map("".join)


@pytest.fixture(scope="module", autouse=True)
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """tiktoken finds its vocabularies without a network."""
    folder = tmp_path_factory.mktemp("tiktoken")
    twin.fill_cache(folder, *NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        for name in NAMES:
            tiktoken.get_encoding(name)
        yield


def of_tiktoken(name: str, text: str) -> int:
    return len(tiktoken.get_encoding(name).encode_ordinary(text))


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS)
@example("")
@example("  \n \n  x")
@example(" " * 100 + "x" + " " * 100)
@example("<|endoftext|>")
@settings(max_examples=400, deadline=None)
def test_a_count_is_tiktokens(name: str, text: str) -> None:
    assert tokens.count(name, text) == of_tiktoken(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_every_character_of_unicode_counts_as_in_tiktoken(name: str) -> None:
    for start in range(0, sys.maxunicode, 0x400):
        block = "".join(chr(point) for point in range(start, start + 0x400) if not 0xD800 <= point < 0xE000)
        assert tokens.count(name, block) == of_tiktoken(name, block), hex(start)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", ["a", " ", "\n", "=", "é", "漢", "👍", "ab ", "A", "1", "'s"])
def test_long_runs_are_counted_as_in_tiktoken(name: str, unit: str) -> None:
    text = unit * 3_000
    assert tokens.count(name, text) == of_tiktoken(name, text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", ["a", " ", "\n", "aB", "=", " \n"])
def test_a_megabyte_of_one_letter_is_counted_at_once(name: str, unit: str) -> None:
    """With quadratic work each of these would take minutes and meet the time limit of the test run."""
    assert tokens.count(name, unit * (1_000_000 // len(unit))) > 1_000


@given(TEXTS, st.integers(0, 80))
@settings(deadline=None)
def test_counting_up_to_a_limit_agrees_with_counting(text: str, limit: int) -> None:
    count = tokens.count("o200k_base", text)
    assert tokens.count_at_most("o200k_base", text, limit) == (count if count <= limit else None)


def test_models_have_the_encodings_of_tiktokens_table() -> None:
    table = MODEL_TO_ENCODING | {f"{prefix}x": name for prefix, name in MODEL_PREFIX_TO_ENCODING.items()}
    # Harmony adds special tokens to o200k; the older encodings belong to models that were switched off.
    current = {model: name.replace("harmony", "base") for model, name in table.items() if name[:4] in ("cl10", "o200")}
    assert {model: tokens.encoding_of(model) for model in current} == current


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4", "cl100k_base"),
        ("azure/eu/gpt-4o-mini", "o200k_base"),
        ("ft:gpt-4o-mini:acme::1", "o200k_base"),
        ("ft:gpt-3.5-turbo:acme::1", "cl100k_base"),
        ("claude-sonnet", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_a_models_path_is_looked_through(model: str, name: str) -> None:
    assert tokens.encoding_of(model) == name


def test_the_frame_of_a_chat_costs_what_the_cookbook_says() -> None:
    assert tokens.chat_overhead(0, 0) == 3
    assert tokens.chat_overhead(2, 1) == 3 + 2 * 3 + 1


def test_an_unknown_encoding_is_a_value_error() -> None:
    tokens.warm("cl100k_base")
    with pytest.raises(ValueError, match="cl100k_base, o200k_base"):
        tokens.count("p50k_base", "text")
    with pytest.raises(ValueError, match="p50k_base"):
        tokens.warm("p50k_base")
