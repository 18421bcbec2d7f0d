"""The words of ``models``: what they become, and every fault with its place."""

from typing import get_args

import msgspec
import pytest
from tests.settings.marked import only_fault

from tollway.contract import routing as contract
from tollway.contract.snapshot import Overrule, Timeouts
from tollway.settings import (
    FallbackSettings,
    HedgeSettings,
    ModelSettings,
    RetriesSettings,
    RuleSettings,
    ShadowSettings,
    TakesSettings,
    TimeoutSettings,
    WhenSettings,
    decode,
    encode,
    read,
)
from tollway.settings.routing import Need, Strategy

BASE = """\
version: 1
providers:
  a: {kind: vllm, base_url: "http://a.test"}
  b: {kind: vllm, base_url: "http://b.test"}
models:
  small: {targets: [{provider: b, model: small}]}
  m:
    targets: [{provider: a, model: m, tags: [eu, stable]}, {provider: b, model: m, tags: [canary]}]
"""
NO_TARGETS = BASE[: BASE.rindex("    targets")]


def model(more: str, base: str = BASE) -> ModelSettings:
    loaded = read(f"{base}    {more}\n", {})
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"
    return loaded.models["m"]


def fault(more: str, base: str = BASE) -> tuple[str, str]:
    path, message = only_fault(f"{base}    {more}\n")
    return path.removeprefix("models.m."), message


def test_nothing_said_is_one_weighted_draw_with_retries_and_nothing_more() -> None:
    assert read(BASE, {}).models["m"] == ModelSettings(targets=read(BASE, {}).models["m"].targets)
    assert model("strategy: weighted").rules == ()
    assert model("strategy: weighted").hedge is None


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_every_strategy_is_read(strategy: Strategy) -> None:
    assert model(f"strategy: {strategy}").strategy == strategy


def test_settings_and_contract_speak_of_the_same_strategies_and_needs() -> None:
    # They can't import each other: the contract is above the settings.
    assert get_args(Strategy) == get_args(contract.Strategy)
    assert set(get_args(Need)) == set(get_args(contract.Need))
    assert set(FallbackSettings.__struct_fields__) == set(get_args(contract.FallbackCause))
    assert TakesSettings.__struct_fields__ == Overrule.__struct_fields__


def test_settings_and_contract_have_the_same_defaults() -> None:
    asdict = msgspec.structs.asdict
    assert asdict(RetriesSettings()) == asdict(contract.Retries())
    assert asdict(HedgeSettings()) == asdict(contract.Hedge()) | {"after_s": "p95"}
    assert asdict(TimeoutSettings()) == asdict(Timeouts())


def test_a_target_has_a_priority_tags_and_may_wait_behind_the_others() -> None:
    first, second = model(
        "targets: [{provider: a, model: m}, {provider: b, model: m, weight: 0, priority: 2, tags: [eu, gpu:h100]}]",
        NO_TARGETS,
    ).targets
    assert (first.weight, first.priority, first.tags) == (1, 1, ())
    assert (second.weight, second.priority, second.tags) == (0, 2, ("eu", "gpu:h100"))


def test_sticky_may_say_by_what() -> None:
    assert model("strategy: sticky").sticky_by is None
    for by in ("user", "conversation", "prefix"):
        assert model(f"strategy: sticky\n    sticky_by: {by}").sticky_by == by


def test_rules_are_read_in_their_order() -> None:
    eu, canary, rest = model(
        """rules:
      - name: eu
        when:
          tenant: [acme]
          header: {X-Region: [eu, eea]}
          metadata: {team: ["", search]}
          needs: [vision, tools]
          tokens_over: 0
          tokens_up_to: 100_000
        to: [eu]
      - {name: canary, share: 0.5%, to: [canary]}
      - {name: rest, to: [stable, canary]}"""
    ).rules
    assert eu == RuleSettings(
        name="eu",
        when=WhenSettings(
            tenant=("acme",),
            header={"X-Region": ("eu", "eea")},
            metadata={"team": ("", "search")},
            needs=("vision", "tools"),
            tokens_over=0,
            tokens_up_to=100_000,
        ),
        to=("eu",),
    )
    assert canary == RuleSettings(name="canary", share=0.005, to=("canary",))
    assert rest == RuleSettings(name="rest", to=("stable", "canary"))


