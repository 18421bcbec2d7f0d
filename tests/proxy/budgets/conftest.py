"""A bank, a clock, and a host that leases from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.bank import ScriptedBank
from tests.fakes.telemetry import Recording
from tests.proxy.budgets.vault import Clock, Vault

from tollway.telemetry.metrics import Metrics


@pytest.fixture
def clock() -> Clock:
    """The time that everybody has."""
    return Clock()


@pytest.fixture
def bank(clock: Clock) -> ScriptedBank:
    """The bank."""
    return ScriptedBank(clock)


@pytest.fixture
async def vault(
    tmp_path: Path, bank: ScriptedBank, recording: Recording, metrics: Metrics, clock: Clock
) -> AsyncIterator[Vault]:
    """A host with one worker."""
    made = Vault(tmp_path / "purses.ledger", bank, recording, metrics, clock)
    yield made
    await made.treasurer.close()
    made.close()
