"""``tollway serve`` as a person runs it: with the shipped configuration, on a free port, in a directory of its own."""

import json
import re
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Tollway, Write
from tests.fakes.gateway import free_port
from tests.house import inventory

SHIPPED = str(inventory.ROOT / "config" / "tollway.yaml")
PATIENCE_S = 60.0


class Running:
    """A gateway under way: what it has said on stderr so far, and its process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(iter(self.process.stderr.readline, ""))

    def until_said(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(pattern, "".join(self.said), re.MULTILINE)
            if found:
                return found
            assert self.process.poll() is None, "".join(self.said)
            time.sleep(0.02)
        raise AssertionError(f"it did not say {pattern!r} but: {''.join(self.said)}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self._reader.join()


@contextmanager
def serving(tollway: Tollway, *words: str) -> Iterator[Running]:
    """A gateway that is told to end when the block does."""
    with (tollway.directory / "log.jsonl").open("a") as log:
        process = subprocess.Popen(
            [*tollway.command, "serve", *words],
            cwd=tollway.directory,
            env=tollway.surroundings(),
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        running = Running(process)
        try:
            yield running
        finally:
            running.end()


def workers_started(tollway: Tollway, count: int) -> None:
    """Waits until this many workers have written that they started, in lines of JSON without exception."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        log = (tollway.directory / "log.jsonl").read_text()
        whole = log[: log.rfind("\n") + 1].splitlines()
        if [json.loads(line)["event"] for line in whole].count("worker_started") == count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {count} workers have started: {log}")


def ask(url: str, key: str, body: bytes | None = None) -> int:
    """The status of a call on a connection of its own, so that any worker may take it."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "connection": "close"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture
def shipped(postgres_home: Path) -> tuple[str, ...]:
    """Flags for the shipped configuration with the embedded PostgreSQL, apart from everybody else's."""
    return ("--config", SHIPPED, "--data-dir", str(postgres_home), "--port", str(free_port()), "--workers", "2")


def test_the_printed_curl_line_answers_and_the_keys_stay_the_same(tollway: Tollway, shipped: tuple[str, ...]) -> None:
    printed = []
    for _ in range(2):
        with serving(tollway, *shipped, "--quickstart") as gateway:
            line = gateway.until_said(r"^ *(curl .*)$")[1]
            admin = gateway.until_said(r"admin key +(\S+)$")[1]
            url = gateway.until_said(r"ready at (\S+)$")[1]
            assert gateway.until_said(r"base_url='(\S+)'")[1] == f"{url}/v1"
            ran = subprocess.run(shlex.split(line), capture_output=True, check=True, timeout=60)
            answer = json.loads(ran.stdout)
            assert answer["choices"][0]["message"]["content"]
            assert answer["model"] == "gpt-4o-mini"
            assert ask(f"{url}/api/v1/tenants", admin) == 200
            assert gateway.end() == 0
        printed.append((line, admin))
    assert printed[0] == printed[1]


def test_a_key_made_meanwhile_works_and_a_revoked_one_is_refused_by_every_worker(
    tollway: Tollway, shipped: tuple[str, ...]
) -> None:
    beside = Tollway(tollway.directory, *shipped[:4])
    body = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}'
    with serving(tollway, *shipped) as gateway:
        url = gateway.until_said(r"ready at (\S+)$")[1] + "/v1/chat/completions"
        gateway.until_said(r"There is no API key yet")
        beside.json("tenants", "create", "globex")
        made = beside.json("keys", "create", "--tenant", "globex", "--name", "ci")
        assert {ask(url, made["key"], body) for _ in range(16)} == {200}
        beside.json("keys", "revoke", made["id"])
        deadline = time.monotonic() + 5.0  # the contract; how soon it was is not asked
        while {ask(url, made["key"], body) for _ in range(16)} != {401}:
            assert time.monotonic() < deadline
        assert {ask(url, made["key"], body) for _ in range(32)} == {401}
        assert gateway.end(signal.SIGINT) == 0


def test_a_directory_that_another_gateway_uses_is_a_sentence(tollway: Tollway, write: Write, postgres_dsn: str) -> None:
    write({"server": {"port": free_port(), "workers": 1}, "storage": {"postgres": postgres_dsn}})
    with serving(tollway) as gateway:
        gateway.until_said("ready at")
        assert "Another gateway" in tollway.says("serve")


def test_an_address_that_is_taken_is_a_sentence(tollway: Tollway, write: Write, postgres_dsn: str) -> None:
    write({"server": {"host": "192.0.2.1"}, "storage": {"postgres": postgres_dsn}})
    assert "--port" in tollway.says("serve")


@pytest.mark.parametrize("flags", [("--port", "0"), ("--workers", "many"), ("--host", "a b"), ("--data-dir", "")])
def test_a_wrong_flag_is_wrong_usage(tollway: Tollway, write: Write, flags: tuple[str, str]) -> None:
    write({})
    assert flags[0] in tollway.says("serve", *flags, code=2)


def test_the_log_is_json_lines_without_the_keys(tollway: Tollway, shipped: tuple[str, ...]) -> None:
    with serving(tollway, *shipped, "--quickstart") as gateway:
        secrets = re.findall(r"tw_(?:live|admin)_\w+", gateway.until_said(r"(?s).*OpenAI\(.*")[0])
        workers_started(tollway, 2)  # "ready" needs one of them only
        assert gateway.end() == 0
    log = (tollway.directory / "log.jsonl").read_text()
    assert len(set(secrets)) == 2
    assert [secret for secret in secrets if secret in log] == []
