"""Gauges that nobody counts: they are read when ``/metrics`` is, by whichever process answers, and hold for the host.

In: readings. Out: a collector for the exposition. Unlike what processes count, readings are never added up.
"""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tollway.telemetry.catalogue import Family


class Reading(msgspec.Struct, frozen=True):
    """One number of a gauge; ``labels`` are the values, in the order of the family's names."""

    family: Family
    labels: tuple[str, ...]
    number: float


class Readings(Collector):
    """Readings as prometheus-client takes them."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A family each, with its readings together, as the format asks for."""
        found: dict[str, GaugeMetricFamily] = {}
        for reading in self._readings:
            family = reading.family
            gauge = found.get(family.name)
            if gauge is None:
                gauge = found[family.name] = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
            gauge.add_metric(reading.labels, reading.number)
        yield from found.values()
