"""Quantities with units: what is read, exactly, and what is refused."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.settings import units
from tollway.settings.conversion import READERS


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("4096B", 4096), ("1KB", 1000), ("1KiB", 1024), ("20MiB", 20 * 2**20), ("1.5GiB", 3 * 2**29)],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert units.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "20 MiB", "20mib", "-1", "1e3", "1_000", "٢MiB", "20MiB\n", "0.3B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a size such as|whole number of bytes"):
        units.size_bytes(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [("500ms", 0.5), ("2s", 2.0), ("1.5s", 1.5), ("10m", 600.0), ("1h", 3600.0), ("30d", 2_592_000.0), ("0s", 0.0)],
)
def test_a_duration_is_read_in_seconds(text: str, duration: float) -> None:
    assert units.duration_s(text) == duration


@pytest.mark.parametrize("text", ["2", "", "s", "2 s", "1h30m", "-1s", "2S", "2min", "1:30", "9999999999s"])
def test_a_duration_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        units.duration_s(text)


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("0.5%", 0.005), ("100%", 1.0), ("12.5%", 0.125), ("0%", 0.0), ("7%", 0.07)]
)
def test_a_share_is_read_as_a_part_of_one_and_shown_as_it_is_written(text: str, share: float) -> None:
    assert units.share(text) == share
    assert units.percent(share) == text


@pytest.mark.parametrize("text", ["5", "0.05", "", "%", "5 %", "-5%", ".5%", "5%\n", "1e1%", "1000%", "\u0665%"])
def test_a_share_without_its_percent_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its percent sign"):
        units.share(text)


@pytest.mark.parametrize(
    ("text", "picousd", "shown"),
    [
        ("0.01", 10**10, "0.01 US dollars"),
        ("0", 0, "0 US dollars"),
        ("1250", 1250 * 10**12, "1,250 US dollars"),
        ("0.000000000001", 1, "0.000000000001 US dollars"),
    ],
)
def test_an_amount_is_read_in_whole_pico_dollars(text: str, picousd: int, shown: str) -> None:
    assert units.picousd(text) == picousd
    assert units.usd(picousd) == shown


@pytest.mark.parametrize("text", ["-1", "1e-3", ".5", "0,15", "$1", "", "1.", "nan", "0.0000000000001"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an amount in US dollars"):
        units.picousd(text)


@pytest.mark.parametrize(
    ("text", "picousd"),
    [("0.15", 150_000), ("2.50", 2_500_000), ("0", 0), ("600", 600_000_000), ("0.003625", 3_625), ("0.000001", 1)],
)
def test_a_price_is_read_in_whole_pico_dollars_per_token(text: str, picousd: int) -> None:
    assert units.picousd_per_token(text) == picousd


@pytest.mark.parametrize("text", ["-1", "1e-3", ".5", "0,15", "$1", "", "1.", "nan", ".inf"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="US dollars per million tokens"):
        units.picousd_per_token(text)


def test_a_price_finer_than_can_be_kept_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="can't be kept exactly"):
        units.picousd_per_token("0.0000001")


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_every_price_of_six_places_is_kept_exactly(price: Decimal) -> None:
    assert units.picousd_per_token(f"{price:f}") == int(price * 1_000_000)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00.250", 250),
    ],
)
def test_an_instant_is_utc_unless_it_says_other(text: str, instant: int) -> None:
    assert units.instant_ms(text) == instant


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-13-01", "31.01.2027", "0001-01-01T00:00:00+23:59x"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a date such as"):
        units.instant_ms(text)


@given(st.text(max_size=30), st.sampled_from(sorted(READERS)))
def test_any_text_is_read_or_refused(text: str, reader: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(getattr(units, reader)(text), int | float)


@pytest.mark.parametrize(("text", "sure"), [("0", 0.0), ("0.5", 0.5), ("1", 1.0), ("1.000000", 1.0)])
def test_confidence_is_a_plain_number(text: str, sure: float) -> None:
    assert units.confidence(text) == sure


@pytest.mark.parametrize("text", ["", "-0.1", "50%", ".5", "1e-1", "half", "0.5\n"])
def test_what_is_no_confidence_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number from 0 to 1"):
        units.confidence(text)


@pytest.mark.parametrize(
    ("text", "millionths"), [("1", 1_000_000), ("1.15", 1_150_000), ("0.000001", 1), ("1000", 10**9), ("0", 0)]
)
def test_a_factor_is_read_in_whole_millionths(text: str, millionths: int) -> None:
    assert units.millionths(text) == millionths
    assert units.millionths(units.factor(millionths)) == millionths


@pytest.mark.parametrize("text", ["", "-1", "1.0000001", "1e3", "15%", "1,5", "99999"])
def test_what_is_no_factor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most six decimals"):
        units.millionths(text)
