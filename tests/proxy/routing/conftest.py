"""A board for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proxy.routing.desk import open_board

from tollway._native.routing import Board


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A host's board that nobody has used."""
    with open_board(tmp_path) as board:
        yield board
