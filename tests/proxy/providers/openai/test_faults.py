"""Every way in which an OpenAI-like provider refuses, and what the client and routing get of it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.fakes.records import Record, needs_records, payloads, records

from tollway.proxy.causes import Cause, Fault
from tollway.proxy.providers.openai.faults import (
    MESSAGE_CHARACTERS,
    TEXT_CHARACTERS,
    OpenAIFaults,
    read_event_fault,
    read_fault,
)

SEEN: Mapping[Cause, tuple[int, str, str | None, str]] = {
    Cause.INVALID: (400, "invalid_request_error", None, "return"),
    Cause.CONTEXT_WINDOW: (400, "invalid_request_error", "context_length_exceeded", "fail_over"),
    Cause.CONTENT_POLICY: (400, "invalid_request_error", "content_filter", "fail_over"),
    Cause.BAD_GENERATION: (400, "invalid_request_error", "bad_generation", "retry"),
    Cause.BAD_KEY: (401, "authentication_error", "invalid_api_key", "cool"),
    Cause.FORBIDDEN: (403, "permission_error", None, "fail_over"),
    Cause.NOT_FOUND: (404, "invalid_request_error", "model_not_found", "fail_over"),
    Cause.CONFLICT: (409, "invalid_request_error", None, "retry"),
    Cause.TOO_LARGE: (413, "invalid_request_error", "request_too_large", "return"),
    Cause.RATE_LIMIT: (429, "rate_limit_error", "rate_limit_exceeded", "cool"),
    Cause.TOO_LARGE_FOR_LIMIT: (429, "rate_limit_error", "rate_limit_exceeded", "fail_over"),
    Cause.QUOTA: (429, "insufficient_quota", "insufficient_quota", "cool"),
    Cause.TIMEOUT: (504, "server_error", "upstream_timeout", "retry"),
    Cause.OVERLOADED: (503, "server_error", "overloaded", "cool"),
    Cause.SERVER: (502, "server_error", "upstream_error", "retry"),
}

NO_HEADERS: Mapping[str, str] = {}

OPENAI_LIKE = (
    *("azure", "cerebras", "deepseek", "gpustack", "groq", "mistral", "ollama", "openai", "openrouter", "perplexity"),
    *("together", "vllm", "xai"),
)
OPERATIONS = ("chat", "completions", "embeddings", "responses", "models", "count_tokens")


def error(message: str, **more: Any) -> str:
    return json.dumps({"error": {"message": message, **more}})


def invalid(message: str, **more: Any) -> str:
    return error(message, type="invalid_request_error", **more)


LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
AZURE_FILTER = json.dumps(
    {
        "error": {
            "message": "The prompt triggered Azure OpenAI's content management policy.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {"hate": {"filtered": True}},
            },
        }
    }
)
MISTRAL_LIST = json.dumps(
    {
        "detail": [
            {"type": "missing", "loc": ["body", "messages", 0, "content"], "msg": "Field required", "input": {}},
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1},
        ]
    }
)
OPENROUTER_RAW = json.dumps(
    {
        "error": {
            "message": "Provider returned error",
            "code": 400,
            "metadata": {
                "provider_name": "Anthropic",
                "raw": error("prompt is too long: 210000 tokens > 200000 maximum"),
            },
        }
    }
)
GOOGLE_MINUTE = json.dumps(
    [
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "status": "RESOURCE_EXHAUSTED",
            }
        }
    ]
)
GROQ_MINUTE = "on tokens per minute (TPM): Limit 6000, Used 5324, Requested 709. Please try again in 329.999999ms."

REFUSALS: Mapping[Cause, list[tuple[str, int, str]]] = {
    Cause.INVALID: [
        ("mistral", 400, '{"object":"error","message":"No.","type":"invalid_request_error","code":"3230"}'),
        ("mistral", 422, MISTRAL_LIST),
        ("mistral", 422, '{"object":"error","message":' + MISTRAL_LIST + ',"type":"invalid_request_error"}'),
        ("xai", 400, '{"code":"invalid-argument","error":"Argument not supported on this model: stop"}'),
        ("deepseek", 422, "Failed to deserialize the JSON body into the target type"),
        ("cohere", 400, '{"message":"invalid request: messages must be at least 1 element"}'),
        ("tgi", 422, '{"error":"Input validation error","error_type":"validation"}'),
    ],
    Cause.CONTEXT_WINDOW: [
        ("openai", 400, invalid(LONG, param="messages", code="context_length_exceeded")),
        ("openai", 400, invalid("Your input exceeds the context window of this model.")),
        ("mistral", 400, '{"object":"error","message":"Too large for model with 32768 maximum context length"}'),
        ("xai", 400, '{"code":"invalid","error":"This model\'s maximum prompt length is 131072 tokens."}'),
        ("openrouter", 400, OPENROUTER_RAW),
        ("perplexity", 400, error("No.", type="too_many_prompt_tokens", code=400)),
        ("vllm", 400, json.dumps({"object": "error", "message": LONG, "type": "BadRequestError", "code": 400})),
        ("vllm", 400, error("The decoder prompt is longer than the maximum model length of 8192.", code=400)),
        ("together", 422, invalid("`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000")),
        ("ollama", 400, error("prompt too long; exceeded max context length by 4 tokens")),
        ("cohere", 400, '{"message":"too many tokens: the total number of tokens must be at most 4096"}'),
        ("aws", 400, '{"message":"Input is too long for requested model."}'),
        ("llama.cpp", 400, error("No.", type="exceed_context_size_error", code=400)),
        ("some host", 413, error("Request body too large for gpt-4o model. Max size: 8000 tokens.")),
        ("some host", 429, error("prompt token count of 130000 exceeds the limit of 128000")),
        ("some host", 500, error("the request exceeds the available context size")),
    ],
    Cause.CONTENT_POLICY: [
        ("openai", 400, invalid("Invalid prompt.", code="invalid_prompt")),
        ("openai", 400, invalid("Your request was rejected by our safety system.")),
        ("azure", 400, AZURE_FILTER),
        ("xai", 403, '{"code":"denied","error":"Content violates usage guidelines."}'),
        ("openrouter", 403, error("x requires moderation. Your input was flagged for \"hate\".", code=403)),
        ("deepseek", 400, invalid("Content Exists Risk")),
    ],
    Cause.BAD_GENERATION: [
        ("groq", 400, invalid("Failed to call a function.", code="tool_use_failed")),
        ("groq", 400, invalid("Failed to generate JSON.", failed_generation="{")),
    ],
    Cause.BAD_KEY: [
        ("azure", 401, error("Access denied", code="401")),
        ("cerebras", 401, '{"message": "Wrong API Key", "type": "invalid_request_error", "code": "wrong_api_key"}'),
        ("mistral", 401, '{"message":"Unauthorized","request_id":"634b"}'),
        ("mistral", 401, '{"detail":"Unauthorized"}'),
        ("xai", 400, '{"code":"invalid-argument","error":"Incorrect API key provided: xa***yz."}'),
        ("gpustack", 401, '{"code":401,"reason":"Unauthorized","message":"Invalid authentication credentials"}'),
        ("perplexity", 401, error("Invalid API key or insufficient credits.", type="invalid_api_key", code=401)),
        ("perplexity", 401, "<html><head><title>401</title></head><body>401 Authorization Required</body></html>"),
        ("vllm", 401, '{"error": "Unauthorized"}'),
        ("cohere", 401, '{"message":"invalid api token"}'),
        ("google", 400, '[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]'),
    ],
    Cause.FORBIDDEN: [
        ("openai", 401, invalid("You have insufficient permissions. Missing scopes: model.request")),
        ("openai", 403, error("Country not supported", code="unsupported_country_region_territory")),
        ("xai", 403, '{"code":"denied","error":"Your team has no permission."}'),
        ("aws", 403, '{"Message":"User is not authorized to perform this."}'),
        ("cloudflare", 403, '{"success":false,"errors":[{"code":1010,"message":"Access denied"}]}'),
    ],
    Cause.NOT_FOUND: [
        ("openai", 400, invalid("No.", code="model_not_found")),
        ("openai", 404, invalid("The model `x` does not exist.", code="model_not_found")),
        ("azure", 404, error("The API deployment does not exist.", code="DeploymentNotFound")),
        ("mistral", 400, '{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}'),
        ("xai", 404, '{"code":"not-found","error":"The model grok-9 does not exist"}'),
        ("gpustack", 404, '{"code":404,"reason":"NotFound","message":"Model not found"}'),
        ("openrouter", 400, error("x/y is not a valid model ID", code=400)),
        ("perplexity", 400, error("Invalid model 'x'.", type="invalid_model", code=400)),
        ("deepseek", 400, invalid("Model Not Exist")),
        ("vllm", 404, '{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}'),
        ("together", 404, invalid("Unable to access model x.", code="model_not_available")),
        ("ollama", 404, error("model 'x' not found, try pulling it first", type="api_error")),
        ("ollama", 404, '{"error":"model \'x\' not found"}'),
        ("cohere", 404, '{"message":"model \'x\' not found, make sure the correct model ID was used"}'),
    ],
    Cause.CONFLICT: [
        ("openai", 409, invalid("The vector store is being changed.")),
    ],
    Cause.TOO_LARGE: [
        ("azure", 413, "Payload Too Large"),
    ],
    Cause.RATE_LIMIT: [
        ("openai", 429, error("Rate limit reached", type="requests", code="rate_limit_exceeded")),
        ("azure", 429, error("You exceeded the call rate limit. Please retry after 7 seconds.", code="429")),
        ("groq", 429, error(f"Rate limit reached {GROQ_MINUTE}", type="tokens")),
        ("cerebras", 429, '{"message": "Slow down.", "code": "request_quota_exceeded"}'),
        ("cerebras", 429, '{"message": "Slow down.", "code": "token_quota_exceeded"}'),
        ("mistral", 429, '{"object":"error","message":"Service tier capacity exceeded for this model."}'),
        ("cohere", 429, '{"message":"You are past the per minute request limit"}'),
        ("aws", 400, '{"__type":"com.amazon.coral#ThrottlingException","message":"Too many requests"}'),
        ("google", 429, GOOGLE_MINUTE),
    ],
    Cause.TOO_LARGE_FOR_LIMIT: [
        ("openai", 429, error("Request too large for x on tokens per min: Limit 9, Requested 10.", type="tokens")),
        ("groq", 413, error("Request too large for model `x` on tokens per minute (TPM)", type="tokens")),
        ("groq", 429, error("Rate limit reached: Limit 6000, Used 0, Requested 7001.")),
    ],
    Cause.QUOTA: [
        ("openai", 429, error("You exceeded your current quota", code="insufficient_quota")),
        ("xai", 429, '{"code":"exhausted","error":"Your team has used all available credits."}'),
        ("openrouter", 402, error("This request requires more credits, or fewer max_tokens.", code=402)),
        ("openrouter", 403, error("Key limit exceeded (total limit).", code=403)),
        ("deepseek", 402, error("Insufficient Balance", type="unknown_error", code="invalid_request_error")),
        ("together", 402, error("Credit limit exceeded", type="credit_limit")),
    ],
    Cause.TIMEOUT: [
        ("azure", 408, "The operation was timeout."),
        ("cloudflare", 524, "<!DOCTYPE html><html><body>A timeout occurred</body></html>"),
    ],
    Cause.OVERLOADED: [
        ("openai", 503, "upstream connect error or disconnect/reset before headers."),
        ("openai", 500, error("That model is currently overloaded with other requests.")),
        ("groq", 498, error("Flex tier capacity exceeded")),
        ("openrouter", 503, error("No allowed providers are available", code=503)),
        ("vllm", 503, "no healthy upstream"),
    ],
    Cause.SERVER: [
        ("openai", 500, error("The server had an error", type="server_error")),
        ("openrouter", 502, error("Provider returned error", code=502, metadata={"raw": "ERROR"})),
    ],
}  # fmt: skip


ROWS = [(cause, *row) for cause, rows in REFUSALS.items() for row in rows]


@pytest.mark.parametrize(("cause", "provider", "status", "body"), ROWS)
def test_a_refusal_is_read_whatever_its_shape(cause: Cause, provider: str, status: int, body: str) -> None:
    told = refusal(status, body)
    effect = told.cause.effect
    assert told.cause is cause, provider
    assert (effect.status, effect.type, effect.code, told.handling) == SEEN[cause]


@needs_records
@pytest.mark.parametrize("provider", OPENAI_LIKE)
def test_recorded_refusals_are_understood(provider: str) -> None:
    refused = [each for operation in OPERATIONS for each in records(provider, operation) if each.status >= 400]
    for record in refused:
        told = read_fault(record.status, dict(lowered(record)).get, record.body.encode())
        assert told.cause is meant(record), record.id
        assert told.message == said(record), record.id


def meant(record: Record) -> Cause:
    """By status, but where the body says more."""
    if record.status == 400 and "model_not_found" in record.body:
        return Cause.NOT_FOUND
    if "tool_use_failed" in record.body:
        return Cause.BAD_GENERATION
    of_status = {400: Cause.INVALID, 401: Cause.BAD_KEY, 404: Cause.NOT_FOUND, 429: Cause.RATE_LIMIT}
    return of_status.get(record.status, Cause.OVERLOADED)


def said(record: Record) -> str:
    """The provider's own words."""
    if record.body.startswith("<html>"):
        return "401 Authorization Required openresty/1.27.4"
    if not record.body.startswith("{"):
        return record.body.strip()
    told = json.loads(record.body)
    inner = told.get("error", told)
    raw = inner.get("metadata", {}).get("raw")
    message = raw or inner.get("message") or f"The provider answered with status {record.status}."
    assert isinstance(message, str)
    return message


