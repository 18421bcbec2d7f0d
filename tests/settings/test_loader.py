"""Loading: every kind of fault, told with its place, all at once; and what comes out when there is none."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.settings import marked

from tollway.settings import (
    BadConfiguration,
    BudgetSettings,
    LimitSettings,
    Secret,
    ServerSettings,
    Settings,
    absent,
    decode,
    encode,
    environment,
    load,
    read,
)

SHIPPED = Path(__file__).parents[2] / "config" / "tollway.yaml"
BASE = """\
version: 1
providers:
  openai: {kind: openai, api_key: sk-0123456789}
  sim: {kind: simulator}
"""


def faults(text: str, **environ: str) -> list[tuple[str, str]]:
    with pytest.raises(BadConfiguration) as raised:
        read(text, environ)
    return [(fault.path, fault.message) for fault in raised.value.faults]


def only_fault(text: str, **environ: str) -> tuple[str, str]:
    (fault,) = faults(text, **environ)
    return fault


# -- the shipped file


def test_the_shipped_file_works_with_no_environment_and_the_simulator_answers() -> None:
    loaded = load(SHIPPED, {})
    answering = {alias: loaded.answering(model.targets) for alias, model in loaded.models.items()}
    assert set(answering) == {"gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "simulator"}
    assert {target.provider for targets in answering.values() for target in targets} == {"simulator"}


def test_with_a_provider_key_the_shipped_file_asks_the_provider() -> None:
    loaded = load(SHIPPED, {"OPENAI_API_KEY": "sk-0123456789"})
    (target,) = loaded.answering(loaded.models["gpt-4o-mini"].targets)
    assert target.provider == "openai"
    (target,) = loaded.answering(loaded.models["simulator"].targets)
    assert target.provider == "simulator"


def test_the_shipped_file_takes_its_address_from_the_environment() -> None:
    loaded = load(SHIPPED, {"TOLLWAY_PORT": "9000", "TOLLWAY_WORKERS": "3", "TOLLWAY_LOG_LEVEL": "debug"})
    assert (loaded.server.port, loaded.server.worker_count, loaded.telemetry.logs.level) == (9000, 3, "debug")


# -- reading


def test_an_almost_empty_file_has_working_defaults() -> None:
    assert read("version: 1", {}) == Settings(version=1)


def test_units_are_read() -> None:
    loaded = read(
        BASE
        + """
server: {max_body: 1MiB, drain: 1h}
models:
  m:
    targets: [{provider: openai, model: gpt-4o, weight: 3}]
    timeouts: {connect: 500ms, first_token: 15s}
    price: {input_per_1m: 0.15, output_per_1m: "0.60", cached_input_per_1m: 0}
tenants:
  acme: {keys: {ci: {key: 0123456789abcdef-, expires: 1970-01-02}}}
