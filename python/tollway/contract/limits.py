"""The limits that one scope (a tenant or a key) is held to."""

import msgspec


class LimitValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one scope; ``None`` leaves that kind unlimited.

    ``rpm`` counts requests in any 60 s, ``tpm`` tokens (prompt and completion) in any 60 s,
    ``concurrency`` calls under way at once.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
