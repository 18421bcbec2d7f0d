"""What the simulator refuses with, in OpenAI's words: its status, type and code of each cause."""

from typing import NamedTuple

import msgspec


class _Detail(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(msgspec.Struct):
    error: _Detail


class Refusal(Exception):
    """A call that ends with OpenAI's error envelope instead of an answer."""

    def __init__(self, status: int, message: str, *, type_: str, code: str | None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self._detail = _Detail(message, type_, param, code)

    @property
    def body(self) -> bytes:
        """``{"error": {message, type, param, code}}`` as JSON."""
        return msgspec.json.encode(_Envelope(self._detail))


class _Cause(NamedTuple):
    message: str
    type: str
    code: str | None


_BROKEN = _Cause("The server had an error while processing your request. Sorry about that!", "server_error", None)
_INVALID = _Cause("The simulator was told to refuse this request.", "invalid_request_error", None)

_CAUSES = {
    401: _Cause("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: _Cause("You are not allowed to use this model.", "invalid_request_error", "model_not_allowed"),
    404: _Cause("This model does not exist, or is not yours to use.", "invalid_request_error", "model_not_found"),
    413: _Cause("The request is too large.", "invalid_request_error", "request_too_large"),
    429: _Cause("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    503: _Cause("The engine is currently overloaded, please try again later.", "server_error", "engine_overloaded"),
}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Refusal:
    """A 400: the request can't be understood, or asks for what does not exist."""
    return Refusal(400, message, type_="invalid_request_error", code=code, param=param)


def unknown_model(model: str, hint: str) -> Refusal:
    """A 404, as for a model that does not exist; ``hint`` says what would."""
    message = f"The model `{model}` does not exist or you do not have access to it. {hint}"
    return Refusal(404, message, type_="invalid_request_error", code="model_not_found", param="model")


def of_status(status: int) -> Refusal:
    """What OpenAI would say with this status (400 to 599)."""
    cause = _CAUSES.get(status, _BROKEN if status >= 500 else _INVALID)
    return Refusal(status, cause.message, type_=cause.type, code=cause.code)
