"""What a request says that its way depends on: read from a request, or from a description of one.

What costs time (notes in the body, the numbers that calls are told apart by) is only looked at when a route asks.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal, Protocol, Self

import msgspec

from tollway.contract.described import Described
from tollway.contract.prices import Rates, TenantPrices
from tollway.contract.routing import Need
from tollway.contract.snapshot import Operation
from tollway.proxy.exchange import STRICT, USER, Planned, Screened
from tollway.proxy.notes import METADATA, read_metadata

BYTES_PER_TOKEN = 4
"""Of English. The bound on a prompt's tokens is its bytes: to compare prices, this is near enough."""

OUTPUT_TOKENS = 512
"""What an answer is taken to have where the request sets no bound."""

MOST_TOKENS = 1_000_000_000
"""A bound beyond this is taken for this."""

_WORDLESS = frozenset[Operation]({"embeddings", "moderations", "rerank", "count_tokens"})
"""What is answered without a token of output."""


class Said(Protocol):
    """What is asked of a body: ``tollway._native.chat.ChatRequest`` has it all."""

    @property
    def stream(self) -> bool:
        """Whether the answer is to be a stream."""
        ...

    @property
    def user(self) -> str | None:
        """The client's name for its end user."""
        ...

    @property
    def n(self) -> int:
        """How many answers are asked for."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """The bound on each."""
        ...

    def prompt_upper_bound(self) -> int:
        """The prompt's tokens, at most."""
        ...

    def needs(self) -> frozenset[Need]:
        """What it needs of a model beyond text."""
        ...

    def metadata(self) -> dict[str, str]:
        """The client's notes."""
        ...

    def conversation(self) -> int:
        """64 bits that are the same all through a conversation; 0 when it can't be told."""
        ...

    def prefix(self) -> int:
        """64 bits of the prompt's beginning; 0 when it has none."""
        ...


class Traits(msgspec.Struct):
    """All that decides, but for how the targets stand. ``caller`` is whom shares are dealt by where no user is named;
    ``notes`` are the client's, where they have been read; ``prices`` are the tenant's own."""

    said: Said
    headers: Mapping[bytes, bytes]
    operation: Operation
    tenant_id: str
    tenant_name: str
    caller: str
    may_spend: bool
    notes: Mapping[str, str] | None = None
    prices: TenantPrices | None = None

    @classmethod
    def of(cls, asked: Screened | Planned) -> Self:
        """Those of a request.

        Raises:
            InvalidRequest: the client's notes are none.
        """
        arrival, record = asked.arrival, asked.principal.record
        headers, tenant, may_spend = arrival.headers, record.tenant_id, record.may_spend
        raw = headers.get(METADATA)
        notes = None if raw is None else read_metadata(raw)
        return cls(
            asked.request,
            headers,
            arrival.operation,
            tenant,
            record.tenant_name,
            record.key_id,
            may_spend,
            notes,
            record.prices,
        )

    @classmethod
    def described(cls, call: Described) -> Self:
        """Those of a call that nobody makes.

        Raises:
            InvalidRequest: its notes, in a header, are none.
        """
        headers = {
            name.encode("latin-1", "replace"): value.encode("latin-1", "replace")
            for name, value in call.headers.items()
        }
        raw = headers.get(METADATA)
        return cls(
            _Description(call),
            headers,
            call.operation,
            tenant_id=call.tenant,
            tenant_name=call.tenant_name or call.tenant,
            caller=call.tenant,
            may_spend=call.may_spend,
            prices=call.prices,
            notes=None if raw is None else read_metadata(raw),
        )

    @property
    def is_strict(self) -> bool:
        """Whether nothing may be left out for a target that can't take it."""
        return self.headers.get(STRICT) == b"true"

    @property
    def stream(self) -> bool:
        """Whether the answer is to be a stream."""
        return self.said.stream

    def header(self, name: str) -> str | None:
        """The value of a header, by its name in lower case."""
        value = self.headers.get(name.encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")

    def metadata(self) -> Mapping[str, str]:
        """The client's notes."""
        if self.notes is None:
            self.notes = self.said.metadata()
        return self.notes

    def needs(self) -> frozenset[Need]:
        """What it needs of a model beyond text."""
        return self.said.needs()

    def prompt_bound(self) -> int:
        """The prompt's tokens, at most."""
        return self.said.prompt_upper_bound()

    def user(self) -> str:
        """Whom a share is dealt by: the client's name for its user, else the caller."""
        named = self.headers.get(USER)
        return named.decode("utf-8", "replace") if named else self.said.user or self.caller

    def sticky(self, by: Literal["user", "conversation", "prefix"]) -> int:
        """64 bits that calls which belong together share, on every host; 0 when nothing tells."""
        if by == "user":
            return number_of(self.user())
        return self.said.conversation() if by == "conversation" else self.said.prefix()

    def tokens(self) -> tuple[int, int]:
        """The tokens of prompt and answer, guessed: to compare prices by."""
        prompt = -(-self.said.prompt_upper_bound() // BYTES_PER_TOKEN)
        if self.operation in _WORDLESS:
            return prompt, 0
        bound = self.said.max_tokens
        return prompt, (OUTPUT_TOKENS if bound is None else min(bound, MOST_TOKENS)) * self.said.n


class _Description:
    """A description as if it were a body."""

    __slots__ = ("_call", "max_tokens", "n", "stream", "user")

    def __init__(self, call: Described) -> None:
        self._call = call
        self.stream = call.stream
        self.user = call.user
        self.n = 1
        self.max_tokens = call.output_tokens

    def prompt_upper_bound(self) -> int:
        return self._call.prompt_tokens

    def needs(self) -> frozenset[Need]:
        return self._call.needs

    def metadata(self) -> dict[str, str]:
        return self._call.metadata

    def conversation(self) -> int:
        return 0  # nothing is said

    def prefix(self) -> int:
        return 0


def number_of(*words: str) -> int:
    """64 bits for some words, the same on every host and in every process, unlike Python's own hash."""
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def guessed_usd(rates: Rates, prompt_tokens: int, output_tokens: int) -> float:
    """What a call would cost in US dollars, without any of the prompt being cached."""
    return (rates.input * prompt_tokens + rates.output * output_tokens + rates.per_request) / 1e12
