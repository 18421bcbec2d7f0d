"""Vocabularies are in memory once they were loaded, and not before."""

import pytest

from tollway.proxy.vocabularies import Vocabularies


def test_a_vocabulary_is_there_once_it_was_loaded() -> None:
    vocabularies = Vocabularies()
    assert not vocabularies.has("o200k_base")
    vocabularies.load("o200k_base")
    assert vocabularies.has("o200k_base")
    assert not vocabularies.has("cl100k_base")


def test_an_unknown_vocabulary_is_not_taken_for_loaded() -> None:
    vocabularies = Vocabularies()
    with pytest.raises(ValueError, match="p50k"):
        vocabularies.load("p50k_base")
    assert not vocabularies.has("p50k_base")
