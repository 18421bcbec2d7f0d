"""Regions: where thresholds are learned apart, and whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.cache import BANDS, model_of, region_of

_NAMES = st.text(st.sampled_from("ab/-.:0123456789"), min_size=1, max_size=12)


@given(_NAMES, _NAMES, st.floats(-1, 1))
def test_a_region_tells_its_model_to_its_own_tenant(tenant: str, model: str, similarity: float) -> None:
    assert model_of(region_of(tenant, model, similarity), tenant) == model


@given(st.text(max_size=30), st.text(max_size=6))
def test_any_text_is_a_region_of_that_tenant_or_none(text: str, tenant: str) -> None:
    model = model_of(text, tenant)
    assert model is None or text in {f"{tenant}/{model}/{band}" for band in range(len(BANDS) + 1)}


@pytest.mark.parametrize(
    "text", ["other/m/5", "acme/m/8", "acme/m/-1", "acme/m/55", "acme/m/", "acme//5", "acme/5", ""]
)
def test_what_is_no_region_of_the_tenant_has_no_model(text: str) -> None:
    assert model_of(text, "acme") is None


def test_there_are_eight_bands_and_the_most_similar_are_in_the_last() -> None:
    bands = [region_of("t", "m", similarity)[-1] for similarity in (-1.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)]
    assert bands == list("012345677")
