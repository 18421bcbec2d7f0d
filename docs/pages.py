"""Makes the pages of this folder that are tables of the code: ``make docs``. A test holds them to it."""

from pathlib import Path

from tollway.errors import GatewayError, every_error
from tollway.telemetry.catalogue import CATALOGUE

HERE = Path(__file__).parent
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


def raised_errors() -> list[type[GatewayError]]:
    """The tree without its root and branches, which are there to be caught."""
    return [
        error for error in every_error() if not (error.__subclasses__() and error.__base__ in (Exception, GatewayError))
    ]


PAGES = {"metrics.md": metrics, "errors.md": errors}


def _meaning(error: type[GatewayError]) -> str:
    summary, *_ = (error.__doc__ or "").split("\n\n")
    return " ".join(summary.split()).replace("``", "`")


def _page(*lines: str) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
