import os
import socket
from pathlib import Path

import asyncpg
import msgspec
import pytest

from tollway.charge import Places
from tollway.cli import findings
from tollway.settings import ProviderSettings, Secret, ServerSettings, Settings, StorageSettings, read
from tollway.storage.segments import SegmentWriter

CONFIG = """
version: 1
providers: {openai: {kind: openai, api_key: "${KEY:-}"}, simulator: {kind: simulator}}
models:
  gpt: {targets: [{provider: openai, model: gpt}, {provider: simulator, model: gpt}]}
  toy: {targets: [{provider: simulator, model: toy}]}
"""


def states(found: list[findings.Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def test_the_journal_is_looked_for_where_the_gateway_keeps_it(tmp_path: Path) -> None:
    assert Places(tmp_path).journal == tmp_path / findings.JOURNAL


def test_a_provider_without_its_key_is_worth_a_warning() -> None:
    without = list(findings.providers(read(CONFIG, {})))
    assert states(without) == {"provider openai": "warn", "models": "warn"}
    (models,) = findings.providers(read(CONFIG, {"KEY": "sk-0123456789abcdef"}))
    assert (models.state, models.found) == ("ok", "answered by the simulator: toy")


def test_each_of_several_keys_is_looked_at() -> None:
    text = """
version: 1
providers:
  pool: {kind: openai, keys: [{name: a, api_key: "${A:-}"}, {name: b, api_key: "${B:-}"}]}
  s: {kind: simulator}
models: {m: {targets: [{provider: pool, model: m}, {provider: s, model: m}]}}
"""
    (lacking,) = findings.providers(read(text, {"A": "sk-0123456789abcdef"}))
    assert (lacking.check, lacking.state) == ("key pool#b", "warn")
    assert "providers.pool.keys[1].api_key" in lacking.advice
    assert list(findings.providers(read(text, {"A": "sk-0123456789abcdef", "B": "sk-another"}))) == []
    none = next(findings.providers(read(text, {})))
    assert (none.check, none.state) == ("provider pool", "warn")
    assert "providers.pool.keys " in none.advice


def test_a_free_address_is_well() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    assert findings.port(ServerSettings(port=number)).state == "ok"


def test_an_address_that_somebody_else_uses_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        server.settimeout(0.0)
        assert findings.port(ServerSettings(port=number)).state == "fail"


def test_an_address_of_another_machine_is_not_well() -> None:
    assert findings.port(ServerSettings(host="192.0.2.1", port=8080)).state == "fail"


def test_a_data_directory_need_not_be_there_yet(tmp_path: Path) -> None:
    assert findings.data_dir(tmp_path).state == "ok"
    assert "first start" in findings.data_dir(tmp_path / "a" / "b").found
    assert not (tmp_path / "a").exists()


def test_a_data_directory_that_is_a_file_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert findings.data_dir(tmp_path / "file").state == "fail"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_can_not_be_written_is_not_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert findings.data_dir(tmp_path / "data").state == "fail"


def test_rows_that_wait_are_counted_by_segments(tmp_path: Path) -> None:
    directory = Places(tmp_path).journal
    directory.mkdir()
    assert findings.journal(tmp_path).found == "nothing waits"
    SegmentWriter(directory / "empty.journal", 8192).close()
    for number in range(findings.MANY_SEGMENTS + 1):
        writer = SegmentWriter(directory / f"{number}.journal", 8192)
        writer.append(b"row")
        writer.close()
    found = findings.journal(tmp_path)
    assert found.state == "warn"
    assert found.found.startswith(f"{findings.MANY_SEGMENTS + 1} segments")
    (directory / "odd.journal").write_bytes(b"x" * 8192)
    assert findings.journal(tmp_path).state == "fail"


def test_a_provider_that_takes_connections_is_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        there = findings.reachable("local", ProviderSettings(kind="vllm", base_url=url))
    gone = findings.reachable("local", ProviderSettings(kind="vllm", base_url=url))
    assert there is not None
    assert gone is not None
    assert (there.state, gone.state) == ("ok", "fail")
    assert findings.reachable("simulator", ProviderSettings(kind="simulator")) is None


def test_a_redis_that_is_away_is_worth_a_warning_that_shows_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        storage = StorageSettings(redis=Secret(f"redis://:hunter2hunter2@127.0.0.1:{server.getsockname()[1]}/0"))
        there = findings.redis(storage)
    gone = findings.redis(storage)
    assert there is not None
    assert gone is not None
    assert (there.state, gone.state) == ("ok", "warn")
    assert "hunter2" not in f"{there}{gone}"
    assert findings.redis(StorageSettings()) is None
    assert findings.redis(StorageSettings(redis=Secret(""))) is None


async def test_a_database_is_well_once_it_has_the_schema(postgres_dsn: str, empty_dsn: str) -> None:
    def at(dsn: str) -> Settings:
        return Settings(version=1, storage=StorageSettings(postgres=Secret(dsn)))

    found = await findings.database(at(postgres_dsn))
    assert states(found) == {"postgresql": "ok", "schema": "ok", "clock": "ok"}
    assert states(await findings.database(at(empty_dsn)))["schema"] == "warn"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("update schema_migrations set checksum = 'other' where version = 1")
    await connection.close()
    assert states(await findings.database(at(postgres_dsn)))["schema"] == "fail"
    (gone,) = await findings.database(at("postgresql://tollway:hunter2hunter2@127.0.0.1:1/tollway"))
    assert gone.state == "fail"
    assert "hunter2" not in msgspec.json.encode(gone).decode()


async def test_an_embedded_database_that_does_not_run_is_not_started(tmp_path: Path) -> None:
    storage = StorageSettings(data_dir=str(tmp_path / "data"))
    (found,) = await findings.database(Settings(version=1, storage=storage))
    assert "started with the gateway" in found.found
    assert not (tmp_path / "data").exists()
