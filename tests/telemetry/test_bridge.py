import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import asyncio, logging, warnings
logging.basicConfig(format="PLAIN %(message)s")
own = logging.getLogger("server")
own.addHandler(logging.StreamHandler())
own.propagate = False

from tollway.telemetry.bridge import bridge
from tollway.telemetry.logs import open_log

log = open_log(secrets=["a-provider-key"])
handler = bridge(log)
"""


def run(program: str) -> list[dict[str, Any]]:
    """The log lines of a fresh interpreter: ``logging`` is global, so this one's stays as it is."""
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, check=True, timeout=60)
    assert b"PLAIN" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_records_of_libraries_become_lines_at_their_level() -> None:
    lines = run("""
for level in (5, 10, 20, 25, 30, 40, 50):
    logging.getLogger("library").log(level, "level %d", level)
""")
    assert [(line["level"], line["event"], line["logger"], line["message"]) for line in lines] == [
        ("info", "library", "library", "level 20"),
        ("info", "library", "library", "level 25"),
        ("warning", "library", "library", "level 30"),
        ("error", "library", "library", "level 40"),
        ("error", "library", "library", "level 50"),
    ]


def test_loggers_with_handlers_of_their_own_write_here_alone() -> None:
    lines = run('own.warning("Listening")')
    assert [line["message"] for line in lines] == ["Listening"]


def test_errors_and_secrets_are_treated_as_in_our_own_lines() -> None:
    (line,) = run("""
try:
    raise OSError("a-provider-key was refused")
except OSError:
    own.exception("call with %s failed", "a-provider-key")
""")
    assert line["message"] == "call with [secret] failed"
    assert line["error"]["type"] == "OSError"
    assert line["error"]["message"] == "[secret] was refused"


def test_a_record_whose_arguments_do_not_fit_is_still_written() -> None:
    (line,) = run('own.warning("%d apples", "three")')
    assert line["message"] == "%d apples"


def test_warnings_come_through() -> None:
    (line,) = run('warnings.warn("old ways", UserWarning)')
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "old ways" in line["message"]


def test_an_exception_nobody_awaited_is_logged_by_asyncio() -> None:
    lines = run("""
async def fail():
    raise ValueError("lost")

async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(main())
""")
    assert [(line["logger"], line["error"]["type"]) for line in lines] == [("asyncio", "ValueError")]


def test_a_closed_bridge_lets_go() -> None:
    assert run('handler.close(); own.setLevel("CRITICAL"); own.warning("unheard")') == []
