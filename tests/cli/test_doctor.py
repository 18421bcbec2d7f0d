import json
import subprocess
import sys

from tests.cli.conftest import Tollway, Write
from tests.cli.test___main__ import WITHOUT_EXTENSION
from tests.fakes.gateway import free_port


def test_everything_is_well_in_a_good_place(configured: Tollway, write: Write, postgres_dsn: str) -> None:
    write({"server": {"port": free_port()}, "storage": {"postgres": postgres_dsn}})
    found = configured.json("doctor", "--providers")
    assert {finding["state"] for finding in found} == {"ok"}
    assert {"python", "native extension", "configuration", "address", "data directory", "usage journal"} <= {
        finding["check"] for finding in found
    }
    assert not (configured.directory / "data").exists(), "looking changes nothing"


def test_a_bad_configuration_fails_fault_by_fault(tollway: Tollway, write: Write) -> None:
    write({"server": {"port": 0, "colour": "red"}})
    ran = tollway("doctor", "--json")
    assert ran.returncode == 1
    failed = [finding["found"] for finding in json.loads(ran.stdout) if finding["state"] == "fail"]
    assert len(failed) == 2


def test_a_missing_configuration_comes_with_advice(tollway: Tollway) -> None:
    ran = tollway("doctor")
    assert ran.returncode == 1
    assert "tollway init" in ran.stdout


def test_a_gateway_that_does_not_answer_fails(configured: Tollway) -> None:
    ran = configured("doctor", "--url", f"http://127.0.0.1:{free_port()}")
    assert ran.returncode == 1
    assert "nothing answers" in ran.stdout


def test_it_runs_where_the_extension_does_not_load_and_says_so(configured: Tollway) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTENSION, "doctor", "--json"],
        cwd=configured.directory,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stderr
    (failed,) = (finding for finding in json.loads(ran.stdout) if finding["state"] == "fail")
    assert failed["check"] == "native extension"
    assert "make build" in failed["advice"]


def test_guardrails_that_only_the_extension_can_read_are_no_end_of_it(tollway: Tollway, write: Write) -> None:
    write({"guardrails": {"default": {"input": [{"check": "content", "deny": ["x"], "action": "block"}]}}})
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTENSION, "doctor", "--json"],
        cwd=tollway.directory,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stderr
    states = {finding["check"]: finding["state"] for finding in json.loads(ran.stdout)}
    assert (states["native extension"], states["configuration"]) == ("fail", "warn")
