"""What the sections share: names, quantities with their units, secrets and limits."""

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=128)]
"""Names become metric labels and header values: plain ASCII, no blanks."""

PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", max_length=128)]
"""Names of tenants and keys, which are joined by a slash."""

ProviderName = Annotated[Name, Meta(extra={"names": "providers"})]
GuardrailName = Annotated[Name, Meta(extra={"names": "guardrails"})]
LimitsName = Annotated[Name, Meta(extra={"names": "limits"})]
AliasName = Annotated[str, Meta(extra={"names": "models"})]
ModelName = Annotated[str, Meta(extra={"names": "models", "all": "*"})]
"""References: the section must declare the name (or it is the word for all of them)."""

SizeBytes = Annotated[int, Meta(extra={"reads": "size_bytes"})]
Seconds = Annotated[float, Meta(extra={"reads": "duration_s"})]
HostPort = Annotated[str, Meta(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253}):[1-9][0-9]{0,4}$")]
"""A host as addresses name it, in lower case, and its port: ``files.internal:443``."""

Share = Annotated[float, Meta(extra={"reads": "share"}, ge=0.0001, le=1)]
PicoUsd = Annotated[int, Meta(extra={"reads": "picousd"}, ge=0, le=10**18)]
PicoUsdPerToken = Annotated[int, Meta(extra={"reads": "picousd_per_token"})]
InstantMs = Annotated[int, Meta(extra={"reads": "instant_ms"})]
"""Quantities: written as ``units`` reads them (``reads`` names its function), kept as plain numbers."""

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Secret(msgspec.Struct, frozen=True):
    """A text that no log, error or traceback shows. An empty one is a variable that was left empty."""

    text: str

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return "Secret(…)" if self.text else "Secret()"

    __str__ = __repr__


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits; one that is left out does not limit."""

    rpm: Annotated[Count | None, Meta(description="Requests in any 60 seconds.")] = None
    tpm: Annotated[Count | None, Meta(description="Tokens, prompt and completion, in any 60 seconds.")] = None
    concurrency: Annotated[Count | None, Meta(description="Calls under way at once.")] = None