""",
        {},
    )
    assert (loaded.server.max_body_bytes, loaded.server.drain_s) == (2**20, 3600.0)
    model = loaded.models["m"]
    assert (model.timeouts.connect_s, model.timeouts.first_token_s, model.timeouts.idle_s) == (0.5, 15.0, 60.0)
    assert model.price is not None
    assert (model.price.input, model.price.output, model.price.cached_input) == (150_000, 600_000, 0)
    assert loaded.tenants["acme"].keys["ci"].expires_at_ms == 86_400_000


def test_limits_are_inline_or_a_name() -> None:
    loaded = read("version: 1\nlimits: {big: {rpm: 9}}\ntenants: {a: {limits: big}, b: {limits: {tpm: 5}}}", {})
    assert loaded.tenants["a"].limits == "big"
    assert loaded.tenants["b"].limits == LimitSettings(tpm=5)


def test_workers_auto_is_the_number_of_usable_cores() -> None:
    assert ServerSettings().worker_count == len(os.sched_getaffinity(0))
    assert ServerSettings(workers=7).worker_count == 7


def test_a_quoted_variable_may_stand_for_a_number_or_a_truth_value() -> None:
    loaded = read(
        'version: 1\nserver: {port: "${PORT}"}\ntelemetry: {metrics: "${METRICS}"}', {"PORT": "1", "METRICS": "off"}
    )
    assert (loaded.server.port, loaded.telemetry.metrics) == (1, False)


def test_a_secret_of_digits_stays_text_when_it_comes_from_a_variable() -> None:
    loaded = read("version: 1\ntenants: {a: {keys: {k: {key: '${KEY}'}}}}", {"KEY": "1234567890123456"})
    assert loaded.tenants["a"].keys["k"].key.reveal() == "1234567890123456"


def test_anchors_and_merges_save_repetition() -> None:
    loaded = read("version: 1\nlimits:\n  default: &it {rpm: 1, tpm: 2}\n  other: {<<: *it, rpm: 3}", {})
    assert loaded.limits["other"] == LimitSettings(rpm=3, tpm=2)


def test_what_is_not_yet_there_may_stand_when_it_is_off() -> None:
    read("version: 1\nserver: {trusted_proxies: []}\nstorage: {objects: null}\ncache: null\nalerts: []", {})


def test_settings_survive_the_way_to_a_worker() -> None:
    loaded = load(SHIPPED, {"OPENAI_API_KEY": "sk-0123456789"})
    assert decode(encode(loaded)) == loaded


def test_what_did_not_come_from_encode_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode({"version": 2}))


@pytest.mark.parametrize("written", ["null", "''", "'${REDIS:-}'", "${REDIS}"])
def test_no_redis_is_said_by_nothing_at_all(written: str) -> None:
    storage = read(f"version: 1\nstorage:\n  redis: {written}", {"REDIS": ""}).storage
    assert not storage.redis
    assert storage.secrets == ()


@pytest.mark.parametrize(
    "address", ["redis://h", "redis://h:6379/", "rediss://h:6380/15", "redis://:p%20w@[::1]:6379/0", "redis://u:p@h"]
)
def test_the_address_of_a_redis_is_kept_as_it_is(address: str) -> None:
    redis = read(f"version: 1\nstorage: {{redis: '{address}'}}", {}).storage.redis
    assert redis == Secret(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("h:6379", "should begin with redis:// or rediss://"),
        ("http://canary@h", "should begin with redis:// or rediss://"),
        ("redis://", "names no host"),
        ("redis://:canary@", "names no host"),
        ("redis://h:port", "is not an address"),
        ("redis://[canary", "is not an address"),
        ("redis://:can ary@h", "should be plain ASCII without blanks"),
        ("redis://:canary@h?db=1", "should end before any ? or #"),
        ("redis://:canary#1@h", "should end before any ? or #"),
        ("redis://h/cache", "or with the number of a database: /0"),
        ("redis://h/0/1", "or with the number of a database: /0"),
    ],
)
def test_what_is_no_address_of_a_redis_is_told_without_showing_it(address: str, message: str) -> None:
    path, found = marked.only_fault(f"version: 1\nstorage: {{redis: §'{address}'}}")
    assert path == "storage.redis"
    assert message in found
    assert "canary" not in found


def test_a_tenants_budget_is_any_amount_of_dollars_or_nothing() -> None:
    tenants = read(
        "version: 1\ntenants: {a: {monthly_budget_usd: 0}, b: {monthly_budget_usd: 99.95}, c: {monthly_budget_usd: ~}}",
        {},
    ).tenants
    assert [tenant.monthly_budget_picousd for tenant in tenants.values()] == [0, 99_950_000_000_000, None]
    for wrong in ("none", "-1", "1e3", "9000000.01"):
        path, message = marked.only_fault(f"version: 1\ntenants: {{a: {{monthly_budget_usd: §{wrong}}}}}")
        assert path == "tenants.a.monthly_budget_usd"
        assert "dollars" in message


def test_budgets_are_a_list() -> None:
    loaded = read(
        BASE
        + """
