"""A running server as its ``postmaster.pid`` and its socket tell of it. Looks only; starts and stops nothing."""

import os
import socket
from pathlib import Path

import msgspec

PORT = 5432
"""Only a part of the socket's file name: there is no network listener."""

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class Postmaster(msgspec.Struct, frozen=True):
    """What ``postmaster.pid`` says; ``status`` is empty until the server has got that far."""

    pid: int
    socket_dir: str
    status: str


def read(data: Path) -> Postmaster | None:
    """What the file of this cluster says, running or not; its lines are documented in ``miscadmin.h``."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None
    lines += [""] * (8 - len(lines))
    return Postmaster(pid, lines[4].strip(), lines[7].strip())


def works_in(pid: int, data: Path) -> bool:
    """Whether the process is a server of this cluster: they all work in its directory. True when it can't be told."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except OSError:
        return True


def socket_path(directory: Path) -> Path:
    """The socket in a directory of sockets."""
    return directory / f".s.PGSQL.{PORT}"


def answers(found: Postmaster) -> bool:
    """Whether it answers an SSLRequest with its one byte: a hung or dead server does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(socket_path(Path(found.socket_dir))))
            client.sendall(_SSL_REQUEST)
            return len(client.recv(1)) == 1
        except OSError:
            return False