def lowered(record: Record) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in record.headers]


@needs_records
@pytest.mark.parametrize(
    ("provider", "identity", "expected"),
    [
        (
            "openai",
            "ruby_llm.4af408fe.2596cc.0",
            Fault(Cause.SERVER, "The server had an error while processing your request. Sorry about that!"),
        ),
        ("openrouter", "pydantic-ai.8f815204.d7c70a.0", Fault(Cause.INVALID, "Token limit reached")),
    ],
)
def test_recorded_faults_inside_streams_are_understood(provider: str, identity: str, expected: Fault) -> None:
    (record,) = [each for each in records(provider, stream=True) if each.id == identity]
    (event,) = [each for each in payloads(record.body) if each.get("error")]
    assert read_event_fault(json.dumps(event).encode()) == expected


@pytest.mark.parametrize(
    ("payload", "cause", "message"),
    [
        (error("Boom", type="server_error"), Cause.SERVER, "Boom"),
        (error("Boom"), Cause.SERVER, "Boom"),
        (error("Slow", type="requests", code="rate_limit_exceeded"), Cause.RATE_LIMIT, "Slow"),
        (invalid("No."), Cause.INVALID, "No."),
        (error("Busy", type="overloaded_error"), Cause.OVERLOADED, "Busy"),
        (error("Provider disconnected", code=502), Cause.SERVER, "Provider disconnected"),
        (error("Slow", code=429, metadata={"raw": "free models are busy"}), Cause.RATE_LIMIT, "free models are busy"),
        (error("Slow", code="429"), Cause.RATE_LIMIT, "Slow"),
        (invalid("No.", failed_generation="x", status_code=400), Cause.BAD_GENERATION, "No."),
        ('{"error": "stream broke"}', Cause.SERVER, "stream broke"),
        ('{"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "Oh"}}]}', Cause.OVERLOADED, "Oh"),
        ('{"type": "error", "code": "insufficient_quota", "message": "Oh", "param": null}', Cause.QUOTA, "Oh"),
        (
            '{"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oh"}}}',
            Cause.SERVER,
            "Oh",
        ),
        (
            '{"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "Oh"}}}',
            Cause.RATE_LIMIT,
            "Oh",
        ),
        ('{"object": "error", "message": "Bad", "type": "BadRequestError", "code": 400}', Cause.INVALID, "Bad"),
        ("[]", Cause.SERVER, "The provider broke off its answer and said nothing."),
    ],
)  # fmt: skip
def test_a_fault_inside_an_answer_is_read(payload: str, cause: Cause, message: str) -> None:
    told = read_event_fault(payload.encode())
    assert (told.cause, told.message) == (cause, message)


