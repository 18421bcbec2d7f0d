import re
from pathlib import Path

from tests.house import inventory

ARCHITECTURE = inventory.text(Path("ARCHITECTURE.md"))
STATIONS = sorted(
    {path.parts[3] for path in inventory.named(".py", under="python/tollway/proxy") if len(path.parts) > 4}
)


def test_every_place_that_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:python|rust|tests|docs|config|deploy|benches)/[\w./-]*\w", ARCHITECTURE))
    assert named
    assert [place for place in sorted(named) if not (inventory.ROOT / place).exists()] == []


def test_every_station_is_named_with_its_folder() -> None:
    assert STATIONS
    assert [station for station in STATIONS if not re.search(rf"\b{station}/", ARCHITECTURE)] == []
