from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tollway.telemetry.catalogue import TARGET_IN_FLIGHT, TARGET_STATE
from tollway.telemetry.metrics import Metrics, prepare
from tollway.telemetry.readings import Reading, Readings


def test_readings_of_a_family_stand_together_whatever_order_they_come_in() -> None:
    readings = [
        Reading(TARGET_STATE, ("a/b", "open"), 1),
        Reading(TARGET_IN_FLIGHT, ("a/b",), 3),
        Reading(TARGET_STATE, ("a/c", "open"), 0),
    ]
    state, in_flight = Readings(readings).collect()
    assert [sample.labels for sample in state.samples] == [
        {"target": "a/b", "state": "open"},
        {"target": "a/c", "state": "open"},
    ]
    assert [sample.value for sample in in_flight.samples] == [3]


def test_readings_hold_for_the_host_however_many_workers_there_are(tmp_path: Path) -> None:
    prepare(tmp_path / "metrics")
    workers = [Metrics(tmp_path / "metrics", f"worker-{index}") for index in range(3)]
    for worker in workers:
        text = worker.exposition([Reading(TARGET_IN_FLIGHT, ('odd"/model\n',), 5)]).decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        (sample,) = families["tollway_target_in_flight"].samples
        assert (sample.labels, sample.value) == ({"target": 'odd"/model\n'}, 5)
        assert families["tollway_build_info"].samples, "what processes count is there beside them"
    for worker in workers:
        worker.close()
