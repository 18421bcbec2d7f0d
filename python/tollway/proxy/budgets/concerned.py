"""Which budgets a call is under, and which purses it is paid from."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from tollway.contract.budgets import Budget, Purse
from tollway.contract.keys import KeyRecord
from tollway.errors import Forbidden
from tollway.proxy.exchange import Planned, user_of
from tollway.proxy.notes import tags_of

MOST_PURSES: Final = 16
"""So many purses one call is paid from; the ledger has no room for more."""

MOST_KEYS: Final = 4_096
"""So many keys' budgets are remembered; of more the longest known are looked up anew."""


class Concerned:
    """Finds a call's purses. What does not change from call to call is found once for each key."""

    def __init__(self, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._file: tuple[tuple[Budget, ...], Mapping[str | None, list[Budget]]] = ((), {})
        self._keys: dict[str, tuple[KeyRecord, tuple[Budget, ...], tuple[Budget, ...]]] = {}

    def purses(self, planned: Planned) -> tuple[Purse, ...]:
        """The purses that a call is paid from; of one without budgets none, at no cost.

        Raises:
            Forbidden: it would be paid from more than :data:`MOST_PURSES`.
        """
        record, of_file = planned.principal.record, planned.arrival.snapshot.budgets
        if not record.budgets and not of_file:
            return ()
        budgets = self._of_key(record, of_file)
        return self._chosen(planned, budgets) if budgets else ()

    def _of_key(self, record: KeyRecord, of_file: tuple[Budget, ...]) -> tuple[Budget, ...]:
        known = self._keys.get(record.key_id)
        if known is not None and known[0] is record and known[1] is of_file:
            return known[2]
        if self._file[0] is not of_file:
            by_tenant: dict[str | None, list[Budget]] = {}
            for budget in of_file:
                by_tenant.setdefault(budget.tenant_id, []).append(budget)
            self._file = (of_file, by_tenant)
        by_tenant_id = self._file[1]
        all_of_it = [*by_tenant_id.get(None, ()), *by_tenant_id.get(record.tenant_id, ()), *record.budgets]
        found = tuple(
            budget
            for budget in all_of_it
            if budget.tenant_id in (None, record.tenant_id) and budget.key_id in (None, record.key_id)
        )
        self._keys.pop(record.key_id, None)
        if len(self._keys) >= MOST_KEYS:
            self._keys.pop(next(iter(self._keys)))
        self._keys[record.key_id] = (record, of_file, found)
        return found

    def _chosen(self, planned: Planned, budgets: tuple[Budget, ...]) -> tuple[Purse, ...]:
        record, model = planned.principal.record, planned.request.model
        user = user_of(planned) if any(budget.user or "user" in budget.per for budget in budgets) else None
        is_tagged = any(budget.tag for budget in budgets)
        tags = tags_of(planned.arrival.headers, planned.request) if is_tagged else ()
        now_s = int(self._now_s())
        found = {
            purse.name: purse
            for budget in budgets
            if budget.holds_for(tenant_id=record.tenant_id, key_id=record.key_id, user=user, model=model, tags=tags)
            for purse in (budget.purse(key_id=record.key_id, user=user, model=model, now_s=now_s),)
        }
        if len(found) > MOST_PURSES:
            raise Forbidden(f"More than {MOST_PURSES} budgets hold for this call. The operator can merge some.")
        return tuple(found.values())