models: {m: {targets: [{provider: openai, model: gpt-4o}]}}
budgets:
  - {name: all, amount_usd: 1000, period: month, warn_at: [50, 80]}
  - {name: each, amount_usd: "0.000000000001", period: day, rolling: true, tenant: t, key: t/ci, user: a b, model: m,
     tag: team=red, per: [user, model]}
""",
        {},
    )
    everything, each = loaded.budgets
    assert everything == BudgetSettings(name="all", amount_picousd=10**15, period="month", warn_at=(50, 80))
    assert (each.amount_picousd, each.key, each.user, each.per) == (1, "t/ci", "a b", ("user", "model"))


@pytest.mark.parametrize(
    ("budgets", "path", "message"),
    [
        ("[{name: §-a, amount_usd: 1, period: day}]", "budgets[0].name", ""),
        ("[{name: a, amount_usd: §0, period: day}]", "budgets[0].amount_usd", "dollar"),
        ("[{name: a, amount_usd: §9000001, period: day}]", "budgets[0].amount_usd", "dollar"),
        ("[{name: a, amount_usd: 1, period: §year}]", "budgets[0].period", "month"),
        ("[§{name: a, amount_usd: 1}]", "budgets[0]", "period"),
        ("[{name: a, amount_usd: 1, period: total, rolling: §true}]", "budgets[0].rolling", "never ends"),
        ("[{name: a, amount_usd: 1, period: day, warn_at: [§0]}]", "budgets[0].warn_at[0]", ""),
        ("[{name: a, amount_usd: 1, period: day, model: §gone}]", "budgets[0].model", "gone"),
        ("[{name: a, amount_usd: 1, period: day, tag: §red}]", "budgets[0].tag", "name=value"),
        ("[{name: a, amount_usd: 1, period: day, per: [§tag]}]", "budgets[0].per[0]", "user"),
        (
            "[{name: a, amount_usd: 1, period: day}, {name: §a, amount_usd: 2, period: day}]",
            "budgets[1].name",
            "is the name of budgets[0] already",
        ),
    ],
)
def test_what_is_wrong_with_a_budget_is_told_at_its_place(budgets: str, path: str, message: str) -> None:
    found, said = marked.only_fault(f"version: 1\nbudgets: {budgets}")
    assert (found, message in said) == (path, True), said


def test_everything_secret_is_known_to_those_who_keep_logs_clean() -> None:
    loaded = read(
        """
version: 1
storage: {postgres: 'postgresql://u:pg%20word@h/d', redis: 'rediss://:redis-word@h:6379'}
providers:
  one: {kind: openai, api_key: key-of-one}
  two: {kind: openai, keys: [{name: a, api_key: key-of-two-a}, {name: b, api_key: key-of-two-b}]}
