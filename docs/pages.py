"""Makes the pages of this folder that are tables of the code: ``make docs``. A test holds them to it."""

from pathlib import Path
from typing import get_args

from docs.verdicts import HEADINGS, cells
from docs.verdicts import ROWS as FAILURES

from tollway._native.pii import ENTITIES, MEANINGS
from tollway.contract.snapshot import OPERATIONS, Operation, ProviderKind, serves
from tollway.control.publish import BASE_URLS
from tollway.errors import GatewayError, every_error
from tollway.proxy.causes import Cause
from tollway.proxy.providers.capabilities import DEFAULTS, ROWS, Takes
from tollway.proxy.providers.openai.presets import PRESETS
from tollway.telemetry.catalogue import CATALOGUE

HERE = Path(__file__).parent
_NONE = "\N{EN DASH}"
_MADE = "<!-- Made by `make docs` from {source}: change it there. -->"


def metrics() -> str:
    """Every metric of ``/metrics``."""
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | {family.meaning} |"
        for family in CATALOGUE
    ]
    return _page(
        _MADE.format(source="python/tollway/telemetry/catalogue.py"),
        "# Metrics",
        "",
        "`GET /metrics` answers in Prometheus' text format: totals over all workers of the host. Counters survive the",
        "restart of a worker and begin at zero with the gateway. Labels hold names from the configuration or words of",
        "fixed lists, never a client's text. What is told of targets and keys is the host's, whichever worker answers.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
        *rows,
    )


def errors() -> str:
    """Every error a client can meet."""
    rows = [
        f"| {kind.status} | `{kind.code}` | `{kind.type}` | {'yes' if kind.retryable else 'no'} | {_meaning(kind)} |"
        for kind in sorted(raised_errors(), key=lambda kind: kind.status)
    ]
    return _page(
        _MADE.format(source="python/tollway/errors.py"),
        "# Errors",
        "",
        "Errors come in the envelope of the dialect that was asked in. Below `/v1/messages` it is Anthropic's,",
        '`{"type": "error", "error": {"type", "message"}, "request_id"}`, with its own word for the status; elsewhere',
        'OpenAI\'s, `{"error": {"message", "type", "param", "code"}}`. `x-request-id` (for Anthropic\'s clients also',
        "`request-id`) is what the log has the rest by. `retry-after` (seconds) says when a retry may help;",
        "`x-should-retry: false` says that none will.",
        "",
        "| status | code | type | may a retry help? | meaning |",
        "|---|---|---|---|---|",
        *rows,
    )


def providers() -> str:
    """Every kind of provider, what it can be asked for, and what its refusals become."""
    operations = [
        operation for operation in get_args(Operation) if any(operation in served for served in OPERATIONS.values())
    ]
    rows = [
        f"| `{kind}` | {'`' + BASE_URLS[kind] + '`' if kind in BASE_URLS else _NONE} | "
        + " | ".join("yes" if operation in served else _NONE for operation in operations)
        + " |"
        for kind, served in OPERATIONS.items()
    ]
    causes = [
        f"| `{cause.value}` | {cause.effect.status} | `{cause.effect.type}` | "
        f"{f'`{cause.effect.code}`' if cause.effect.code else _NONE} | {cause.effect.handling.replace('_', ' ')} |"
        for cause in Cause
    ]
    return _page(
        _MADE.format(source="python/tollway/contract/snapshot.py and python/tollway/proxy/causes.py"),
        "# Providers",
        "",
        "What each kind can be asked for. Whether a model of it can is the model's to say. An address in `base_url`",
        "takes the place of the kind's own.",
        "",
        f"| kind | address | {' | '.join(operations)} |",
        "|---|---|" + "---|" * len(operations),
        *rows,
        "",
        "`anthropic`, `google`, `vertex` and `bedrock` are spoken to in their own protocols and answer as OpenAI's",
        "chat. A field that they can't take is dropped and named in `x-tollway-warnings` (`dropped:seed`); with",
        "`x-tollway-strict: true` the request is refused instead. Images and files that a request names by address are",
        "fetched here for Google's and Amazon's, from public hosts only: 8 addresses, 20 MiB and 10 s a request; no",
        "redirect is followed. What only Converse knows (`guardrailConfig`, `performanceConfig`, `requestMetadata`, …)",
        "goes into `extra_content.bedrock`.",
        "",
        "## Refusals",
        "",
        "Their refusals come down to a cause, whatever shape their bodies have. The client reads the provider's own",
        "words, but for secrets, in its own dialect's envelope; a body that is in that dialect already passes.",
        "",
        "| cause | status | type | code | then |",
        "|---|---|---|---|---|",
        *causes,
    )


