"""What the control plane asks of whoever routes calls in this process. The composition root fills it in."""

from collections.abc import Sequence
from typing import Protocol

from tollway.contract.described import Described
from tollway.contract.routing import TargetStatus
from tollway.contract.snapshot import Snapshot


class RouterView(Protocol):
    """One worker's view of its host."""

    @property
    def snapshot(self) -> Snapshot:
        """What calls are routed by now, as the configuration declares it."""
        ...

    def statuses(self) -> Sequence[TargetStatus]:
        """How targets (``provider/model``) and their keys (``provider/model#key``) stand on this host."""
        ...

    def explain(self, call: Described) -> object:
        """The decision, as JSON can say it: who could answer, who is passed over and why, in which order they would
        be asked. Nobody is called.

        Raises:
            tollway.errors.GatewayError: the call would be refused before anybody could be asked.
        """
        ...
