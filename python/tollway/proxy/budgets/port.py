"""The bank, as the data plane sees it: where hosts lease parts of budgets. It is PostgreSQL's to keep."""

from collections.abc import Sequence
from typing import Final, Protocol

from tollway.contract.budgets import Ask, Granted

LEASE_S: Final = 10.0
"""A lease is good for so long. The host counts from when it sent the question, so it never outlives the bank's."""

ANSWER_S: Final = 1.5
"""An answer that takes longer is given up. Its grants, should the bank have made them, are unknown here and unspent:
the next question tells what is known."""


class Bank(Protocol):
    """Grants what is left of budgets, in parts, to hosts.

    All figures are absolute, so an answer that is lost or comes twice does no harm. Of one host there is one question
    at a time. It may tell less ``granted`` than it was told before: then it has given the difference back. It stops
    spending when a lease has lapsed, but for what its calls under way still cost.

    After it was out of reach for everybody, leases that have lapsed meanwhile are good for :data:`LEASE_S` more: nobody
    could renew them, and calls that they pay for are under way. Of questions that come in another order than they were
    sent in (``Ask.turn``), the older changes nothing.

    A host asks again with nothing granted and nothing spent about a purse that it has forgotten, after an hour without
    use at the earliest: what it was granted for calls before is spent and told, or given back, by then.
    """

    async def renew(self, host: str, asked: Sequence[Ask]) -> Sequence[Granted]:
        """Renews the host's leases of these purses, and answers each. ``host`` is the name of its ledger.

        Raises:
            tollway.errors.DependencyUnavailable: PostgreSQL is out of reach; nothing is changed.
        """
        ...
