import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tollway import __version__
from tollway.telemetry.catalogue import CATALOGUE
from tollway.telemetry.metrics import MOST_KINDS, Metrics, forget, prepare
from tollway.telemetry.readings import Reading

Opened = Callable[[str], Metrics]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "metrics"
    prepare(directory)
    return directory


@pytest.fixture
def opened(directory: Path) -> Iterator[Opened]:
    """Opens metrics of a named process in the directory; the test's end closes them."""
    with ExitStack() as stack:
        yield lambda process: stack.enter_context(closing(Metrics(directory, process)))


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample of the exposition: name and sorted label values to number."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def every_event(metrics: Metrics) -> None:
    metrics.entered()
    metrics.left()
    metrics.authenticated("known")
    metrics.retried("m", "fail_over")
    metrics.breaker_changed("openai/m", "open")
    metrics.key_set_aside("openai", "one")
    metrics.limited("requests")
    metrics.queued("admitted")
    metrics.budget_passed("month")
    metrics.shadowed("mini", "answered")
    metrics.looked_up("mini", "exact")
    metrics.embedded("minilm", "answered")
    metrics.filled("kept")
    metrics.saved("mini", 1_500_000_000_000)
    metrics.holds_answers(12, 3_456)
    metrics.found("input", "pii", "email", "redact", 2)
    metrics.blocked("output", "pii")
    metrics.asked("names", "answered")
    metrics.answered("mini", "openai", "ok", "none", 1.5, 0.0004, 0.3)
    metrics.refused("invalid_api_key")
    metrics.settled(
        "mini",
        "openai",
        prompt_tokens=10,
        completion_tokens=20,
        cached_tokens=4,
        reasoning_tokens=5,
        cost_picousd=2_500_000_000_000,
    )
    metrics.settled("free", "local", prompt_tokens=1, completion_tokens=1, cost_picousd=None)
    metrics.follows_snapshot(7)
    metrics.shipped(3)
    metrics.journal(4096, 12, 2**30)
    metrics.dropped_row()
    metrics.dropped_log_lines(9)
    metrics.worker_restarted()
    metrics.redis_connected(connected=True)
    metrics.unheard("garbled", 2)


def test_kinds_that_others_invent_are_counted_together_beyond_a_bound(opened: Opened) -> None:
    metrics = opened("worker-0")
    for number in range(MOST_KINDS + 50):
        metrics.found("input", "webhook", f"kind-{number}", "flag")
    metrics.found("input", "webhook", "kind-0", "flag")
    found = {key[-1]: count for key, count in values(metrics).items() if key[0] == "tollway_guardrail_findings_total"}
    assert len(found) == MOST_KINDS + 1
    assert (found["kind-0"], found["other"]) == (2, 50)


def test_every_event_is_counted_where_it_belongs(opened: Opened) -> None:
    metrics = opened("worker-0")
    every_event(metrics)
    found = values(metrics)
    expected = {
        ("tollway_requests_total", "none", "mini", "ok", "openai"): 1,
        ("tollway_requests_total", "invalid_api_key", "none", "refused", "none"): 1,
        ("tollway_tokens_total", "prompt", "mini", "openai"): 10,
        ("tollway_tokens_total", "completion", "mini", "openai"): 20,
        ("tollway_tokens_total", "cached", "mini", "openai"): 4,
        ("tollway_tokens_total", "reasoning", "mini", "openai"): 5,
        ("tollway_cost_usd_total", "mini", "openai"): 2.5,
        ("tollway_unpriced_total", "free"): 1,
        ("tollway_limited_total", "requests"): 1,
        ("tollway_cache_lookups_total", "mini", "exact"): 1,
        ("tollway_cache_fills_total", "kept"): 1,
        ("tollway_cache_saved_usd_total", "mini"): 1.5,
        ("tollway_cache_entries",): 12,
        ("tollway_cache_bytes",): 3_456,
        ("tollway_guardrail_findings_total", "redact", "pii", "input", "email"): 2,
        ("tollway_guardrail_blocked_total", "pii", "output"): 1,
        ("tollway_auth_total", "known"): 1,
        ("tollway_in_flight",): 0,
        ("tollway_snapshot_version",): 7,
        ("tollway_usage_shipped_total",): 3,
        ("tollway_journal_bytes",): 4096,
        ("tollway_journal_pending_rows",): 12,
        ("tollway_log_lines_dropped_total",): 9,
        ("tollway_worker_restarts_total",): 1,
        ("tollway_redis_connected",): 1,
        ("tollway_neighbour_messages_dropped_total", "garbled"): 2,
        ("tollway_build_info", __version__): 1,
        ("tollway_request_duration_seconds_count", "mini", "openai"): 1,
        ("tollway_request_duration_seconds_sum", "mini", "openai"): 1.5,
        ("tollway_request_duration_seconds_bucket", "1.0", "mini", "openai"): 0,
        ("tollway_request_duration_seconds_bucket", "2.5", "mini", "openai"): 1,
        ("tollway_request_duration_seconds_bucket", "+Inf", "mini", "openai"): 1,
        ("tollway_added_latency_seconds_bucket", "0.0003"): 0,
        ("tollway_added_latency_seconds_bucket", "0.0005"): 1,
        ("tollway_first_token_seconds_sum", "mini", "openai"): 0.3,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_every_metric_of_the_catalogue_is_exposed_with_its_kind_labels_and_meaning(opened: Opened) -> None:
    metrics = opened("worker-0")
    every_event(metrics)
    of_host = [Reading(family, family.labels, 1.0) for family in CATALOGUE if family.merge == "host"]
    text = metrics.exposition(of_host).decode()
    exposed = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(exposed) == len(CATALOGUE)
    for family in CATALOGUE:
        found = exposed[family.name.removesuffix("_total") if family.kind == "counter" else family.name]
        assert (found.type, found.documentation) == (family.kind, family.meaning)
        assert all(set(sample.labels) - {"le"} == set(family.labels) for sample in found.samples)


def test_metrics_without_labels_are_there_before_anything_happens(opened: Opened) -> None:
    found = values(opened("supervisor"))
    assert found["tollway_usage_shipped_total",] == 0
    assert found["tollway_added_latency_seconds_count",] == 0
    assert ("tollway_snapshot_version",) not in found
    assert ("tollway_redis_connected",) not in found


def test_a_value_on_a_bound_falls_into_its_bucket(opened: Opened) -> None:
    metrics = opened("worker-0")
    metrics.answered("m", "p", "ok", "none", 600.0, 0.0001)
    metrics.answered("m", "p", "ok", "none", 600.1, 0.9)
    found = values(metrics)
    assert found["tollway_request_duration_seconds_bucket", "600.0", "m", "p"] == 1
    assert found["tollway_request_duration_seconds_bucket", "+Inf", "m", "p"] == 2
    assert found["tollway_added_latency_seconds_bucket", "0.0001"] == 1
    assert found["tollway_added_latency_seconds_count",] == 2


def test_the_sum_is_over_all_processes_and_the_snapshot_is_the_oldest(opened: Opened) -> None:
    first, second = opened("worker-0"), opened("worker-1")
    for metrics, version in ((first, 5), (second, 4)):
        metrics.entered()
        metrics.authenticated("known")
        metrics.follows_snapshot(version)
    found = values(first)
    assert found == values(second)
    assert found["tollway_in_flight",] == 2
    assert found["tollway_auth_total", "known"] == 2
    assert found["tollway_snapshot_version",] == 4
    assert found["tollway_build_info", __version__] == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from tollway.telemetry.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]), "worker-0")