def test_retries_are_read() -> None:
    assert model("retries: {attempts: 1, budget: 100%, backoff: 0s, max_backoff: 500ms}").retries == RetriesSettings(
        attempts=1, budget=1.0, backoff_s=0.0, max_backoff_s=0.5
    )


def test_fallbacks_are_a_list_or_lists_by_cause_and_may_go_round_in_circles() -> None:
    assert model("fallbacks: [small, m]").fallbacks == ("small", "m")
    assert model("fallbacks: {}").fallbacks == FallbackSettings()
    assert model(
        "fallbacks: {error: [m], rate_limit: [small], context_window: [small, m], content_policy: []}"
    ).fallbacks == FallbackSettings(error=("m",), rate_limit=("small",), context_window=("small", "m"))


@pytest.mark.parametrize(("written", "after_s"), [("p95", "p95"), ("300ms", 0.3), ("1.5s", 1.5)])
def test_a_hedge_comes_after_a_share_of_the_waits_or_a_duration(written: str, after_s: float | str) -> None:
    assert model(f"hedge: {{after: {written}, budget: 1%, max_cost_usd: 0.000001}}").hedge == HedgeSettings(
        after_s=after_s if isinstance(after_s, float) else "p95", budget=0.01, max_cost_picousd=1_000_000
    )
    assert model("hedge: {}").hedge == HedgeSettings()


def test_a_shadow_is_a_target_with_a_share() -> None:
    assert model("shadow: {provider: b, model: s, share: 10%, takes: {stop: 1}}").shadow == ShadowSettings(
        provider="b", model="s", share=0.1, takes=TakesSettings(stop=1)
    )
    assert model("shadow: {provider: b, model: s}").shadow == ShadowSettings(provider="b", model="s")


@pytest.mark.parametrize("written", ["off", "'off'", '"off"'])
def test_keep_alive_is_a_duration_or_off_with_and_without_quotes(written: str) -> None:
    assert model(f"timeouts: {{keep_alive: {written}}}").timeouts == TimeoutSettings(keep_alive_s="off")
    assert model("timeouts: {keep_alive: 15s}").timeouts == TimeoutSettings(keep_alive_s=15.0)


@pytest.mark.parametrize(("after", "after_s", "keep", "keep_s"), [("p95", "p95", "off", "off"), ("2s", 2.0, "1s", 1.0)])
def test_values_may_come_from_variables(after: str, after_s: object, keep: str, keep_s: object) -> None:
    more = 'hedge: {after: "${AFTER}", budget: "${SHARE}"}\n    timeouts: {keep_alive: "${KEEP}"}'
    found = read(f"{BASE}    {more}", {"AFTER": after, "SHARE": "7%", "KEEP": keep}).models["m"]
    assert found.hedge is not None
    assert (found.hedge.after_s, found.hedge.budget, found.timeouts.keep_alive_s) == (after_s, 0.07, keep_s)


