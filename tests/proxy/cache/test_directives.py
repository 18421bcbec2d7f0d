"""What a request's headers say of the cache."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import InvalidRequest
from tollway.proxy.cache.directives import PLAIN, Directives, directives


def said(**headers: str) -> Directives:
    return directives({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})


def test_who_says_nothing_uses_the_cache() -> None:
    assert directives({}) == PLAIN == Directives("use", None)


@pytest.mark.parametrize("mode", ["off", "refresh", "only"])
def test_three_words_are_known_in_any_case(mode: str) -> None:
    assert said(x_tollway_cache=f" {mode.upper()} ").mode == mode


@pytest.mark.parametrize("value", ["", "on", "use", "miss", "off, only"])
def test_any_other_word_is_refused_with_the_three(value: str) -> None:
    with pytest.raises(InvalidRequest, match="off, refresh and only") as refused:
        said(x_tollway_cache=value)
    assert refused.value.param == "x-tollway-cache"


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("no-store", Directives("off")),
        ("no-cache", Directives("refresh", 0)),
        ("max-age=0", Directives("refresh", 0)),
        ("max-age=60", Directives("use", 60)),
        ('Max-Age="60", no-transform', Directives("use", 60)),
        ("only-if-cached", Directives("only")),
        ("only-if-cached, max-age=5", Directives("only", 5)),
        ("only-if-cached, no-store", Directives("only")),
        ("no-cache, no-store", Directives("off")),
        ("max-age=5, max-age=9", Directives("use", 5)),
        ("max-age=99999999999999999999", Directives("use", 2**31)),
        ("max-age=soon", Directives("refresh", 0)),
        ("max-age=-1", Directives("refresh", 0)),
        ("max-age", Directives("refresh", 0)),
        ("max-stale=3, immutable, foo=bar", PLAIN),
        ("", PLAIN),
        (",,=,", PLAIN),
    ],
)
def test_cache_control_is_heard_as_http_has_it(control: str, expected: Directives) -> None:
    assert said(cache_control=control) == expected


def test_the_header_of_ours_goes_before_the_other() -> None:
    assert said(x_tollway_cache="only", cache_control="no-store").mode == "only"
    assert said(x_tollway_cache="refresh", cache_control="max-age=9") == Directives("refresh", 9)


@given(st.binary(max_size=80))
def test_any_bytes_are_some_directive(control: bytes) -> None:
    found = directives({b"cache-control": control})
    assert found.max_age_s is None or 0 <= found.max_age_s <= 2**31
