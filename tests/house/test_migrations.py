import re

from tests.house import inventory


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(path.name.split("_")[0]) for path in inventory.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


def test_migrations_are_named_after_what_they_do() -> None:
    odd = [path.name for path in inventory.migrations() if not re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", path.name)]
    assert odd == []


def test_migrations_only_go_forward() -> None:
    down = [path.name for path in inventory.migrations() if re.search(r"down|rollback|revert", path.stem)]
    assert down == []
