"""Limits of one scope: of every kind and window, and not more than a call has room for."""

import pytest
from tests.settings.marked import only_fault

from tollway.contract.limits import LIMIT_FIELDS, LimitValues
from tollway.contract.limits import MOST_LIMITS as OF_CONTRACT
from tollway.settings import LimitSettings, read
from tollway.settings.limit_checks import MOST_LIMITS, count_of

NAMES = [field for field, _, _ in LIMIT_FIELDS]


def written(count: int) -> str:
    return "{" + ", ".join(f"{name}: {at + 1}" for at, name in enumerate(NAMES[:count])) + "}"


def test_every_limit_of_the_contract_can_be_written_and_no_other() -> None:
    assert sorted(LimitSettings.__struct_fields__) == sorted(LimitValues.__struct_fields__) == sorted(NAMES)
    assert MOST_LIMITS == OF_CONTRACT


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_of_any_kind_and_window_is_read(name: str) -> None:
    limits = read(f"version: 1\nlimits: {{one: {{{name}: 7}}}}", {}).limits["one"]
    assert (getattr(limits, name), count_of(limits)) == (7, 1)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("limits: {a: §%s}", "limits.a"),
        ("tenants: {a: {limits: §%s}}", "tenants.a.limits"),
        ("tenants: {a: {keys: {b: {key: abcdefghijklmnop1, limits: §%s}}}}", "tenants.a.keys.b.limits"),
        (
            "providers: {p: {kind: openai, keys: [{name: k, api_key: key-a, limits: §%s}]}}",
            "providers.p.keys[0].limits",
        ),
    ],
)
def test_a_scope_with_more_limits_than_fit_is_a_fault_wherever_it_stands(text: str, path: str) -> None:
    read("version: 1\n" + text.replace("§", "") % written(MOST_LIMITS), {})
    assert only_fault("version: 1\n" + text % written(MOST_LIMITS + 1)) == (path, "has 9 limits; 8 are the most")


@pytest.mark.parametrize(("name", "most"), [("tpm", 10**9), ("tpd", 10**12), ("output_tph", 10**12)])
def test_tokens_of_hours_and_days_may_be_more(name: str, most: int) -> None:
    read(f"version: 1\nlimits: {{a: {{{name}: {most}}}}}", {})
    path, _ = only_fault(f"version: 1\nlimits: {{a: {{{name}: §{most + 1}}}}}")
    assert path == f"limits.a.{name}"
