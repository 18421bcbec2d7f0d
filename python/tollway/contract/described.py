"""A request as somebody describes it, without its body: what the way of a call is asked for by."""

import msgspec

from tollway.contract.prices import TenantPrices
from tollway.contract.routing import Need
from tollway.contract.snapshot import Operation


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A call that nobody makes.

    ``tenant`` is an id or a name, ``tenant_name`` the name where the first is an id. Names of ``headers`` are in lower
    case. ``prompt_tokens`` stands for what is known of a prompt without counting, a bound from above; ``output_tokens``
    is the bound that the request sets (``None``: none). ``allowed_models``, ``may_spend`` and ``prices`` are the
    key's.
    """

    model: str
    tenant: str = ""
    tenant_name: str = ""
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    user: str | None = None
    prompt_tokens: int = 0
    output_tokens: int | None = None
    stream: bool = False
    needs: frozenset[Need] = frozenset()
    operation: Operation = "chat"
    allowed_models: frozenset[str] | None = None
    may_spend: bool = True
    prices: TenantPrices | None = None
