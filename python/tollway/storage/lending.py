"""How much of a purse a host is granted. Decisions only: what stands in the tables goes in, what is to stand there
comes out.

A host counts what it was granted and what it has spent from 0 for as long as it remembers a purse, and tells both as
they are: so a question that is asked twice, or whose answer is lost, changes nothing. Here they are kept above
``base``, where its last count ended: rows of what was spent before may be still to come. A host takes turns at asking,
and hears an answer only in its turn; so what it tells in a later one is all that it has, and less than it was granted
is what it has given back, or has never heard of.
"""

import msgspec

from tollway.contract.budgets import Ask, Granted


class Lease(msgspec.Struct, frozen=True):
    """What a host holds of a purse, in whole pico-dollars; see the table ``budget_leases``."""

    base: int = 0
    granted: int = 0
    spent: int = 0
    shipped: int = 0
    turn: int = 0
    is_live: bool = False

    @property
    def committed(self) -> int:
        """What is spent of it, or may be."""
        return max(self.granted if self.is_live else 0, self.spent, self.shipped)

    @property
    def held(self) -> int:
        """What is committed and has not come as rows."""
        return self.committed - self.shipped


class Standing(msgspec.Struct, frozen=True):
    """A purse: its ceiling, what is spent of it, what the other hosts hold and how many of them live."""

    amount: int
    spent: int
    held_by_others: int
    other_hosts: int
    own: Lease | None


def lend(ask: Ask, standing: Standing) -> tuple[Lease | None, Granted | None]:
    """The lease as it is to stand from now on, and the answer; both are ``None`` for a question that was overtaken.

    A lease is ``None`` with an answer where there is none and nothing is asked for. What a host keeps of a lease that
    has expired it has again, as far as it is still there. A grant is what is wanted, but at most an equal share of half
    of what is free among the hosts that spend of it, so that none sits on what another needs; less than what calls wait
    for only where nothing more is free.
    """
    before = _told(ask, standing.own)
    if before is None:
        return None, None
    free = _free(standing, before)
    wanted = max(0, before.base + ask.granted + ask.wanted - before.committed)
    if standing.own is None and not wanted:
        return None, Granted(ask.purse.name, ask.granted, free <= 0)
    needed = wanted if ask.needed is None else min(wanted, wanted - ask.wanted + ask.needed)
    share = free // (2 * (standing.other_hosts + 1))
    more = max(0, min(wanted, free, max(share, needed)))
    lease = msgspec.structs.replace(before, granted=before.committed + more, is_live=True)
    return lease, Granted(ask.purse.name, lease.granted - lease.base, free - more <= 0)


def _told(ask: Ask, own: Lease | None) -> Lease | None:
    """The lease with what the host tells; ``None`` for what it told before it told what is known already."""
    if own is None:
        return Lease(base=-ask.spent, turn=ask.turn)
    if ask.turn <= own.turn:
        return None
    if own.base + ask.spent >= own.spent:
        granted = min(own.granted, own.base + ask.granted)
        return msgspec.structs.replace(own, granted=granted, spent=own.base + ask.spent, turn=ask.turn)
    # It has forgotten the purse, and counts anew.
    spent = max(own.spent, own.shipped)
    return Lease(base=spent - ask.spent, granted=spent, spent=spent, shipped=own.shipped, turn=ask.turn)


def _free(standing: Standing, own: Lease) -> int:
    return standing.amount - standing.spent - standing.held_by_others - own.held