tenants: {a: {keys: {k: {key: key-of-a-tenants}}}}
""",
        {},
    )
    addresses = {"postgresql://u:pg%20word@h/d", "rediss://:redis-word@h:6379"}
    keys = {"key-of-one", "key-of-two-a", "key-of-two-b", "key-of-a-tenants"}
    assert set(loaded.secrets) == addresses | keys | {"pg word", "redis-word"}
    assert read("version: 1", {}).secrets == ()


def test_no_representation_shows_a_secret() -> None:
    text = BASE + "storage: {postgres: 'postgresql://u:hunter2hunter2@h/d', redis: 'redis://:hunter2hunter2@h'}\n"
    text += "tenants: {a: {keys: {k: {key: hunter2hunter2hunter2}}}}"
    loaded = read(text, {})
    assert "hunter2" not in f"{loaded!r} {loaded} {Secret('hunter2')!s} {Secret('hunter2'):}"
    assert "sk-0123456789" not in repr(loaded)


def test_importing_reads_no_environment_and_environment_is_a_copy() -> None:
    taken = environment()
    assert dict(taken) == dict(os.environ)  # noqa: TID251 - compared with the real one
    code = "import sys, os; os.environ = None; import tollway.settings"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


# -- faults


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 1
server: {port: 70000, max_bod: 1}
providers:
  openai: {kind: openai, api_key: "${NO_SUCH_KEY}"}
models:
  m:
    targets:
      - {provider: opnai, model: x, weight: -1}
alerts: [{name: a}]
"""
    with pytest.raises(BadConfiguration) as raised:
        read(text, {}, name="my.yaml")
    assert raised.value.lines() == [
        'my.yaml:2:16: server.port: the number "70000" is out of range: from 1 to 65,535',
        'my.yaml:2:23: server.max_bod: there is no such key; did you mean "max_body"?',
        "my.yaml:4:35: providers.openai.api_key: the environment variable NO_SUCH_KEY is not set; "
        "a default is written ${NO_SUCH_KEY:-default}",
        'my.yaml:8:20: models.m.targets[0].provider: there is no "opnai" under providers; did you mean "openai"?',
        'my.yaml:8:45: models.m.targets[0].weight: the number "-1" is out of range: from 0 to 1,000,000',
        "my.yaml:9:1: alerts: alerts is not part of this version; remove it",
    ]
    assert str(raised.value) == "\n".join(raised.value.lines())


def test_a_file_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(BadConfiguration, match="can't be read: No such file"):
        load("/nowhere/tollway.yaml", {})


