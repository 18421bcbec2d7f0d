"""The embedded PostgreSQL: kept data, killed gateways, killed servers, closed directories."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tollway.storage import embedded
from tollway.storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed

FAST = {"fsync": "off"}
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")

START_AND_HANG = """
import sys, time
from pathlib import Path
from tollway.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), options={"fsync": "off"})
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tollway-test-"))
    yield path
    shutil.rmtree(path)


def _ask(dsn: str, *statements: str) -> object:
    """The first value that the last statement answers."""

    async def ask() -> object:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(ask())


def _kill_gateway_after_start(data_dir: Path) -> int:
    """Starts a server from another process, kills that process, and returns the server's process id."""
    with subprocess.Popen([sys.executable, "-c", START_AND_HANG, str(data_dir)], stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        gateway.kill()
    return pid


def _until_gone(pid: int) -> None:
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]:
        pass


def test_data_are_kept_between_starts(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST) as dsn:
        _ask(dsn, "create table kept (n int)", "insert into kept values (7)")
    with EmbeddedPostgres(data_dir, options=FAST) as dsn:
        assert _ask(dsn, "select n from kept") == 7


def test_the_text_is_utf8_and_the_time_is_utc(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    assert _ask(dsn, "select current_setting('server_encoding') || current_setting('timezone')") == "UTF8UTC"
    assert _ask(dsn, "select lower('ÄÖ')") == "äö"


def test_there_is_no_network_listener_and_no_entry_without_the_password(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    assert _ask(dsn, "show listen_addresses") == ""
    scheme, _, rest = dsn.partition("://")
    _, _, place = rest.partition("@")
    with pytest.raises(asyncpg.InvalidPasswordError):
        _ask(f"{scheme}://tollway:guess@{place}", "select 1")


def test_the_server_of_a_killed_gateway_is_adopted(data_dir: Path) -> None:
    pid = _kill_gateway_after_start(data_dir)
    told: list[str] = []
    server = EmbeddedPostgres(data_dir, options=FAST, tell=told.append)
    dsn = server.start()
    assert server.pid == pid
    assert any("adopted" in sentence for sentence in told)
    assert _ask(dsn, "select 1") == 1
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_starts_after_gateway_and_server_were_killed(data_dir: Path) -> None:
    pid = _kill_gateway_after_start(data_dir)
    os.kill(pid, signal.SIGKILL)
    _until_gone(pid)
    assert (data_dir / "postgres" / "data" / "postmaster.pid").exists()
    with EmbeddedPostgres(data_dir, options=FAST) as dsn:
        assert _ask(dsn, "select 1") == 1


def test_a_pid_file_that_names_somebody_else_is_removed(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST):
        pass
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n1700000000\n5432\n/nowhere\n\n1 2\nready\n")
    pid_file.chmod(0o600)
    os.chown(pid_file, pid_file.parent.stat().st_uid, pid_file.parent.stat().st_gid)
    told: list[str] = []
    with EmbeddedPostgres(data_dir, options=FAST, tell=told.append) as dsn:
        assert _ask(dsn, "select 1") == 1
    assert any("stale" in sentence for sentence in told)


def test_a_first_start_that_was_cut_short_is_begun_again(data_dir: Path) -> None:
    unfinished = data_dir / "postgres" / "data.unfinished"
    (unfinished / "base").mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir, options=FAST) as dsn:
        assert _ask(dsn, "select 1") == 1
    assert not unfinished.exists()


def test_data_of_another_version_are_refused_with_what_to_do(data_dir: Path) -> None:
    data = data_dir / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresFailed, match=r"made by PostgreSQL 17.*pg_dumpall"):
        EmbeddedPostgres(data_dir).start()


def test_data_without_their_password_are_refused_with_the_reason(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST):
        pass
    (data_dir / "postgres" / "password").unlink()
    server = EmbeddedPostgres(data_dir, options=FAST)
    with pytest.raises(EmbeddedPostgresFailed, match="password"):
        server.start()
    server.stop()


def test_a_setting_that_postgresql_refuses_is_told(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match="does not start"):
        EmbeddedPostgres(data_dir, options={"shared_buffers": "lots"}).start()