metrics.entered()
metrics.authenticated("known")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_worker_leaves_its_counts_and_no_requests_in_flight(directory: Path, opened: Opened) -> None:
    supervisor = opened("supervisor")
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", KILLED, str(directory)], timeout=60).returncode == -9
    assert values(supervisor)["tollway_in_flight",] == 1
    forget(directory, "worker-0")
    assert values(supervisor)["tollway_in_flight",] == 0
    successor = opened("worker-0")
    successor.authenticated("known")
    assert values(supervisor)["tollway_auth_total", "known"] == 4


def test_respawned_workers_do_not_gather_files(directory: Path) -> None:
    def files() -> set[str]:
        return set(os.listdir(directory))

    Metrics(directory, "worker-0").close()
    before = files()
    for _ in range(20):
        Metrics(directory, "worker-0").close()
    assert files() == before


def test_a_closed_process_keeps_its_counters_in_the_sum(opened: Opened) -> None:
    worker, supervisor = opened("worker-0"), opened("supervisor")
    worker.entered()
    worker.limited("tokens")
    worker.close()
    found = values(supervisor)
    assert found["tollway_in_flight",] == 0
    assert found["tollway_limited_total", "tokens"] == 1


def test_a_new_start_begins_at_zero(directory: Path, opened: Opened) -> None:
    opened("worker-0").shipped(5)
    prepare(directory)
    assert values(opened("worker-0"))["tollway_usage_shipped_total",] == 0


def test_a_thousand_models_fit(opened: Opened) -> None:
    metrics = opened("worker-0")
    for number in range(1000):
        metrics.answered(f"model-{number}", "openai", "ok", "none", 0.1, 0.0001, 0.05)
    found = values(metrics)
    assert all(
        found["tollway_requests_total", "none", f"model-{number}", "ok", "openai"] == 1 for number in range(1000)
    )
    assert found["tollway_added_latency_seconds_count",] == 1000


def test_threads_lose_no_count(opened: Opened) -> None:
    metrics = opened("worker-0")

    def count() -> None:
        for _ in range(5000):
            metrics.shipped(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(metrics)["tollway_usage_shipped_total",] == 20_000


def test_redis_is_connected_when_it_is_for_every_worker(opened: Opened) -> None:
    first, second, _supervisor = opened("worker-0"), opened("worker-1"), opened("supervisor")
    first.redis_connected(connected=True)
    second.redis_connected(connected=False)
    assert values(first)["tollway_redis_connected",] == 0
    second.redis_connected(connected=True)
    assert values(first)["tollway_redis_connected",] == 1


def test_a_name_that_the_file_format_would_split_is_refused(directory: Path) -> None:
    with pytest.raises(ValueError, match="no underscore"):
        Metrics(directory, "worker_0")


def test_lines_that_the_log_drops_after_the_end_do_no_harm(opened: Opened) -> None:
    metrics = opened("worker-0")
    metrics.close()
    metrics.dropped_log_lines(1)