def raised_errors() -> list[type[GatewayError]]:
    """The tree without its root and branches, which are there to be caught."""
    return [
        error for error in every_error() if not (error.__subclasses__() and error.__base__ in (Exception, GatewayError))
    ]


def support_matrix() -> str:
    """Which client reaches which provider, how, and what its models can take."""
    operations = [each for each in get_args(Operation) if any(serves(kind, each) for kind in OPERATIONS)]
    reach = [
        f"| `{kind}` | " + " | ".join(_way(kind, operation) for operation in operations) + " |" for kind in OPERATIONS
    ]
    takes = [_taken(f"`{kind}`", takes) for kind, takes in DEFAULTS.items()]
    models = [
        f"| `{kind}` | {row.name} | {', '.join(_change(name, value) for name, value in row.changes.items())} |"
        for kind, rows in ROWS.items()
        if kind != "azure"  # as openai
        for row in rows
    ]
    return _page(
        _MADE.format(source="python/tollway/contract/snapshot.py and python/tollway/proxy/providers/capabilities.py"),
        "# Support matrix",
        "",
        "How a client's call reaches a provider. *passes*: client and provider speak the same dialect, and the body is",
        "passed on with only the model's name and what has to be put right for the provider changed.",
        "*translated*: it is said in the provider's dialect, whole or as a stream, and so is the answer.",
        "*counted*: the provider counts a translated request where it can, else its tokens are counted here. A dash:",
        "it can't be asked there.",
        "",
        "`chat` is `/v1/chat/completions`, `messages` and `count_tokens` are Anthropic's, `responses` is OpenAI's.",
        "Rerank, images, audio and moderations are built from the providers' published schemas; no recorded call",
        "stands behind them.",
        "",
        f"| kind | {' | '.join(operations)} |",
        "|---|" + "---|" * len(operations),
        *reach,
        "",
        "## What models take",
        "",
        "A translated request is held to what its target takes. What it can't take is dropped and named in",
        "`x-tollway-warnings` (`dropped:seed`); with `x-tollway-strict: true` the request is refused with 400 instead.",
        "A model that no row knows takes everything, and its provider says what it does not. `takes`, beside a target",
        "in the configuration, overrules the table. `anthropic`, `google`, `vertex` and `bedrock` read more off the",
        "model's name.",
        "",
        "| kind | " + " | ".join(_SHOWN.values()) + " |",
        "|---|" + "---|" * len(_SHOWN),
        *takes,
        "",
        "## Models that differ",
        "",
        "`azure` is as `openai`, where the name of the deployment tells the model. Later rows change earlier ones.",
        "",
        "| kind | models | what differs |",
        "|---|---|---|",
        *models,
    )


def _way(kind: ProviderKind, operation: Operation) -> str:
    if not serves(kind, operation):
        return _NONE
    is_own = operation in OPERATIONS[kind] and (operation not in ("chat", "embeddings") or kind in PRESETS)
    if operation == "count_tokens" and not is_own:
        return "counted"
    return "passes" if is_own else "translated"


