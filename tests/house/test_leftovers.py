import re
import tomllib
from pathlib import Path

import pytest
from tests.house import inventory

# Spelt in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b|NotImplemented" r"Error|unimplemented" r"!|to" r"do!")
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:wo" r"rk|ro" r"ot|ho" r"me|Us" r"ers|tm" r"p)/")
INDEX = re.compile(r"--(?:extra-)?index-" r"url|--find-" r"links[= ]|https?://[^\s\"']*/sim" r"ple\b")

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")


def found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(inventory.text(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_unfinished() -> None:
    assert found(UNFINISHED, inventory.named(".py", ".pyi", ".rs", ".sql", ".md", ".yaml", ".toml")) == []


def test_no_path_of_one_machine_is_in_a_file() -> None:
    container = Path("deploy/Dockerfile")  # its paths are those of the image
    assert found(MACHINE_PATH, [path for path in inventory.files() if path != container]) == []


def test_no_package_index_is_named() -> None:
    assert found(INDEX, list(inventory.files())) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_everything_with_hashes_and_no_address(name: str) -> None:
    lock = inventory.text(Path(name))
    assert "://" not in lock
    entries = re.findall(r"^(\S+?)(==\S+)?( .*)?\\?$(?:\n    --hash=.*)*", lock, re.MULTILINE)
    assert entries
    for block in re.split(r"\n(?=[a-z0-9])", lock)[1:]:
        assert re.match(r"[a-z0-9._-]+==\S+ ", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads(inventory.text(Path("pyproject.toml")))
    asked = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-build.lock": project["build-system"]["requires"],
        "requirements-dev.lock": project["dependency-groups"]["dev"],
    }
    for lock, requirements in asked.items():
        locked = set(re.findall(r"^([a-z0-9._-]+)==", inventory.text(Path(lock)), re.MULTILINE))
        names = {re.split(r"[^a-z0-9-]", requirement.lower().replace("_", "-"))[0] for requirement in requirements}
        assert names <= locked, lock


def test_one_package_has_one_version_in_all_locks() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", inventory.text(Path(lock)), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_rust_packages_come_from_crates_io_alone() -> None:
    sources = set(re.findall(r'^source = "(.*)"', inventory.text(Path("Cargo.lock")), re.MULTILINE))
    assert sources == {"registry+https://github.com/rust-lang/crates.io-index"}
