from tollway.telemetry.catalogue import CATALOGUE


def test_names_are_unique_and_follow_prometheus() -> None:
    names = [family.name for family in CATALOGUE]
    assert len(set(names)) == len(names)
    for family in CATALOGUE:
        assert family.name.startswith("tollway_")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert bool(family.buckets) == (family.kind == "histogram")


def test_buckets_rise() -> None:
    for family in CATALOGUE:
        assert list(family.buckets) == sorted(set(family.buckets))


def test_labels_hold_nothing_a_client_chooses() -> None:
    bounded = {"model", "provider", "target", "key", "state", "outcome", "code", "kind", "action", "result"}
    bounded |= {"version", "direction", "check", "period", "embedder"}
    assert {label for family in CATALOGUE for label in family.labels} <= bounded