def test_the_field_at_fault_is_named() -> None:
    assert refusal(400, invalid("No.", param="temperature")).param == "temperature"
    assert refusal(422, MISTRAL_LIST).param == "messages[0].content"
    assert refusal(422, MISTRAL_LIST).message == "Field required; Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after": "65"}, "", 65.0),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after-ms": "660"}, "", 0.66),
        ({"retry-after-ms": "660", "retry-after": "1"}, "", 0.66),
        ({"retry-after-ms": "soon", "retry-after": "1"}, "", 1.0),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            "",
            30.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", 0.0),
        ({"retry-after": "never"}, "", None),
        ({"retry-after": "-4"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({}, GROQ_MINUTE, 0.329999999),
        ({}, "Please try again in 1m11.38s.", 71.38),
        ({}, "Please try again in 2h5m.", 7500.0),
        ({}, "Please retry after 7 seconds.", 7.0),
        ({}, "Please try again later.", None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], text: str, seconds: float | None) -> None:
    told = read_fault(429, headers.get, error(text).encode()).retry_after_s
    assert told == (seconds if seconds is None else pytest.approx(seconds))


def test_a_provider_that_forbids_retries_is_believed() -> None:
    no = {"x-should-retry": "false"}.get
    limited = read_fault(429, no, error("This exceeds your limit.").encode())
    broken = read_fault(500, no, error("Internal error").encode())
    assert (limited.cause, limited.handling, limited.should_retry) == (Cause.TOO_LARGE_FOR_LIMIT, "fail_over", False)
    assert (broken.cause, broken.handling, broken.should_retry) == (Cause.SERVER, "fail_over", False)
    assert read_fault(429, no, error("No money", code="insufficient_quota").encode()).cause is Cause.QUOTA


def test_amazons_header_names_the_error() -> None:
    told = read_fault(400, {"x-amzn-errortype": "ThrottlingException:http://internal"}.get, b'{"message": "Slow"}')
    assert told.cause is Cause.RATE_LIMIT


def test_secrets_are_cut_from_the_providers_words() -> None:
    body = error("Key my-own-key of Bearer abc123def and sk-proj-0123456789abcdefghij is wrong.")
    told = read_fault(401, NO_HEADERS.get, body.encode(), ["my-own-key"])
    assert told.message == "Key [secret] of Bearer [secret] and [secret] is wrong."


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("<html><style>p {}</style><p>Bad&nbsp;gateway</p><script>var a = 1;</script></html>", "Bad gateway"),
        ("<html><head><title>502 Bad Gateway</title></head><body></body></html>", "502 Bad Gateway"),
        ("a < b is false", "a < b is false"),
        ("x" * 2000, "x" * TEXT_CHARACTERS),
        ("", "The provider answered with status 502."),
        ("null", "The provider answered with status 502."),
    ],
)  # fmt: skip
def test_a_page_is_shown_as_its_reader_sees_it(body: str, shown: str) -> None:
    assert refusal(502, body).message == shown


