"""The words of ``cache``: what is kept for whom, and which embedder is asked."""

import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.settings.marked import only_fault

from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching, SemanticCaching
from tollway.contract.cache import Scope as ContractScope
from tollway.contract.snapshot import OPERATIONS
from tollway.settings import (
    BadConfiguration,
    CachePolicySettings,
    CacheSettings,
    ExactSettings,
    FileSemanticSettings,
    SemanticSettings,
    decode,
    encode,
    read,
)
from tollway.settings.cache import Scope
from tollway.settings.cache_checks import EMBEDDING, embedders
from tollway.settings.minilm import missing

HEAD = """\
version: 1
providers: {open: {kind: openai, api_key: k}, claude: {kind: anthropic, api_key: k}}
models:
  vectors: {targets: [{provider: open, model: text-embedding-3-small}]}
  words: {targets: [{provider: claude, model: claude}]}
"""


def test_the_line_of_the_design_loads() -> None:
    text = "cache:     {exact: {ttl: 1h}, semantic: {threshold: 0.95, ttl: 1h, max_entries: 100000, embedder: builtin}}"
    loaded = read(f"version: 1\n{text}", {})
    assert loaded.cache == CacheSettings(
        exact=ExactSettings(ttl_s=3600.0), semantic=FileSemanticSettings(max_entries=100_000)
    )
    assert isinstance(loaded.cache, CacheSettings)
    assert loaded.cache.entries == 100_000


def test_every_word_is_read() -> None:
    loaded = read(
        HEAD + "cache:\n"
        "  exact: {ttl: 5m, max_temperature: 0.7}\n"
        "  semantic: {threshold: 0.9, ttl: 2h, embedder: vectors, adaptive: true, max_wrong: 0.5%, shadow: 3%}\n"
        "  scope: user\n  max_entries: 7\n  max_bytes: 2MiB\n  max_answer: 4KiB\n  join: 2s\n  pace: 50\n",
        {},
    )
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"
    assert loaded.cache == CacheSettings(
        exact=ExactSettings(ttl_s=300.0, max_temperature=0.7),
        semantic=FileSemanticSettings(
            threshold=0.9, ttl_s=7200.0, embedder="vectors", adaptive=True, max_wrong=0.005, shadow_share=0.03
        ),
        scope="user",
        max_entries=7,
        max_bytes=2 * 2**20,
        max_answer_bytes=4096,
        join_s=2.0,
        pace=50,
    )


@pytest.mark.parametrize("written", ["", "cache:", "cache: null", "cache: off", "cache: 'off'", "cache: {}"])
def test_without_a_part_there_is_no_cache(written: str) -> None:
    cache = read(f"version: 1\n{written}", {}).cache
    assert not isinstance(cache, CacheSettings) or (cache.exact, cache.semantic) == (None, None)


def test_empty_parts_take_the_defaults() -> None:
    loaded = read("version: 1\ncache: {exact: {}, semantic: {}}", {})
    assert loaded.cache == CacheSettings(exact=ExactSettings(), semantic=FileSemanticSettings())


def test_tenants_and_keys_have_a_policy_are_off_or_say_nothing() -> None:
    loaded = read(
        "version: 1\ntenants:\n"
        "  a: {cache: off, keys: {k: {key: 0123456789abcdefg, cache: {exact: {ttl: 1m}, scope: key}}}}\n"
        "  b: {cache: {semantic: {threshold: 0.99}}, keys: {k: {key: 0123456789abcdefh}}}\n",
        {},
    )
    assert decode(encode(loaded)) == loaded
    a, b = loaded.tenants["a"], loaded.tenants["b"]
    assert (a.cache, a.keys["k"].cache) == (
        "off",
        CachePolicySettings(exact=ExactSettings(ttl_s=60.0), scope="key"),
    )
    assert (b.cache, b.keys["k"].cache) == (CachePolicySettings(semantic=SemanticSettings(threshold=0.99)), None)


