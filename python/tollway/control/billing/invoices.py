"""Providers' own accounts of what was used: an export's bytes in, figures by day and model out. No I/O.

Understood are OpenAI's usage and costs (the JSON pages of ``/v1/organization/usage/…`` and ``/costs``, and the CSV of
its dashboard), Anthropic's usage and cost reports (the JSON pages of ``/v1/organizations/usage_report/messages`` and
``/cost_report``, and the CSV of its console), and a plain CSV with the columns ``day, model`` and any of
``requests, input_tokens, cached_tokens, cache_write_tokens, output_tokens, cost_usd``.

A file that is none of these, in whole or in part, raises ``InvalidRequest``: figures that are half read are wrong.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import msgspec

from tollway.errors import InvalidRequest

Form = Literal["openai", "anthropic", "csv"]

MOST_LINES = 500_000
LONGEST_NAME = 200
MOST_USD = Decimal(10**12)

Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of a day (UTC) and a model, in sum; ``None`` is what it does not say.

    ``model`` is empty where it does not split a day by model. ``input_tokens`` are all of the prompts', also those that
    were read from a cache or written to one.
    """

    day: date
    model: str = ""
    requests: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


class _Amount(msgspec.Struct):
    value: Decimal
    currency: str = "usd"


class _OpenAIResult(msgspec.Struct):
    amount: _Amount | None = None
    line_item: str | None = None
    model: str | None = None
    num_model_requests: Tokens | None = None
    input_tokens: Tokens | None = None
    input_cached_tokens: Tokens | None = None
    input_cache_write_tokens: Tokens | None = None
    output_tokens: Tokens | None = None


class _OpenAIBucket(msgspec.Struct):
    start_time: int
    results: list[_OpenAIResult]


class _OpenAIPage(msgspec.Struct):
    data: list[_OpenAIBucket]


class _CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: Tokens = 0
    ephemeral_5m_input_tokens: Tokens = 0


class _AnthropicResult(msgspec.Struct):
    amount: str | None = None
    currency: str | None = None
    model: str | None = None
    description: str | None = None
    uncached_input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: Tokens | None = None


class _AnthropicBucket(msgspec.Struct):
    starting_at: datetime
    results: list[_AnthropicResult]


class _AnthropicPage(msgspec.Struct):
    data: list[_AnthropicBucket]


def read_account(content: bytes, form: Form) -> list[Told]:
    """The figures of an export, summed by day and model, in that order.

    Raises:
        InvalidRequest: it is not understood; the message says where, and shows nothing of it.
    """
    text = _text(content)
    if form != "csv" and text.lstrip()[:1] in ("{", "["):
        found: Iterable[Told] = _openai_pages(text) if form == "openai" else _anthropic_pages(text)
    else:
        found = _csv_lines(text, _CSV_FORMS[form])
    sums: dict[tuple[date, str], Told] = {}
    for number, each in enumerate(found, 1):
        if number > MOST_LINES:
            raise InvalidRequest(f"The export has more than {MOST_LINES:,} lines; give it in parts.")
        key = (each.day, each.model)
        sums[key] = _checked(_added(sums[key], each) if key in sums else each)
    return [sums[key] for key in sorted(sums)]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The export is not UTF-8.") from error


