from tests.cli.conftest import Tollway
from tests.house import inventory

from tollway.cli.init import TEMPLATES


def test_what_is_written_is_the_annotated_configuration_and_it_is_good(tollway: Tollway) -> None:
    assert tollway("init", "new/place").returncode == 0
    for name in TEMPLATES:
        written = (tollway.directory / "new" / "place" / name).read_bytes()
        assert written == (inventory.ROOT / "config" / name).read_bytes()
    checked = tollway("config", "check", "--config", "new/place/tollway.yaml")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_nothing_is_overwritten_unless_it_is_asked_for(tollway: Tollway) -> None:
    mine = tollway.directory / "prices.yaml"
    mine.write_text("mine")
    assert "prices.yaml" in tollway.says("init")
    assert mine.read_text() == "mine"
    assert not (tollway.directory / "tollway.yaml").exists()
    assert tollway("init", "--force").returncode == 0
    assert mine.read_text() != "mine"


def test_a_place_that_can_not_be_written_is_a_sentence(tollway: Tollway) -> None:
    (tollway.directory / "file").write_text("")
    assert "file" in tollway.says("init", "file/below")
