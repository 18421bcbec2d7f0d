"""Every error Tollway answers with, as one tree, and nothing else.

::

    GatewayError
    ├── ClientError                      the caller can mend it
    │   ├── InvalidRequest               400 invalid_request
    │   ├── ContentBlocked               400 content_blocked
    │   ├── AnswerBlocked                400 content_filter: the model's answer, not the request
    │   ├── Unauthenticated              401 invalid_api_key
    │   ├── Forbidden                    403 permission_denied
    │   │   ├── ModelForbidden           403 model_not_allowed
    │   │   └── ModelUnpriced            403 model_unpriced
    │   ├── NotFound                     404 not_found
    │   │   └── ModelNotFound            404 model_not_found
    │   ├── MethodNotAllowed             405 method_not_allowed
    │   ├── RequestTimeout               408 request_timeout
    │   ├── Conflict                     409 conflict
    │   ├── BodyTooLarge                 413 request_too_large
    │   ├── RateLimited                  429 rate_limit_exceeded
    │   ├── RequestTooLargeForLimit      429 request_exceeds_limit, waiting does not help
    │   └── NothingToSpend               429 insufficient_quota, waiting does not help
    ├── UpstreamError                    the provider failed
    │   ├── UpstreamUnreachable          502 upstream_unreachable
    │   ├── UpstreamBroken               502 upstream_broken: an answer that is cut or no answer at all
    │   ├── UpstreamUnavailable          503 upstream_unavailable
    │   ├── UpstreamLimited              429 upstream_rate_limited: the provider's limit, not the caller's
    │   └── UpstreamTimeout              504 upstream_timeout
    ├── CacheMissed                      504 cache_miss: the caller wanted an answer that is kept, or none
    ├── DependencyUnavailable            503 dependency_unavailable: our own database is out of reach
    ├── ServerBusy                       503 server_busy: more is arriving than this instance holds at once
    ├── ServerDraining                   503 server_draining
    └── InternalError                    500 internal_error

Each class carries a stable ``code``, a ``status``, the ``type`` of OpenAI's envelope, whether the same call may
succeed later (``retryable``) and a metric label. Two voices: ``outside`` is what a client reads and holds no
secret, no payload and no address; ``inside`` is for the log. ``wire.error_envelope`` is the one renderer.
"""

from typing import ClassVar


class GatewayError(Exception):
    """The root. ``param`` names the field of the request at fault, as OpenAI's envelope does."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        outside: str,
        *,
        inside: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(outside)
        self.outside = outside
        self.inside = inside or outside
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def metric_label(self) -> str:
        """One of the codes of this file: bounded by construction."""
        return self.code


class ClientError(GatewayError):
    """The caller's to mend: never counted against a provider."""

    status = 400
    code = "bad_request"
    type = "invalid_request_error"


class InvalidRequest(ClientError):
    """The body can't be understood, or a field has a value that no provider takes."""

    code = "invalid_request"


class ContentBlocked(ClientError):
    """A guardrail refuses the request's content."""

    code = "content_blocked"


class AnswerBlocked(ClientError):
    """A guardrail refuses what the model has answered. The provider has done its work, and is paid for it."""

    code = "content_filter"


class Unauthenticated(ClientError):
    """No key, or one that is unknown, revoked or expired."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class Forbidden(ClientError):
    """The key is known, but lacks the scope."""

    status = 403
    code = "permission_denied"
    type = "permission_error"


class ModelForbidden(Forbidden):
    """The key or its tenant may not use this model."""

    code = "model_not_allowed"


class ModelUnpriced(Forbidden):
    """Nobody knows what the model costs, and the configuration serves no such model (``billing.unpriced: refuse``)."""

    code = "model_unpriced"


class NotFound(ClientError):
    """No such path or object."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No such model alias."""

    code = "model_not_found"


class MethodNotAllowed(ClientError):
    """The path exists; the method does not."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(ClientError):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    retryable = True


class Conflict(ClientError):
    """It exists already, or is managed by the config file."""

    status = 409
    code = "conflict"


class BodyTooLarge(ClientError):
    """The body is larger than ``server.max_body``."""

    status = 413
    code = "request_too_large"


class RateLimited(ClientError):
    """A limit is used up; ``retry_after_s`` says when to come back."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"
    retryable = True


class RequestTooLargeForLimit(ClientError):
    """The request alone is larger than its limit: waiting does not help."""

    status = 429
    code = "request_exceeds_limit"
    type = "rate_limit_error"


class NothingToSpend(ClientError):
    """A budget has too little left for the call, or the caller may spend nothing and nothing that serves it is free."""

    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"


class UpstreamError(GatewayError):
    """The provider failed."""

    status = 502
    code = "upstream_error"
    type = "upstream_error"
    retryable = True


class UpstreamUnreachable(UpstreamError):
    """No connection: name, address, TLS or refusal."""

    code = "upstream_unreachable"


class UpstreamBroken(UpstreamError):
    """The connection died, or the answer is not HTTP or is cut."""

    code = "upstream_broken"


class UpstreamUnavailable(UpstreamError):
    """No target can be asked now: they have failed, are drained, or asked to be left alone."""

    status = 503
    code = "upstream_unavailable"


class UpstreamLimited(UpstreamError):
    """Every target has said that too much is asked of it; ``retry_after_s`` says when the first may be asked again."""

    status = 429
    code = "upstream_rate_limited"
    type = "rate_limit_error"


class UpstreamTimeout(UpstreamError):
    """The provider took longer than the route's timeouts allow."""

    status = 504
    code = "upstream_timeout"


class CacheMissed(GatewayError):
    """No answer is kept that serves the call, which wanted nothing else (RFC 9111, section 5.2.1.7)."""

    status = 504
    code = "cache_miss"


class DependencyUnavailable(GatewayError):
    """Something of our own that the answer depends on is out of reach."""

    status = 503
    code = "dependency_unavailable"
    retryable = True


class ServerBusy(GatewayError):
    """More arrives at this instance than it can hold at once."""

    status = 503
    code = "server_busy"
    retryable = True


class ServerDraining(GatewayError):
    """This instance is shutting down; another one will serve."""

    status = 503
    code = "server_draining"
    retryable = True


class InternalError(GatewayError):
    """A defect of ours. The log has the cause; the client gets the request id."""

    code = "internal_error"


def label_of(error: Exception) -> str:
    """The metric label of any exception; one outside the tree counts as an :class:`InternalError`."""
    return error.metric_label if isinstance(error, GatewayError) else InternalError.code


def every_error() -> tuple[type[GatewayError], ...]:
    """Every class of the tree, root first."""

    def below(root: type[GatewayError]) -> list[type[GatewayError]]:
        return [root, *(found for child in root.__subclasses__() for found in below(child))]

    return tuple(below(GatewayError))