def _pages(text: str, page: type[msgspec.Struct]) -> Sequence[object]:
    """A page, an array of pages, or a page on each line."""
    try:
        if text.lstrip().startswith("["):
            return msgspec.json.decode(text, type=list[page])  # type: ignore[valid-type]
        try:
            return [msgspec.json.decode(text, type=page)]
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return [msgspec.json.decode(line, type=page) for line in text.splitlines() if line.strip()]
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at ")[2][:100]
        raise InvalidRequest(f"The export's JSON is not a page of usage or costs, at {place}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest("The export is not JSON.") from error


def _openai_pages(text: str) -> Iterator[Told]:
    for page in _pages(text, _OpenAIPage):
        assert isinstance(page, _OpenAIPage)  # noqa: S101 -- for the type checker
        for bucket in page.data:
            day = _unix_day(bucket.start_time)
            yield from (_openai_told(day, result) for result in bucket.results)


def _openai_told(day: date, result: _OpenAIResult) -> Told:
    if result.amount is not None:
        cost = _dollars(result.amount.value, result.amount.currency)
        return Told(day=day, model=_of_line_item(result.line_item), cost_usd=cost)
    return Told(
        day=day,
        model=_name(result.model),
        requests=result.num_model_requests,
        input_tokens=result.input_tokens,
        cached_tokens=result.input_cached_tokens,
        cache_write_tokens=result.input_cache_write_tokens,
        output_tokens=result.output_tokens,
    )


def _of_line_item(line_item: str | None) -> str:
    """OpenAI's line items are ``gpt-4o-2024-08-06, cached input``: a model, and what of it."""
    return _name(None if line_item is None else line_item.rpartition(", ")[0] or line_item)


def _anthropic_pages(text: str) -> Iterator[Told]:
    for page in _pages(text, _AnthropicPage):
        assert isinstance(page, _AnthropicPage)  # noqa: S101 -- for the type checker
        for bucket in page.data:
            day = _iso_day(bucket.starting_at)
            yield from (_anthropic_told(day, result) for result in bucket.results)


def _anthropic_told(day: date, result: _AnthropicResult) -> Told:
    model = _name(result.model or (result.description if result.amount is not None else None))
    if result.amount is not None:
        cents = _dollars(_decimal(result.amount), result.currency or "USD")
        return Told(day=day, model=model, cost_usd=cents.scaleb(-2))
    parts = result.cache_creation or _CacheCreation()
    written = parts.ephemeral_1h_input_tokens + parts.ephemeral_5m_input_tokens
    read = result.cache_read_input_tokens or 0
    return Told(
        day=day,
        model=model,
        input_tokens=(result.uncached_input_tokens or 0) + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=result.output_tokens or 0,
    )


Cells = Mapping[str, str]


class _CsvForm(msgspec.Struct, frozen=True):
    """How the lines of a CSV are read: by the first reading whose columns it has."""

    readings: tuple[tuple[frozenset[str], Callable[[Cells], Told]], ...]


def _csv_lines(text: str, form: _CsvForm) -> Iterator[Told]:
    lines = csv.DictReader(io.StringIO(text), restkey="", restval="", strict=True)
    try:
        names = {(name or "").strip().lower() for name in lines.fieldnames or ()}
        reading = next((read for needed, read in form.readings if needed <= names), None)
        if reading is None:
            known = " or ".join(", ".join(sorted(needed)) for needed, _ in form.readings)
            raise InvalidRequest(f"The CSV lacks columns: it should have {known}.")
        for line in lines:
            cells = {name.strip().lower(): value.strip() for name, value in line.items() if isinstance(value, str)}
            try:
                if any(cells.values()):
                    yield reading(cells)
            except InvalidRequest as error:
                raise InvalidRequest(f"Line {lines.line_num:,}: {error.outside}") from error
    except csv.Error as error:
        raise InvalidRequest(f"Line {lines.line_num:,} is no line of a CSV.") from error


def _plain_line(cells: Cells) -> Told:
    return Told(
        day=_day(cells["day"]),
        model=_name(cells["model"]),
        requests=_count(cells, "requests"),
        input_tokens=_count(cells, "input_tokens"),
        cached_tokens=_count(cells, "cached_tokens"),
        cache_write_tokens=_count(cells, "cache_write_tokens"),
        output_tokens=_count(cells, "output_tokens"),
        cost_usd=_dollars(_decimal(cells["cost_usd"]), "usd") if cells.get("cost_usd") else None,
    )


def _openai_usage_line(cells: Cells) -> Told:
    return Told(
        day=_day(cells["start_time_iso"]),
        model=_name(cells["model"]),
        requests=_count(cells, "num_model_requests"),
        input_tokens=_count(cells, "input_tokens"),
        cached_tokens=_count(cells, "input_cached_tokens"),
        cache_write_tokens=_count(cells, "input_cache_write_tokens"),
        output_tokens=_count(cells, "output_tokens"),
    )


def _openai_cost_line(cells: Cells) -> Told:
    day = _day(cells["start_time_iso"])
    if not cells["amount_value"]:  # a day without costs has a line of its own
        return Told(day=day)
    cost = _dollars(_decimal(cells["amount_value"]), cells.get("amount_currency") or "usd")
    return Told(day=day, model=_of_line_item(cells.get("line_item") or None), cost_usd=cost)


def _anthropic_usage_line(cells: Cells) -> Told:
    written = sum(_count(cells, f"usage_input_tokens_cache_write_{lifetime}") or 0 for lifetime in ("5m", "1h"))
    read = _count(cells, "usage_input_tokens_cache_read") or 0
    return Told(
        day=_day(cells["usage_date_utc"]),
        model=_name(cells["model_version"]),
        input_tokens=(_count(cells, "usage_input_tokens_no_cache") or 0) + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=_count(cells, "usage_output_tokens") or 0,
    )


def _anthropic_cost_line(cells: Cells) -> Told:
    model = cells.get("model") or cells.get("cost_type") or ""
    return Told(
        day=_day(cells["usage_date_utc"]), model=_name(model), cost_usd=_dollars(_decimal(cells["cost_usd"]), "usd")
    )


_CSV_FORMS: Mapping[Form, _CsvForm] = {
    "csv": _CsvForm(((frozenset({"day", "model"}), _plain_line),)),
    "openai": _CsvForm(
        (
            (frozenset({"start_time_iso", "amount_value"}), _openai_cost_line),
            (frozenset({"start_time_iso", "model", "num_model_requests"}), _openai_usage_line),
        )
    ),
    "anthropic": _CsvForm(
        (
            (frozenset({"usage_date_utc", "cost_usd"}), _anthropic_cost_line),
            (frozenset({"usage_date_utc", "model_version", "usage_output_tokens"}), _anthropic_usage_line),
        )
    ),
}


def _added(one: Told, other: Told) -> Told:
    names = ("requests", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "cost_usd")
    return msgspec.structs.replace(one, **{name: _sum(getattr(one, name), getattr(other, name)) for name in names})


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _checked(told: Told) -> Told:
    if told.cost_usd is not None and abs(told.cost_usd) > MOST_USD:
        raise InvalidRequest("A cost is beyond a trillion dollars.")
    return told


def _name(text: str | None) -> str:
    name = (text or "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequest("A model's name is too long, or not printable.")
    return name


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise InvalidRequest("A cost is no number.") from error
    return value


def _dollars(value: Decimal, currency: str) -> Decimal:
    if currency.lower() != "usd":
        raise InvalidRequest("A cost is not in US dollars.")
    if not value.is_finite() or abs(value) > MOST_USD or (value and value.adjusted() < -30):
        raise InvalidRequest("A cost is no amount of money.")
    return value


def _count(cells: Cells, column: str) -> int | None:
    text = cells.get(column, "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise InvalidRequest(f"{column} is no count.")
    return int(text)


def _day(text: str) -> date:
    try:
        return _iso_day(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidRequest("A day is no date, as in 2027-01-31.") from error


def _iso_day(at: datetime) -> date:
    try:
        return (at if at.utcoffset() is None else at.astimezone(UTC)).date()
    except OverflowError as error:
        raise InvalidRequest("A day lies where no time is counted.") from error


def _unix_day(seconds: int) -> date:
    try:
        return datetime.fromtimestamp(seconds, UTC).date()
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidRequest("A bucket's start_time is no Unix time.") from error