@pytest.mark.parametrize(
    ("cache", "path", "words"),
    [
        ("{exact: {ttl: §3600}}", "cache.exact.ttl", "1h"),
        ("{exact: {ttl: §31d}}", "cache.exact.ttl", "2,592,000 s"),
        ("{exact: {max_temperature: §2.5}}", "cache.exact.max_temperature", "from 0 to 2"),
        ("{semantic: {threshold: §1.5}}", "cache.semantic.threshold", "from 0 to 1"),
        ("{semantic: {threshold: §95%}}", "cache.semantic.threshold", "0 to 1"),
        ("{semantic: {max_wrong: §0.01}}", "cache.semantic.max_wrong", "percent sign"),
        ("{semantic: {max_wrong: §0%}}", "cache.semantic.max_wrong", "0.01%"),
        ("{semantic: {§treshold: 0.9}}", "cache.semantic.treshold", 'did you mean "threshold"?'),
        ("{semantic: {embedder: §vectorz}}", "cache.semantic.embedder", 'did you mean "vectors"?'),
        ("{semantic: {embedder: §bultin}}", "cache.semantic.embedder", 'did you mean "builtin"?'),
        ("{semantic: {embedder: §words}}", "cache.semantic.embedder", "no target of words can be asked for embeddings"),
        ("{semantic: {max_entries: §5}, max_entries: 6}", "cache.semantic.max_entries", "cache.max_entries says 6"),
        ("{scope: §tennant}", "cache.scope", 'did you mean "tenant"?'),
        ("{max_bytes: §1KiB}", "cache.max_bytes", "out of range"),
        ("{max_answer: §1GiB}", "cache.max_answer", "out of range"),
        ("{pace: §0}", "cache.pace", "out of range"),
        ("{§exakt: {}}", "cache.exakt", 'did you mean "exact"?'),
        ("§on", "cache", "a mapping of keys to values, or off"),
    ],
)
def test_a_fault_is_told_where_it_is_with_the_word_that_was_meant(cache: str, path: str, words: str) -> None:
    found, message = only_fault(f"{HEAD}cache: {cache}")
    assert found == path
    assert words in message


@pytest.mark.parametrize(
    ("tenant", "path"),
    [
        ("{cache: {semantic: {embedder: §nobody}}}", "tenants.a.cache.semantic.embedder"),
        ("{cache: {§max_entries: 5}}", "tenants.a.cache.max_entries"),
        ("{cache: {semantic: {§max_entries: 5}}}", "tenants.a.cache.semantic.max_entries"),
        ("{cache: §none}", "tenants.a.cache"),
        (
            "{keys: {k: {key: 0123456789abcdefg, cache: {semantic: {embedder: §words}}}}}",
            "tenants.a.keys.k.cache.semantic.embedder",
        ),
    ],
)
def test_a_fault_of_a_tenants_cache_is_told_where_it_is(tenant: str, path: str) -> None:
    assert only_fault(f"{HEAD}tenants: {{a: {tenant}}}")[0] == path


def test_a_broken_model_is_not_told_twice() -> None:
    with pytest.raises(BadConfiguration) as raised:
        read("version: 1\nmodels: {m: {targets: 5}}\ncache: {semantic: {embedder: m}}", {})
    assert [fault.path for fault in raised.value.faults] == ["models.m.targets"]


def test_minilm_says_what_to_install_or_what_its_directory_lacks(tmp_path: Path) -> None:
    text = f"version: 1\ncache: {{semantic: {{embedder: §minilm}}, minilm: {tmp_path}}}"
    path, message = only_fault(text)
    assert (path, message) == ("cache.semantic.embedder", missing(str(tmp_path)))
    (tmp_path / "model.onnx").touch()
    (tmp_path / "tokenizer.json").touch()
    read(text.replace("§", ""), {})


def test_minilm_without_its_packages_is_a_fault_of_whoever_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    tenant = "tenants: {a: {cache: {semantic: {embedder: §minilm}}}}"
    path, message = only_fault(f"version: 1\n{tenant}")
    assert path == "tenants.a.cache.semantic.embedder"
    assert "pip install 'tollway[minilm]'" in message
    read("version: 1\ncache: {semantic: {embedder: builtin}, minilm: /nowhere}", {})


def test_the_embedders_are_two_words_and_the_models_that_serve_embeddings() -> None:
    assert embedders(read(HEAD, {})) == ("builtin", "minilm", "vectors")


def test_settings_and_contract_speak_of_the_same_kinds_scopes_and_defaults() -> None:
    # They can't import each other: the contract is above the settings.
    assert set(EMBEDDING) == {kind for kind, asked in OPERATIONS.items() if "embeddings" in asked}
    assert set(get_args(Scope)) == set(get_args(ContractScope))
    assert msgspec.structs.asdict(ExactSettings()) == msgspec.structs.asdict(ExactCaching())
    assert msgspec.structs.asdict(SemanticSettings()) == msgspec.structs.asdict(SemanticCaching())
    assert CachePolicySettings().scope == CachePolicy().scope
    own, space = CacheSettings(), CacheSpace()
    assert (own.entries, own.max_bytes, own.max_answer_bytes) == (
        space.max_entries,
        space.max_bytes,
        space.max_answer_bytes,
    )
    assert (own.join_s, own.pace) == (space.join_s, space.pace)
