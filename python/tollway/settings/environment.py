"""The one place that reads the process environment; everything else is handed a mapping."""

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """A copy of the process environment, taken when called."""
    return dict(os.environ)  # noqa: TID251 - the one reader the ban speaks of
