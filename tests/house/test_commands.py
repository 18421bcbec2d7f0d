import re
from pathlib import Path

import pytest
from tests.house import inventory

CLI = Path("python/tollway/cli")
VERBS = [path for path in inventory.named(".py", under=str(CLI)) if path.stem != "__init__"]
MAKEFILE = inventory.text(Path("Makefile"))


@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_a_file_of_the_command_line_has_a_test(verb: Path) -> None:
    """One verb per file; a test of the same name, or one that runs the verb."""
    beside = Path("tests/cli") / verb.relative_to(CLI).with_name(f"test_{verb.stem}.py")
    assert beside in inventory.files()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_a_page_tells_of_exist(page: str) -> None:
    told = set(re.findall(r"^(?:\$ )?make ([a-z]+)|`make ([a-z]+)`", inventory.text(Path(page)), re.MULTILINE))
    assert told
    for target in {first or second for first, second in told}:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
