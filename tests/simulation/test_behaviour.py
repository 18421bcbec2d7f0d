"""Words in the model's name, or in the metadata, change how a request is answered."""

import pytest

from tollway.simulation.behaviour import Behaviour, duration_s
from tollway.simulation.refusals import Refusal


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("simulator", Behaviour()),
        ("gpt-4o-mini", Behaviour()),
        ("simulator-status-429", Behaviour(status=429)),
        ("simulator-delay-500ms", Behaviour(delay_s=0.5)),
        ("simulator-delay-1.5s-chunks-3-gap-20ms", Behaviour(delay_s=1.5, chunks=3, gap_s=0.02)),
        ("simulator-hang", Behaviour(hang=True)),
        ("simulator-hang-3", Behaviour(hang_after=3)),
        ("simulator-cut-3", Behaviour(cut_after=3)),
        ("simulator-chunks-9-error-0", Behaviour(chunks=9, error_after=0)),
        ("simulator-hang-cut-3", Behaviour(hang=True, cut_after=3)),
    ],
)
def test_a_models_name_says_how_it_behaves(model: str, expected: Behaviour) -> None:
    assert Behaviour().for_request(model, None) == expected


def test_metadata_says_it_for_any_model() -> None:
    assert Behaviour().for_request("gpt-4o", {"simulate": "cut-2"}) == Behaviour(cut_after=2)


def test_what_the_request_does_not_say_stays_as_the_server_was_told() -> None:
    server = Behaviour(delay_s=2, fail_rate=0.5)
    assert server.for_request("simulator-chunks-3", None) == Behaviour(delay_s=2, fail_rate=0.5, chunks=3)


@pytest.mark.parametrize(
    "model",
    [
        "simulator-",
        "simulator-nonsense",
        "simulator-status-200",
        "simulator-status",
        "simulator-cut-3x",
        "simulator-hang-",
    ],
)
def test_an_unknown_word_is_an_unknown_model(model: str) -> None:
    with pytest.raises(Refusal) as caught:
        Behaviour().for_request(model, None)
    assert caught.value.status == 404


@pytest.mark.parametrize("said", ["nonsense", "", 5, ["cut-2"]])
def test_an_unknown_word_in_the_metadata_is_a_fault_of_the_request(said: object) -> None:
    with pytest.raises(Refusal) as caught:
        Behaviour().for_request("gpt-4o", {"simulate": said})
    assert caught.value.status == 400


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("1.5s", 1.5), ("0", 0.0), ("2s", 2.0)])
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5m", "-1s", "1e3s", "s"])
def test_a_duration_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_s(text)