def test_a_fault_shows_a_variable_by_name_and_never_its_value() -> None:
    path, message = only_fault(BASE + '    hedge: {after: §"${AFTER}"}', AFTER="canary")
    assert (path, "canary" in message, "${AFTER}" in message) == ("models.m.hedge.after", False, True)


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        ("strategy: §latancy", "strategy", 'did you mean "latency"?'),
        ("strategy: §[latency]", "strategy", "should be one of cost, latency"),
        ("sticky_by: §user", "sticky_by", "belongs to the strategy sticky alone"),
        ("strategy: latency\n    sticky_by: §user", "sticky_by", "belongs to the strategy sticky alone"),
        ("strategy: sticky\n    sticky_by: §users", "sticky_by", 'did you mean "user"?'),
        ("strategy: §stikcy\n    sticky_by: user", "strategy", 'did you mean "sticky"?'),
        ("retries: §3", "retries", "should be a mapping"),
        ("retries: {attempts: §0}", "retries.attempts", "from 1 to 10"),
        ("retries: {attempts: §11}", "retries.attempts", "from 1 to 10"),
        ("retries: {budget: §0.2}", "retries.budget", "a share with its percent sign, such as 5% or 0.5%"),
        ("retries: {budget: §0%}", "retries.budget", "out of range: from 0.01% to 100%"),
        ("retries: {budget: §100.1%}", "retries.budget", "out of range: from 0.01% to 100%"),
        ("retries: {budget: §-5%}", "retries.budget", "a share with its percent sign"),
        ("retries: {backoff: §100}", "retries.backoff", "a duration with its unit"),
        ("retries: {backoff: §3s, max_backoff: 2s}", "retries.backoff", "is longer than max_backoff, which is 2 s"),
        ("retries: {max_backoff: §50ms}", "retries.max_backoff", "is shorter than backoff, which is 0.1 s"),
        ("retries: {backoff: §2m, max_backoff: 50ms}", "retries.backoff", "from 0 s to 60 s"),
        ("retries: {§attempt: 1}", "retries.attempt", 'there is no such key; did you mean "attempts"?'),
        ("fallbacks: [§smal]", "fallbacks[0]", 'there is no "smal" under models; did you mean "small"?'),
        ("fallbacks: [small, §'*']", "fallbacks[1]", 'there is no "*" under models'),
        ("fallbacks: §small", "fallbacks", 'should be a list, not the text "small"'),
        ("fallbacks: {error: §small}", "fallbacks.error", "should be a list"),
        ("fallbacks: {error: [§big]}", "fallbacks.error[0]", 'there is no "big" under models'),
        ("fallbacks: {§errors: [small]}", "fallbacks.errors", 'did you mean "error"?'),
        ("hedge: §true", "hedge", "should be a mapping"),
        ("hedge: {after: §p99}", "hedge.after", 'the text "p99" should be a duration with its unit'),
        ("hedge: {after: §5}", "hedge.after", "or 30d, or p95"),
        ("hedge: {after: §0s}", "hedge.after", "from 0.001 s to 3,600 s"),
        ("hedge: {after: §null}", "hedge.after", "or p95"),
        ("hedge: {after: §[p95]}", "hedge.after", "should be a single value, not a list"),
        ("hedge: {budget: §five}", "hedge.budget", "a share with its percent sign"),
        ("hedge: {max_cost_usd: §$1}", "hedge.max_cost_usd", "should be an amount in US dollars, such as 0.01"),
        ("hedge: {max_cost_usd: §-1}", "hedge.max_cost_usd", "should be an amount in US dollars"),
        ("hedge: {max_cost_usd: §1000001}", "hedge.max_cost_usd", "from 0 US dollars to 1,000,000 US dollars"),
        ("shadow: §{provider: a}", "shadow", '"model" is missing'),
        ("shadow: {provider: §c, model: m}", "shadow.provider", 'there is no "c" under providers'),
        ("shadow: {provider: a, model: m, share: §0%}", "shadow.share", "from 0.01% to 100%"),
        ("shadow: {provider: a, model: m, takes: {stop: §x}}", "shadow.takes.stop", "should be a whole number"),
        ("timeouts: {keep_alive: §on}", "timeouts.keep_alive", "or 30d, or off"),
        ("timeouts: {keep_alive: §false}", "timeouts.keep_alive", "or 30d, or off"),
        ("timeouts: {keep_alive: §0s}", "timeouts.keep_alive", "from 0.01 s to 3,600 s"),
        ("rules: §{name: r, to: [eu]}", "rules", "should be a list"),
        ("rules: [§{to: [eu]}]", "rules[0]", '"name" is missing'),
        ("rules: [§{name: r}]", "rules[0]", '"to" is missing'),
        ("rules: [{name: §a b, to: [eu]}]", "rules[0].name", "should match"),
        ("rules: [{name: r, to: §[]}]", "rules[0].to", "should not be empty"),
        ("rules: [{name: r, to: §eu}]", "rules[0].to", "should be a list"),
        ("rules: [{name: r, to: [eu, §x]}]", "rules[0].to[1]", 'no target has the tag "x"'),
        ("rules: [{name: r, to: [§canry]}]", "rules[0].to[0]", 'did you mean "canary"?'),
        ("rules: [{name: r, to: [§a b]}]", "rules[0].to[0]", "should match"),
        ("rules: [{name: r, share: §0%, to: [eu]}]", "rules[0].share", "from 0.01% to 100%"),
        (
            "rules: [{name: r, share: 5%, to: §[eu, canary]}]",
            "rules[0].to",
            "every target has one of these tags; none is left for the users outside the share",
        ),
        (
            "rules: [{name: r, share: 5%, to: [eu]}, {name: §r, to: [eu]}]",
            "rules[1].name",
            "is the name of models.m.rules[0] already",
        ),
        (
            "rules: [§{name: r, to: [eu]}, {name: s, share: 5%, to: [eu]}]",
            "rules[0]",
            "always holds, so that no rule after it ever does; it belongs at the end",
        ),
    ],
)
def test_what_can_not_work_is_told_at_its_place(more: str, path: str, message: str) -> None:
    found_path, found = fault(more)
    assert found_path == path
    assert message in found


