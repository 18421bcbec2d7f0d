"""A log and metrics that can be read back."""

import json
import os
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tollway.telemetry.logs import Log, open_log
from tollway.telemetry.metrics import Metrics


class Recording:
    """A log of every level that writes into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._is_open = True
        self.log: Log = open_log("debug", descriptor=self._descriptor)

    def lines(self) -> list[dict[str, Any]]:
        """All that was written; nothing more is."""
        self.close()
        return [json.loads(line) for line in self._path.read_bytes().splitlines()]

    def events(self) -> list[str]:
        """The names of all that was written; nothing more is."""
        return [line["event"] for line in self.lines()]

    def close(self) -> None:
        """Ends it."""
        if self._is_open:
            self._is_open = False
            self.log.close()
            os.close(self._descriptor)


def counted(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """A metric's values, by its labels' values in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }
