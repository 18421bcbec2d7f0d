"""One noun, everywhere: core (or ledger), binding, stub, twin, test and bench of a native module share its name."""

import importlib
from pathlib import Path

import pytest
from tests.house import inventory

from tollway import _native

MODULES = inventory.native_modules()


def test_the_binding_holds_modules() -> None:
    assert MODULES


@pytest.mark.parametrize("noun", MODULES)
@pytest.mark.parametrize(
    ("what", "places"),
    [
        ("core", ("rust/core/src/{noun}.rs", "rust/core/src/{noun}/mod.rs", "rust/ledger/src/{noun}.rs")),
        ("stub", ("python/tollway/_native/{noun}.pyi",)),
        ("test", ("tests/native/test_{noun}.py",)),
        ("twin", ("tests/native/twins/{noun}.py",)),
        ("bench", ("benches/native/benches/{noun}.rs",)),
    ],
)
def test_a_native_module_has_everything_that_belongs_to_it(noun: str, what: str, places: tuple[str, ...]) -> None:
    wanted = [Path(place.format(noun=noun)) for place in places]
    assert any(path in inventory.files() for path in wanted), f"{noun} has no {what}: {', '.join(map(str, wanted))}"


def test_what_is_registered_is_what_the_files_say() -> None:
    registered = [name for name in dir(_native) if not name.startswith("_")]
    assert sorted(registered) == MODULES


@pytest.mark.parametrize("noun", MODULES)
def test_a_native_module_is_imported_by_its_full_name(noun: str) -> None:
    assert importlib.import_module(f"tollway._native.{noun}") is getattr(_native, noun)


def test_the_core_knows_neither_python_nor_a_clock_nor_files() -> None:
    for path in inventory.named(".rs", under="rust/core/src"):
        text = inventory.text(path)
        for outside in ("pyo3", "std::fs", "std::env", "TcpStream", "time::Instant", "SystemTime", "std::thread"):
            assert outside not in text, f"{path} mentions {outside}"
    assert "#![forbid(unsafe_code)]" in inventory.text(Path("rust/core/src/lib.rs"))