@pytest.mark.parametrize(
    ("when", "path", "message"),
    [
        ("§[acme]", "", "should be a mapping"),
        ("{§tenants: [a]}", "tenants", 'did you mean "tenant"?'),
        ("{tenant: §acme}", "tenant", "should be a list"),
        ("{tenant: §[]}", "tenant", "should not be empty"),
        ("{needs: §[]}", "needs", "should not be empty"),
        ("{needs: [§sight]}", "needs[0]", "should be one of audio"),
        ("{header: {x-r: §eu}}", "header.x-r", "should be a list"),
        ("{header: {x-r: §[]}}", "header.x-r", "should not be empty"),
        ("{header: {x-r: [§1]}}", "header.x-r[0]", "put it in quotes"),
        ("{header: {x-r: [§' a']}}", "header.x-r[0]", "should match"),
        ("{header: {§x r: [a]}}", "header.x r", "this name should match"),
        ("{metadata: {team: §[]}}", "metadata.team", "not be empty"),
        ("{tokens_over: §-1}", "tokens_over", "from 0 to 100,000,000"),
        ("{tokens_up_to: §1KB}", "tokens_up_to", "a whole number"),
        (
            "{header: {Authorization: §[a]}}",
            "header.Authorization",
            "holds a secret of the caller's; a rule asks for the tenant instead",
        ),
        (
            "{header: {x-r: [a], X-R: §[b]}}",
            "header.X-R",
            'is "x-r" once more: the case of a header makes no difference',
        ),
        (
            "{tokens_over: 8000, tokens_up_to: §8000}",
            "tokens_up_to",
            "no prompt has more than 8,000 tokens and no more than these",
        ),
    ],
)
def test_what_no_request_can_fulfil_is_told_at_its_place(when: str, path: str, message: str) -> None:
    found_path, found = fault(f"rules: [{{name: r, to: [eu], when: {when}}}]")
    assert found_path == ".".join(("rules[0].when", path)).rstrip(".")
    assert message in found


@pytest.mark.parametrize(
    ("targets", "path", "message"),
    [
        ("§[{provider: a, model: m, weight: 0}]", "targets", "every weight is 0; one should be more"),
        ("[{provider: a, model: m, weight: §-1}]", "targets[0].weight", "from 0 to 1,000,000"),
        ("[{provider: a, model: m, priority: §0}]", "targets[0].priority", "from 1 to 1,000"),
        ("[{provider: a, model: m, tags: §eu}]", "targets[0].tags", "should be a list"),
        ("[{provider: a, model: m, tags: [§yes]}]", "targets[0].tags[0]", "put it in quotes"),
        ("[{provider: a, model: m, takes: {context_tokens: §0}}]", "targets[0].takes.context_tokens", "from 1 to"),
    ],
)
def test_what_is_wrong_of_a_target_is_told_at_its_place(targets: str, path: str, message: str) -> None:
    found_path, found = fault(f"targets: {targets}", NO_TARGETS)
    assert found_path == path
    assert message in found


def test_a_fault_of_a_target_brings_no_second_one_of_the_rules_that_choose_it() -> None:
    rules = "\n    rules: [{name: r, share: 5%, to: [eu]}]"
    assert fault(f"targets: [{{provider: a, model: m}}, §{{provider: a, tags: [eu]}}]{rules}", NO_TARGETS) == (
        "targets[1]",
        '"model" is missing',
    )


def test_two_targets_that_their_names_do_not_tell_apart_are_a_fault() -> None:
    text = BASE.replace("  b:", "  a/b: {kind: simulator}\n  b:").replace(
        "  small:", "  other: {targets: [{provider: a/b, model: c}]}\n  small:"
    )
    path, message = only_fault(
        f"{text}  more: {{targets: [{{provider: a/b, model: c}}, §{{provider: a, model: b/c}}]}}"
    )
    assert path == "models.more.targets[1]"
    assert message == 'is called a/b/c, as is "c" of a/b; the provider needs another name'
