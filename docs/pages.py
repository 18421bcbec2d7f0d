"""Makes the pages of this folder that are tables of the code: ``make docs``. A test holds them to it."""

from pathlib import Path
from typing import get_args

from tollway.contract.snapshot import OPERATIONS, Operation
from tollway.control.publish import BASE_URLS
from tollway.errors import GatewayError, every_error
from tollway.proxy.causes import Cause
from tollway.telemetry.catalogue import CATALOGUE

HERE = Path(__file__).parent
_NONE = "\N{EN DASH}"
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
        "fixed lists, never a client's text.",
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
        'Errors of the data plane come in OpenAI\'s envelope, `{"error": {"message", "type", "param", "code"}}`, with',
        "`x-request-id`, by which the log has the rest. `retry-after` (seconds) says when a retry may help;",
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
        "`anthropic`, `google` and `bedrock` are spoken to in their own protocols and answer as OpenAI's chat. A field",
        "that they can't take is dropped and named in `x-tollway-warnings` (`dropped:seed`); with",
        "`x-tollway-strict: true` the request is refused instead. `google` and `bedrock` do not fetch images from the",
        "web: send them inline, as data URLs. What only Converse knows (`guardrailConfig`, `performanceConfig`,",
        "`requestMetadata`, …) goes into `extra_content.bedrock`.",
        "",
        "## Refusals",
        "",
        "Their refusals come down to a cause. The client reads the provider's own words in OpenAI's envelope; refusals",
        "of providers that speak OpenAI's dialect pass as they are.",
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


PAGES = {"metrics.md": metrics, "errors.md": errors, "providers.md": providers}


def _meaning(error: type[GatewayError]) -> str:
    summary, *_ = (error.__doc__ or "").split("\n\n")
    return " ".join(summary.split()).replace("``", "`")


def _page(*lines: str) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
