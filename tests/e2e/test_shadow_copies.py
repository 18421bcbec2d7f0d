"""Shadow copies, through a whole gateway: metered and thrown away, and nothing that a client would notice."""

import asyncio
import json
import signal
from typing import Any

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import completion, deltas, hang, sse, status, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}
SHADOWED = models("m", shadow={"provider": "fake", "model": "copy"})
ONE_AT_A_TIME = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"concurrency": 1}}}


def ask(gateway: Gateway, *, stream: bool = False, headers: dict[str, str] | None = None) -> httpx2.Response:
    """A call of the model with a shadow."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}], "stream": stream}
    url = f"{gateway.base_url}/chat/completions"
    return httpx2.post(url, json=body, headers=HEADERS | (headers or {}), timeout=30)


def by_role(rows: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["role"] == role]


def test_copies_are_metered_in_rows_of_their_own(start: Start, upstream: FakeUpstream) -> None:
    def answer(seen: Any) -> Any:
        said = "Hello there." if seen.model == "m" else "Good day to you, and to all."
        counts = (7, 3) if seen.model == "m" else (7, 9)
        return sse(deltas(said, usage=counts)) if seen.json.get("stream") else whole(completion(said, answer=counts[1]))

    upstream.default = answer
    gateway = start(models=SHADOWED)
    whole_one, streamed = ask(gateway), ask(gateway, stream=True)
    assert whole_one.json()["choices"][0]["message"]["content"] == "Hello there."
    assert "Good day" not in streamed.text
    rows = gateway.wait_for_rows(4)
    copies, answers = by_role(rows, "shadow"), by_role(rows, "answer")
    assert [(row["provider_model"], row["completion_tokens"]) for row in copies] == [("copy", 9)] * 2
    assert [(row["provider_model"], row["completion_tokens"]) for row in answers] == [("m", 3)] * 2
    assert {row["request_id"] for row in copies} == {row["request_id"] for row in answers}
    assert len({row["id"] for row in rows}) == 4
    asked = {seen.model: seen.json for seen in upstream.requests if not seen.json.get("stream")}
    assert asked["copy"] == asked["m"] | {"model": "copy"}
    assert 'tollway_shadow_copies_total{model="m",result="answered"} 2.0' in gateway.metrics()


def test_copies_that_fail_or_hang_hold_up_no_call_and_take_no_limit(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = whole(completion())
    upstream.scripts["copy"] = hang()
    gateway = start(models=SHADOWED, tenants=ONE_AT_A_TIME)
    assert [ask(gateway).status_code for _ in range(5)] == [200] * 5
    upstream.wait_for(lambda: upstream.hits_of("copy") == 5)
    upstream.scripts["copy"] = status(500)
    assert [ask(gateway).status_code for _ in range(5)] == [200] * 5
    upstream.wait_for(lambda: upstream.hits_of("copy") == 10)
    rows = gateway.wait_for_rows(15)
    assert {row["status"] for row in by_role(rows, "answer")} == {"ok"}
    assert [row["status"] for row in by_role(rows, "shadow")] == ["error"] * 5, "and the others are under way"


def test_a_shadow_whose_key_is_refused_is_no_defect(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = whole(completion())
    upstream.scripts["copy"] = status(401)
    providers = {
        name: {"kind": "openai", "base_url": upstream.base_url, "api_key": f"sk-upstream-canary-{name}-0123456789"}
        for name in ("fake", "for-copies")
    }
    gateway = start(providers=providers, models=models("m", shadow={"provider": "for-copies", "model": "copy"}))
    assert ask(gateway).status_code == 200
    copies = by_role(gateway.wait_for_rows(2), "shadow")
    assert [(row["status"], row["http_status"]) for row in copies] == [("error", 401)]
    assert ask(gateway).status_code == 200
    gateway.wait_until(lambda: "provider_key_set_aside" in gateway.log(), "set aside")
    assert '"defect"' not in gateway.log()


def test_a_shutdown_cuts_copies_and_writes_their_rows(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = whole(completion())
    upstream.scripts["copy"] = hang()
    gateway = start(models=SHADOWED)
    assert ask(gateway).status_code == 200
    upstream.wait_for(lambda: upstream.hits_of("copy") == 1)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(40) == 0
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (copy,) = by_role(gateway.rows(), "shadow")
    assert (copy["status"], copy["provider_model"], copy["usage_source"]) == ("cut", "copy", "estimated")


def test_a_copy_goes_on_when_the_client_leaves(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = hang()
    upstream.scripts["copy"] = whole(completion(), delay_s=2.0)
    gateway = start(models=SHADOWED)

    async def leave() -> None:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await upstream.until(lambda: upstream.hits == 2)
        writer.close()

    asyncio.run(leave())
    rows = gateway.wait_for_rows(2)
    assert [(row["role"], row["status"]) for row in rows if row["provider_model"] == "copy"] == [("shadow", "ok")]
    assert [(row["role"], row["status"]) for row in rows if row["provider_model"] == "m"] == [("answer", "client_gone")]


def test_what_is_only_planned_is_not_copied(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(models=SHADOWED | models("plain"))
    assert ask(gateway, headers={"x-tollway-dry-run": "route"}).status_code == 200
    assert ask(gateway).status_code == 200
    gateway.wait_for_rows(2)
    assert sorted(seen.model or "" for seen in upstream.requests) == ["copy", "m"]
