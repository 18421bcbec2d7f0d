import re
from pathlib import Path

import pytest
from docs.pages import PAGES
from tests.house import inventory

from tollway.telemetry.catalogue import CATALOGUE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_code_is_fresh(name: str) -> None:
    assert inventory.text(Path("docs") / name) == PAGES[name](), "run `make docs`"


def test_alerts_ask_for_metrics_that_exist() -> None:
    """With labels that they have, so that an alert can fire."""
    labels = {family.name: set(family.labels) | {"le"} for family in CATALOGUE}
    for path in inventory.named(".yaml", ".json", under="deploy"):
        for name, suffix, selector in re.findall(
            r"\b(tollway_[a-z_]+?)(_bucket|_sum|_count)?\b(?:\{([^}]*)\})?", inventory.text(path)
        ):
            known = name if name in labels else name + suffix
            assert known in labels, f"{path} asks for {name}{suffix}"
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) <= labels[known], (
                f"{path}: {name}{{{selector}}}"
            )
