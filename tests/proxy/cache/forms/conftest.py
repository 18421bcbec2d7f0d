"""The SDKs that answers are read with, opened once for a file of tests."""

from collections.abc import Iterator

import pytest
from tests.proxy.cache.forms.streams import Reading


@pytest.fixture(scope="module")
def sdk() -> Iterator[Reading]:
    """The official SDKs."""
    with Reading() as reading:
        yield reading