_SHOWN = {
    "images": "images",
    "image_urls": "image URLs",
    "documents": "documents",
    "audio": "audio",
    "tools": "tools",
    "tool_choice": "tool choice",
    "parallel_switch": "parallel switch",
    "json_schema": "JSON schema",
    "seed": "seed",
    "many": "n > 1",
    "stop": "stop",
    "efforts": "effort",
}
"""Fields of ``Takes`` and what they are called on the page."""


def _taken(name: str, takes: Takes) -> str:
    return f"| {name} | " + " | ".join(_value(getattr(takes, field)) for field in _SHOWN) + " |"


def _value(value: object) -> str:
    match value:
        case None:
            return "any"
        case bool():
            return "yes" if value else _NONE
        case ():
            return "none"
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return f"{value:,}" if isinstance(value, int) else str(value)


def _change(field: str, value: object) -> str:
    return f"{_SHOWN.get(field, field.replace('_', ' '))}: {'no' if value is False else _value(value)}"


def routing() -> str:
    """What follows when a provider fails."""
    return _page(
        _MADE.format(source="python/tollway/proxy/routing/verdict.py and docs/verdicts.py"),
        "# Routing: what follows when a provider fails",
        "",
        "*Retry*: the same target may be asked again for this request, once all others have been, and after a pause of",
        "random length. *Fail over*: another target is asked, at once. *Cool*: the target, or the key that it was",
        "asked with, is left alone for as long as the provider says, by all requests of all hosts; where it does not",
        "say, it is asked after all others for a while, and with nobody else to ask the client hears the provider's",
        "own word. One of several keys is not used at all meanwhile. *Counts*: it is a failure of the target, which",
        "its breaker counts, once for each request. *Return*: what the client gets.",
        "",
        "Every call beyond the first is within the route's `retries` (attempts, and a share of its calls), and leaves",
        "before the request's deadline. Once the first byte of an answer has been sent to the client, nobody else is",
        "asked: a stream that breaks then ends in an error event.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|" + "---|" * len(HEADINGS),
        *(f"| {' | '.join(cells(row))} |" for row in FAILURES),
        "",
        "A connection that the provider had closed while it was idle is no failure: nobody has seen the request, and",
        "it goes over a new one. A provider that says `x-should-retry: false` is not asked the same again, whatever",
        "the row says. A form whose body has begun to leave, and a response in the background, are not sent twice.",
    )


def personal_data() -> str:
    """What the check `pii` knows."""
    return _page(
        _MADE.format(source="rust/core/src/pii/entity.rs"),
        "# Personal data",
        "",
        "The check `pii` finds these in any text, without asking anybody. Each is read by its form, by its check",
        "digits if it has some, and by the words beside it: `44051401359` in a sentence is any number, after",
        "*PESEL* it is a Polish one, after *order* it is none. A finding has a confidence, 0 to 100 %; a policy",
        "acts on those from its `threshold` on (0.5 unless given). Passports, licence plates, postcodes and bank",
        "accounts are believed only with a word that claims them. A text that is nothing but a number counts as the",
        "answer to a question: then the most likely of its readings stands. Names and addresses need a model: see",
        "the check `presidio`.",
        "",
        "All of them are looked for unless `entities` names some. The placeholder of `redact` is the name in capitals:",
        "`[CREDIT_CARD]`.",
        "",
        "| entity | what it is |",
        "|---|---|",
        *(f"| `{entity}` | {MEANINGS[entity]} |" for entity in ENTITIES),
    )


PAGES = {
    "personal-data.md": personal_data,
    "metrics.md": metrics,
    "errors.md": errors,
    "providers.md": providers,
    "support-matrix.md": support_matrix,
    "routing.md": routing,
}


def _meaning(error: type[GatewayError]) -> str:
    summary, *_ = (error.__doc__ or "").split("\n\n")
    return " ".join(summary.split()).replace("``", "`")


def _page(*lines: str) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