def test_a_path_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres(deep, options=FAST) as dsn:
        assert _ask(dsn, "select 1") == 1
        short = Path(str(_ask(dsn, "show unix_socket_directories")))
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    with EmbeddedPostgres(deep, options=FAST) as dsn:
        assert _ask(dsn, "select 1") == 1
    assert list(short.iterdir()) == []
    short.rmdir()


def test_a_link_in_the_place_of_the_short_socket_directory_is_refused(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres(deep, options=FAST) as dsn:
        short = Path(dsn.partition("host=")[2].partition("&")[0])
    short.rmdir()
    short.symlink_to(data_dir)
    try:
        with pytest.raises(EmbeddedPostgresFailed, match="in the way"):
            EmbeddedPostgres(deep, options=FAST).start()
    finally:
        short.unlink()


@ROOT_ONLY
def test_root_opens_closed_directories_for_passage_only(data_dir: Path) -> None:
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    told: list[str] = []
    with EmbeddedPostgres(closed / "data", options=FAST, tell=told.append) as dsn:
        assert _ask(dsn, "select 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert any(str(closed) in sentence for sentence in told)
    assert stat.S_IMODE((closed / "data" / "postgres" / "password").stat().st_mode) == 0o600
    for private in ("data", "log", "run"):
        assert stat.S_IMODE((closed / "data" / "postgres" / private).stat().st_mode) == 0o700


@ROOT_ONLY
def test_an_ordinary_user_runs_it_as_himself(data_dir: Path) -> None:
    data_dir.chmod(0o777)
    code = (
        "import sys; from pathlib import Path; from tollway.storage.embedded import EmbeddedPostgres;"
        "server = EmbeddedPostgres(Path(sys.argv[1]), options={'fsync': 'off'}); server.start();"
        "print(Path(sys.argv[1], 'postgres', 'data').stat().st_uid); server.stop()"
    )
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    packages = [str(Path(str(module.__file__)).parents[depth]) for module, depth in ((embedded, 2), (asyncpg, 1))]
    try:
        done = subprocess.run(
            [str(system) if system.exists() else sys.executable, "-c", code, str(data_dir / "own")],
            env={"PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
    except PermissionError:
        pytest.skip("other users can't run this Python")
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("other users can't read this checkout")
    assert done.stdout.strip() == "65534", done.stderr


def test_the_log_is_bounded_and_holds_no_statement_and_no_value(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    _ask(dsn, "create table secrets (word text unique)", "insert into secrets values ('canary-value')")
    with pytest.raises(asyncpg.UniqueViolationError):
        _ask(dsn, "insert into secrets values ('canary-value')")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        _ask(dsn, "selekt 'canary-statement' from nothing")
    directory = Path(str(_ask(dsn, "show log_directory")))
    own_postgres.stop()
    written = b"".join(path.read_bytes() for path in directory.iterdir())
    assert b"duplicate key" in written
    assert b"canary" not in written
    assert len(list(directory.iterdir())) <= 8


def test_stopping_twice_or_before_the_start_is_harmless(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, options=FAST)
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert server.pid is None


async def test_stopping_cuts_open_sessions(own_postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(own_postgres.start())
    await connection.execute("begin")
    own_postgres.stop()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("select 1")
    connection.terminate()


def test_a_server_that_never_became_ready_is_stopped_too(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST):
        pass
    impatient = EmbeddedPostgres(data_dir, options=FAST, start_timeout_s=0.0)
    with pytest.raises(EmbeddedPostgresFailed, match="not ready"):
        impatient.start()
    impatient.stop()
    assert impatient._process is not None
    assert impatient._process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="batches are a thing of Linux")
def test_the_server_and_its_children_give_way_to_calls(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    assert own_postgres.pid is not None
    session = int(str(_ask(dsn, "select pg_backend_pid()")))
    children = Path(f"/proc/{own_postgres.pid}/task/{own_postgres.pid}/children").read_text().split()
    alive = [own_postgres.pid, *(int(pid) for pid in children if int(pid) != session)]
    assert len(alive) > 2
    assert {(os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)) for pid in alive} == {
        (os.SCHED_BATCH, embedded.NICENESS)
    }
