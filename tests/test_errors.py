import re

import pytest
from docs.pages import raised_errors

from tollway import errors
from tollway.errors import ClientError, GatewayError, UpstreamLimited, every_error

DRAWN = re.compile(
    r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)(?: +(?P<status>\d{3}) (?P<code>\w+))?", re.MULTILINE
)


def drawn() -> list[re.Match[str]]:
    """The lines of the tree in the module's docstring."""
    picture = (errors.__doc__ or "").split("::\n")[1].split("Each class")[0]
    return [match for line in picture.splitlines() if (match := DRAWN.match(line.removeprefix("    ")))]


def test_the_drawn_tree_names_every_class_once() -> None:
    assert sorted(match["name"] for match in drawn()) == sorted(error.__name__ for error in every_error())


def test_the_drawn_tree_shows_status_and_code() -> None:
    shown = {match["name"]: (int(match["status"]), match["code"]) for match in drawn() if match["status"]}
    assert shown == {error.__name__: (error.status, error.code) for error in raised_errors()}


def test_the_drawn_tree_shows_who_descends_from_whom() -> None:
    ancestry: list[str] = []
    for match in drawn():
        depth = 0 if match["name"] == "GatewayError" else len(match["indent"]) // 4 + 1
        ancestry[depth:] = [match["name"]]
        parent = ancestry[depth - 1] if depth else "Exception"
        assert getattr(errors, match["name"]).__base__.__name__ == parent, match["name"]


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in raised_errors()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("error", every_error())
def test_an_error_of_the_client_is_a_4xx_and_any_other_a_5xx(error: type[GatewayError]) -> None:
    is_limit = issubclass(error, ClientError | UpstreamLimited)  # a provider's limit is told as a limit
    assert error.status // 100 == (4 if is_limit else 5)


def test_what_no_status_may_say() -> None:
    """402 and 422 are never answered: OpenAI's SDKs know neither."""
    assert {402, 422}.isdisjoint(error.status for error in every_error())


@pytest.mark.parametrize("error", every_error())
def test_an_error_that_a_retry_may_help_has_a_status_that_sdks_retry(error: type[GatewayError]) -> None:
    if error.retryable:
        assert error.status in (408, 429, 500, 502, 503, 504)


def test_the_inside_message_is_the_outside_one_unless_given() -> None:
    assert GatewayError("outside").inside == "outside"
    error = GatewayError("outside", inside="10.0.0.7 refused")
    assert (error.outside, error.inside, str(error)) == ("outside", "10.0.0.7 refused", "outside")


def test_the_metric_label_is_the_code() -> None:
    assert errors.ModelNotFound("No such model.").metric_label == "model_not_found"