def test_a_message_without_end_is_cut() -> None:
    assert len(refusal(400, error("x" * 100_000)).message) == MESSAGE_CHARACTERS


def test_a_provider_reads_its_own_faults() -> None:
    faults = OpenAIFaults(None, "k3y")
    refused = faults.fault(429, {"retry-after": "3"}.get, error("k3y is slow").encode())
    assert refused == Fault(Cause.RATE_LIMIT, "[secret] is slow", retry_after_s=3.0)
    assert faults.fault(200, NO_HEADERS.get, error("k3y broke", code=503).encode()).cause is Cause.OVERLOADED
    assert faults.event_fault(error("k3y broke").encode()) == Fault(Cause.SERVER, "[secret] broke")


KEYS = (
    "error errors message detail code type param metadata raw innererror loc response choices status msg __type "
    "failed_generation"
).split()
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(some.sampled_from(KEYS) | some.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(JSON, some.integers(400, 599))
def test_any_json_is_a_fault(value: Any, status: int) -> None:
    body = json.dumps(value).encode()
    assert isinstance(read_fault(status, NO_HEADERS.get, body).message, str)
    assert read_event_fault(body).message


@given(some.sampled_from(ROWS), some.integers(0, 400), some.binary(max_size=3))
def test_a_refusal_cut_or_spoilt_anywhere_is_a_fault(row: tuple[Cause, str, int, str], at: int, by: bytes) -> None:
    _, _, status, text = row
    body = text.encode()
    assert read_fault(status, NO_HEADERS.get, body[:at]).message
    assert read_fault(status, NO_HEADERS.get, body[:at] + by + body[at + 1 :]).message


def test_a_body_nested_without_end_is_a_fault() -> None:
    assert refusal(500, '{"error":' * 50_000).cause is Cause.SERVER
    assert refusal(500, '{"error":' * 500 + "1" + "}" * 500).cause is Cause.SERVER


def refusal(status: int, body: str) -> Fault:
    return read_fault(status, NO_HEADERS.get, body.encode())