def test_a_file_that_is_not_utf8_is_a_fault_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(BadConfiguration, match=r"x\.yaml:2:1: is not UTF-8"):
        load(tmp_path / "x.yaml", {})


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfversion: 1\n")
    assert load(tmp_path / "x.yaml", {}).version == 1


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("server: {}", "", '"version" is missing'),
        ("version: 2", "version", 'should be 1, not the number "2"'),
        ("version: '1'", "version", 'should be 1, not the text "1"'),
        ("- version: 1", "", "should be a mapping of keys to values, not a list"),
        ("version: 1\nserver: 8080", "server", 'should be a mapping of keys to values, not the number "8080"'),
        ("version: 1\nserver: {port: 0}", "server.port", "from 1 to 65,535"),
        ("version: 1\nserver: {port: '80'}", "server.port", "should be a whole number from 1 to 65,535"),
        ("version: 1\nserver: {port: 8080.0}", "server.port", "should be a whole number"),
        ("version: 1\nserver: {port: [80]}", "server.port", "not a list"),
        ("version: 1\nserver: {port: 010}", "server.port", "should be a plain decimal number"),
        ("version: 1\nserver: {port: 1:30}", "server.port", "should be a plain decimal number"),
        ("version: 1\nserver: {port: 0x50}", "server.port", "should be a plain decimal number"),
        ("version: 1\nserver: {workers: 0}", "server.workers", "from 1 to 256"),
        ("version: 1\nserver: {workers: 257}", "server.workers", "from 1 to 256"),
        ("version: 1\nserver: {workers: many}", "server.workers", "should be a whole number from 1 to 256, or auto"),
        ("version: 1\nserver: {host: 'a b'}", "server.host", "should match"),
        ('version: 1\nserver: {host: "a\\n"}', "server.host", "should match"),
        ("version: 1\nserver: {host: on}", "server.host", 'YAML reads the truth value "on": put it in quotes'),
        ("version: 1\nserver: {max_body: 20Mib}", "server.max_body", "should be a size"),
        ("version: 1\nserver: {max_body: 1B}", "server.max_body", "from 1,024 bytes to 1,073,741,824 bytes"),
        ("version: 1\nserver: {max_body: {}}", "server.max_body", "should be a single value, not a mapping"),
        ("version: 1\nserver: {drain: 120}", "server.drain", "a duration with its unit"),
        ("version: 1\nserver: {drain: 2h}", "server.drain", "from 0 s to 3,600 s"),
        ("version: 1\nserver: {drain: null}", "server.drain", "a duration with its unit"),
        ("version: 1\nstorage: {data_dir: ''}", "storage.data_dir", "should not be empty"),
        ("version: 1\nstorage: {postgres: 'mysql://h'}", "storage.postgres", "begins with postgresql://"),
        ("version: 1\ntelemetry: {metrics: 1}", "telemetry.metrics", 'should be true or false, not the number "1"'),
        ("version: 1\ntelemetry: {metrics: 'true'}", "telemetry.metrics", "should be true or false, not the text"),
        ("version: 1\ntelemetry: {logs: {level: warn}}", "telemetry.logs.level", 'did you mean "warning"?'),
        ("version: 1\nsevrer: {}", "sevrer", 'there is no such key; did you mean "server"?'),
        ("version: 1\nzzz: {}", "zzz", "there is no such key"),
        ("version: 1\nlimits: {a: {rpm: 0}}", "limits.a.rpm", "from 1 to 1,000,000,000"),
        ("version: 1\nlimits: {a: {rpm: yes}}", "limits.a.rpm", "not the truth value"),
        ("version: 1\nlimits: {a b: {}}", "limits.a b", "this name should match"),
        (f"version: 1\nlimits: {{{'a' * 129}: {{}}}}", f"limits.{'a' * 129}", "longer than 128 characters"),
        ("version: 1\nproviders: {p: {kind: opnai}}", "providers.p.kind", 'did you mean "openai"?'),
        ("version: 1\nproviders: {p: {kind: openai}}", "providers.p", '"api_key" is missing; openai needs one'),
        ("version: 1\nproviders: {p: {kind: xai, api_key: null}}", "providers.p", '"api_key" is missing'),
        ("version: 1\nproviders: {p: {kind: vllm}}", "providers.p", '"base_url" is missing; vllm needs one'),
        ("version: 1\nproviders: {p: {kind: azure, api_key: k}}", "providers.p", '"base_url" is missing'),
        ("version: 1\nproviders: {p: {kind: openai_compatible}}", "providers.p", '"base_url" is missing'),
        ("version: 1\nproviders: {p: {base_url: 'http://h'}}", "providers.p", '"kind" is missing'),
        (
            "version: 1\nproviders: {p: {kind: openai, api_key: k, api_version: '1'}}",
            "providers.p.api_version",
            "only azure",
        ),
        (
            "version: 1\nproviders: {p: {kind: simulator, base_url: 'http://h'}}",
            "providers.p.base_url",
            "has no address",
        ),
        ("version: 1\nproviders: {p: {kind: openai, api_key: 12345}}", "providers.p.api_key", "put it in quotes"),
        ("version: 1\nproviders: {p: {kind: openai, api_key: 'a b'}}", "providers.p.api_key", "without blanks"),
        ('version: 1\nproviders: {p: {kind: openai, api_key: "a\\n"}}', "providers.p.api_key", "line break at an end"),
        ("version: 1\nproviders: {p: {kind: openai, api_key: clé}}", "providers.p.api_key", "plain ASCII"),
        (BASE + "models: {m: {}}", "models.m", '"targets" is missing'),
        (BASE + "models: {m: {targets: []}}", "models.m.targets", "should not be empty"),
        (BASE + "models: {m: {targets: sim}}", "models.m.targets", "should be a list"),
        (BASE + "models: {m: {targets: [{provider: sim}]}}", "models.m.targets[0]", '"model" is missing'),
        (
            BASE + "models: {m: {targets: [{provider: sim, model: m, weight: 1.5}]}}",
            "models.m.targets[0].weight",
            "should be a whole number",
        ),
        (
            BASE + "models: {m: {targets: [{provider: sim, model: m}], price: {input_per_1m: free, output_per_1m: 1}}}",
            "models.m.price.input_per_1m",
            "US dollars per million tokens",
        ),
        (
            BASE + "models: {m: {targets: [{provider: sim, model: m}], price: {input_per_1m: 1}}}",
            "models.m.price",
            '"output_per_1m" is missing',
        ),
        (
            "version: 1\nguardrails: {g: {input: [{check: pii, action: blok}]}}",
            "guardrails.g.input[0].action",
            'should be one of allow, block, flag, hash, mask, redact, not the text "blok"; did you mean "block"?',
        ),
        (
            "version: 1\nguardrails: {g: {input: [{check: pii, action: block, entities: [ssn]}]}}",
            "guardrails.g.input[0].entities[0]",
            'did you mean "us_ssn"?',
        ),
        (
            "version: 1\nguardrails: {g: {input: [{check: pii, action: block, entities: []}]}}",
            "guardrails.g.input[0].entities",
            "should not be empty",
        ),
        ("version: 1\ntenants: {a/b: {}}", "tenants.a/b", "this name should match"),
        ("version: 1\ntenants: {a: {limits: gold}}", "tenants.a.limits", 'there is no "gold" under limits'),
        ("version: 1\ntenants: {a: {guardrails: g}}", "tenants.a.guardrails", 'there is no "g" under guardrails'),
        (
            "version: 1\ntenants: {a: {allowed_models: [m]}}",
            "tenants.a.allowed_models[0]",
            'there is no "m" under models',
        ),
        ("version: 1\ntenants: {a: {allowed_models: '*'}}", "tenants.a.allowed_models", "should be a list"),
        ("version: 1\ntenants: {a: {keys: {k: {}}}}", "tenants.a.keys.k", '"key" is missing'),
        (
            "version: 1\ntenants: {a: {keys: {k: {key: short}}}}",
            "tenants.a.keys.k.key",
            "should have at least 16 characters",
        ),
        (
            "version: 1\ntenants: {a: {keys: {k: {key: 0123456789 abcdef}}}}",
            "tenants.a.keys.k.key",
            "without blanks",
        ),
        (
            "version: 1\ntenants: {a: {keys: {k: {key: 0123456789abcdef-, expires: soon}}}}",
            "tenants.a.keys.k.expires",
            "should be a date",
        ),
        (
            "version: 1\ntenants: {a: {keys: {k: {key: 0123456789abcdef-, limits: gold}}}}",
            "tenants.a.keys.k.limits",
            'there is no "gold" under limits',
        ),
    ],
)
def test_a_fault_is_told_with_its_path(text: str, path: str, message: str) -> None:
    found_path, found = only_fault(text)
    assert found_path == path
    assert message in found


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("api.openai.com/v1", "should begin with http:// or https://"),
        ("ftp://h/v1", "should begin with http:// or https://"),
        ("https://", "names no host"),
        ("https:///v1", "names no host"),
        ("https://u:p@h/v1", "should hold no user name or password"),
        ("https://h/v1?x=1", "should end before any ? or #"),
        ("https://h/v1#x", "should end before any ? or #"),
        ("https://h/v1?", "should end before any ? or #"),
        ("https://h:99999/v1", "is not an address"),
        ("https://[::1/v1", "is not an address"),
        ("https://h/v 1", "without blanks"),
        ("https://hé/v1", "plain ASCII"),
    ],
)
def test_an_address_must_be_plain_http(address: str, message: str) -> None:
    path, found = only_fault(f"version: 1\nproviders: {{p: {{kind: vllm, base_url: '{address}'}}}}")
    assert path == "providers.p.base_url"
    assert message in found


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://[::1]:8443", "https://h/", "HTTPS://H/v1"])
def test_an_ordinary_address_is_taken(address: str) -> None:
    read(f"version: 1\nproviders: {{p: {{kind: vllm, base_url: '{address}'}}}}", {})


