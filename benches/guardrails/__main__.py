"""How well guardrails find, and how fast: ``make bench-guardrails``. Prints a table for each detector.

python -m benches.guardrails [--data DIRECTORY] [SECTION…]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from benches.guardrails.content import report as content
from benches.guardrails.developers import report as developers
from benches.guardrails.injection import report as injection
from benches.guardrails.pii import report as pii
from benches.guardrails.secrets import report as secrets
from benches.guardrails.speed import report as speed
from benches.guardrails.streams import report as streams

SECTIONS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "injection": ("Injection and jailbreak", injection),
    "pii": ("Personal data", pii),
    "secrets": ("Secrets", secrets),
    "content": ("Topics", content),
    "developers": ("Developers at work, all checks on", developers),
    "speed": ("Speed of the detectors", speed),
    "streams": ("Streams with output screening", streams),
}


def main() -> None:
    """Prints the sections asked for; all of them unless some are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/guardrails"), help="the development sets")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    asked = parser.parse_args()
    unknown = set(asked.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if not asked.data.is_dir():
        parser.error(f"{asked.data} is no directory: name that of the development sets with --data")
    for name in asked.sections or SECTIONS:
        heading, report = SECTIONS[name]
        print(f"## {heading}\n\n{report(asked.data)}\n", flush=True)


if __name__ == "__main__":
    main()
