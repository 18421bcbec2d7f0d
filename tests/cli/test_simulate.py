import json
import re
import subprocess
import urllib.request

from tests.cli.conftest import Tollway


def test_the_simulator_answers_where_it_says(tollway: Tollway) -> None:
    command = [*tollway.command, "simulate", "--port", "0"]
    with subprocess.Popen(command, cwd=tollway.directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = re.search(r"http://\S+", process.stdout.readline())
        assert announced is not None
        body = json.dumps({"model": "simulator", "messages": [{"role": "user", "content": "Hello!"}]}).encode()
        request = urllib.request.Request(
            f"{announced.group()}/chat/completions", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["object"] == "chat.completion"
        process.terminate()
        assert process.wait(20) == 0


def test_a_wrong_duration_is_wrong_usage(tollway: Tollway) -> None:
    assert "--delay" in tollway.says("simulate", "--delay", "soon", code=2)