BEDROCK = "version: 1\nproviders: {p: {kind: bedrock, %s}}"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ("api_key: k", "providers.p", '"region" is missing; bedrock needs one'),
        ("region: r", "providers.p", "bedrock needs one, or access_key_id and secret_access_key"),
        ("region: r, access_key_id: a", "providers.p", '"secret_access_key" is missing; access_key_id needs it'),
        (
            "region: r, api_key: k, secret_access_key: a",
            "providers.p",
            '"access_key_id" is missing; secret_access_key needs it',
        ),
        ("region: r, access_key_id: a, secret_access_key: 'b c'", "providers.p.secret_access_key", "without blanks"),
        ("region: US East, api_key: k", "providers.p.region", "should match"),
    ],
)
def test_bedrock_needs_a_region_and_one_way_to_prove_itself(fields: str, path: str, message: str) -> None:
    found_path, found = only_fault(BEDROCK % fields)
    assert found_path == path
    assert message in found


@pytest.mark.parametrize("field", ["region", "access_key_id", "secret_access_key", "session_token"])
def test_what_is_amazons_belongs_to_bedrock_alone(field: str) -> None:
    fault = only_fault(f"version: 1\nproviders: {{p: {{kind: openai, api_key: k, {field}: x}}}}")
    assert fault == (f"providers.p.{field}", "only bedrock has this")


def test_bedrock_is_configured_by_a_key_or_by_credentials_that_are_not_empty() -> None:
    text = BEDROCK % "region: r, access_key_id: '${A:-}', secret_access_key: '${B:-}', session_token: '${C:-}'"
    text += "\nmodels: {m: {targets: [{provider: p, model: m}]}}"
    assert only_fault(text) == ("models.m.targets", "no target can answer: the api_key of p is empty")
    provider = read(text, {"A": "AKID", "B": "secret"}).providers["p"]
    assert (provider.is_configured, provider.signs, provider.secrets) == (True, True, ("AKID", "secret"))
    provider = read(BEDROCK % "region: r, api_key: k", {}).providers["p"]
    assert (provider.is_configured, provider.signs, provider.secrets) == (True, False, ("k",))


def test_a_model_whose_only_provider_has_an_empty_key_is_a_fault() -> None:
    text = "version: 1\nproviders: {o: {kind: openai, api_key: '${KEY:-}'}}\n"
    text += "models: {m: {targets: [{provider: o, model: m}]}}"
    assert only_fault(text) == ("models.m.targets", "no target can answer: the api_key of o is empty")
    read(text, {"KEY": "sk-0123456789"})


def test_an_unconfigured_target_is_passed_over_while_another_remains() -> None:
    text = """\
version: 1
providers:
  a: {kind: openai, api_key: "${A:-}"}
  b: {kind: xai, api_key: "${B:-}"}
  s: {kind: simulator}
models: {m: {targets: [{provider: a, model: m}, {provider: b, model: m}, {provider: s, model: m}]}}
"""

    def asked(**environ: str) -> list[str]:
        loaded = read(text, environ)
        return [target.provider for target in loaded.answering(loaded.models["m"].targets)]

    assert asked() == ["s"]
    assert asked(A="key-a") == ["a"]
    assert asked(A="key-a", B="key-b") == ["a", "b"]


def test_a_fault_in_a_field_brings_no_second_one_by_its_absence() -> None:
    text = "version: 1\nproviders: {o: {kind: openai, api_key: '${NO}', base_url: 5}}\n"
    text += "models: {m: {targets: [{provider: o, model: m}, {provider: o}]}}\n"
    text += "tenants: {a: {allowed_models: [m, n]}}\n"
    assert [path for path, _ in faults(text)] == [
        "providers.o.api_key",
        "providers.o.base_url",
        "models.m.targets[1]",
        "tenants.a.allowed_models[1]",
    ]


def test_the_same_secret_twice_is_a_fault_that_names_the_first_and_shows_no_secret() -> None:
    text = "version: 1\ntenants: {a: {keys: {x: {key: '${K}'}}}, b: {keys: {y: {key: '${K}'}}}}"
    path, message = only_fault(text, K="0123456789abcdef")
    assert (path, message) == ("tenants.b.keys.y.key", "is the same secret as tenants.a.keys.x.key")


@pytest.mark.parametrize("key", ["port", "workers", "host", "max_body", "drain"])
def test_a_fault_shows_a_variable_by_name_and_never_its_value(key: str) -> None:
    _, message = only_fault(f"version: 1\nserver: {{{key}: '${{LEAK}}'}}", LEAK="the secret itself")
    assert "secret" not in message


def _example(path: str) -> str:
    """A file that asks for the absent part at ``path``."""
    value = "{x: 1}"
    for step in reversed(path.replace("[]", ".[]").split(".")):
        value = f"[{value}]" if step == "[]" else f"{{{'n' if step == '*' else step}: {value}}}"
    return f"version: 1\n{value[1:-1]}"


@pytest.mark.parametrize(("path", "what"), absent.KEYS.items())
def test_a_part_that_is_not_there_yet_is_named_plainly(path: str, what: str) -> None:
    assert f"{what} is not part of this version; remove it" in [message for _, message in faults(_example(path))]


# -- whatever is thrown at it


@settings(max_examples=150)
@given(st.text(max_size=200))
def test_any_text_loads_or_is_bad_configuration(text: str) -> None:
    _survives(text)


_KEYS = sorted(
    {
        *(*Settings.__struct_fields__, *absent.KEYS, "kind", "targets", "provider", "model", "input", "rpm", "keys"),
        *("name", "api_key", "breaker", "probe", "cooldown", "max_cooldown", "every", "timeout", "redis", "postgres"),
        *("strategy", "sticky_by", "rules", "when", "to", "share", "tags", "header", "metadata", "retries", "backoff"),
        *("fallbacks", "error", "hedge", "after", "shadow", "timeouts", "keep_alive", "monthly_budget_usd", "weight"),
        *("amount_usd", "period", "rolling", "warn_at", "per", "user", "tag"),
        *("exact", "semantic", "ttl", "max_temperature", "embedder", "adaptive", "max_wrong", "max_entries", "scope"),
        *("max_bytes", "max_answer", "join", "pace", "minilm"),
        *("guardrails", "output", "check", "action", "actions", "entities", "threshold", "restore", "sample", "mode"),
        *("url", "secret", "deny", "patterns", "json_schema", "categories", "on_error", "languages", "max_characters"),
    }
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "openai",
            "simulator",
            "pii",
            "secrets",
            "content",
            "webhook",
            "presidio",
            "moderation",
            "minilm",
            "redact",
            "monitor",
            "20MiB",
            "2s",
            "5%",
            "sticky",
            "off",
            "p95",
            "${A}",
            "${B:-1}",
            "$",
            "*",
            "0.15",
            "~",
            "<<",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=6))
def test_any_tree_of_values_loads_or_is_bad_configuration(tree: dict[str, object]) -> None:
    _survives(msgspec.json.encode({"version": 1, **tree}).decode())


_SHIPPED_TEXT = SHIPPED.read_text()


@settings(max_examples=150)
@given(
    st.integers(0, len(_SHIPPED_TEXT)),
    st.integers(0, 12),
    st.sampled_from(
        ["", " ", "\n", "\t", ":", "- ", "{", "]", "#", "&a ", "*a", "!!int ", "'", '"', "${", "\x00", "é", "0"]
    ),
)
def test_any_small_damage_to_the_shipped_file_loads_or_is_bad_configuration(at: int, cut: int, put: str) -> None:
    _survives(_SHIPPED_TEXT[:at] + put + _SHIPPED_TEXT[at + cut :])


def _survives(text: str) -> None:
    try:
        loaded = read(text, {"A": "x"})
    except BadConfiguration as bad:
        faults = bad.faults
        if not faults or not all(fault.line >= 1 and fault.column >= 1 and fault.message for fault in faults):
            raise
    else:
        assert decode(encode(loaded)) == loaded
