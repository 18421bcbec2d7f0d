"""What the words of an OpenAI-like refusal mean: its code and type first, then its text, then its status.

One table for all that speak the dialect, read by shape and not by name: gateways and hosts in between (OpenRouter,
Azure, a proxy before vLLM) pass on each other's errors.
Sources: recorded answers; platform.openai.com "Error codes"; learn.microsoft.com "Content filtering"; console.groq.com
"API error codes"; openrouter.ai "Errors and debugging"; api-docs.deepseek.com "Error codes"; docs.x.ai "Debugging
errors"; docs.cohere.com "Errors"; inference-docs.cerebras.ai "Error codes"; the texts of vLLM, SGLang, llama.cpp, TGI.
"""

import re
from collections.abc import Iterable, Mapping

from tollway.proxy.causes import Cause, cause_of

_OF_CODE: Mapping[str, Cause] = {
    "context_length_exceeded": Cause.CONTEXT_WINDOW,
    "context_window_exceeded": Cause.CONTEXT_WINDOW,
    "exceed_context_size_error": Cause.CONTEXT_WINDOW,
    "too_many_prompt_tokens": Cause.CONTEXT_WINDOW,
    "model_max_prompt_tokens_exceeded": Cause.CONTEXT_WINDOW,
    "tokens_limit_reached": Cause.CONTEXT_WINDOW,
    "content_filter": Cause.CONTENT_POLICY,
    "content_policy_violation": Cause.CONTENT_POLICY,
    "responsibleaipolicyviolation": Cause.CONTENT_POLICY,
    "moderation_blocked": Cause.CONTENT_POLICY,
    "invalid_prompt": Cause.CONTENT_POLICY,
    "data_inspection_failed": Cause.CONTENT_POLICY,
    "tool_use_failed": Cause.BAD_GENERATION,
    "json_validate_failed": Cause.BAD_GENERATION,
    "invalid_api_key": Cause.BAD_KEY,
    "wrong_api_key": Cause.BAD_KEY,
    "api_key_invalid": Cause.BAD_KEY,
    "invalid_authentication_error": Cause.BAD_KEY,
    "account_deactivated": Cause.BAD_KEY,
    "unrecognizedclientexception": Cause.BAD_KEY,
    "invalidsignatureexception": Cause.BAD_KEY,
    "expiredtokenexception": Cause.BAD_KEY,
    "missing_scope": Cause.FORBIDDEN,
    "accessdeniedexception": Cause.FORBIDDEN,
    "model_not_found": Cause.NOT_FOUND,
    "model_not_available": Cause.NOT_FOUND,
    "invalid_model": Cause.NOT_FOUND,
    "deploymentnotfound": Cause.NOT_FOUND,
    "resourcenotfoundexception": Cause.NOT_FOUND,
    "insufficient_quota": Cause.QUOTA,
    "insufficient_balance": Cause.QUOTA,
    "insufficient_credits": Cause.QUOTA,
    "billing_hard_limit_reached": Cause.QUOTA,
    "billing_not_active": Cause.QUOTA,
    "billing_error": Cause.QUOTA,
    "servicequotaexceededexception": Cause.QUOTA,
    "request_quota_exceeded": Cause.RATE_LIMIT,  # Cerebras means the requests of a second
    "token_quota_exceeded": Cause.RATE_LIMIT,
    "resource_exhausted": Cause.RATE_LIMIT,  # Google's, whose text speaks of billing also where a minute is over
    "throttlingexception": Cause.RATE_LIMIT,
    "engine_overloaded": Cause.OVERLOADED,
    "engine_overloaded_error": Cause.OVERLOADED,
    "overloaded_error": Cause.OVERLOADED,
    "modelnotreadyexception": Cause.OVERLOADED,
    "serviceunavailableexception": Cause.OVERLOADED,
    "modeltimeoutexception": Cause.TIMEOUT,
    "modelerrorexception": Cause.SERVER,
    "modelstreamerrorexception": Cause.SERVER,
}
"""Codes, and types, that say more than any status."""

_OF_TYPE: Mapping[str, Cause] = {
    "invalid_request_error": Cause.INVALID,
    "invalid_request": Cause.INVALID,
    "invalid_argument": Cause.INVALID,
    "badrequesterror": Cause.INVALID,
    "validationexception": Cause.INVALID,
    "authentication_error": Cause.BAD_KEY,
    "unauthenticated": Cause.BAD_KEY,
    "permission_error": Cause.FORBIDDEN,
    "permission_denied": Cause.FORBIDDEN,
    "not_found_error": Cause.NOT_FOUND,
    "not_found": Cause.NOT_FOUND,
    "notfounderror": Cause.NOT_FOUND,
    "request_too_large": Cause.TOO_LARGE,
    "rate_limit_error": Cause.RATE_LIMIT,
    "rate_limit_exceeded": Cause.RATE_LIMIT,
    "too_many_requests": Cause.RATE_LIMIT,
    "too_many_requests_error": Cause.RATE_LIMIT,
    "requests": Cause.RATE_LIMIT,
    "tokens": Cause.RATE_LIMIT,
    "timeout": Cause.TIMEOUT,
    "timeout_error": Cause.TIMEOUT,
    "deadline_exceeded": Cause.TIMEOUT,
    "overloaded": Cause.OVERLOADED,
    "unavailable": Cause.OVERLOADED,
    "service_unavailable": Cause.OVERLOADED,
    "service_unavailable_error": Cause.OVERLOADED,
    "server_error": Cause.SERVER,
    "api_error": Cause.SERVER,
}
"""Types that say no more than a status does; read where there is none, inside a stream."""

_REQUEST = (Cause.INVALID, Cause.TOO_LARGE, Cause.RATE_LIMIT, Cause.SERVER)
_ACCOUNT = (Cause.INVALID, Cause.FORBIDDEN, Cause.RATE_LIMIT)

_CONTEXT = re.compile(
    r"(maximum|max|available|model'?s?|the) (model |total )?context (length|window|size)"
    r"|context[ _](length|window|size|limit)( is|s)? (exceed|full|overflow)|context window exceeds|exceed context limit"
    r"|(exceed\w*|longer than|beyond|over) (the |this |its |your |model'?s? )*(maximum |max )?"
    r"(context|prompt|input|model) ?(window|length|size|token)"
    r"|maximum (prompt|input|model) length|(prompt|input|message|conversation)s? (is |are )?too long"
    r"|prompt exceeds max length|range of input length should be|input token count|number of input tokens"
    r"|input tokens exceed|too many (prompt |input )?tokens|exceed\w* model token limit|prompt token count of"
    r"|reduce the length of the (messages|prompt|input)|max_new_tokens` must be|must have less than \d{1,9} tokens"
    r"|request body too large for .{1,100} model",
    re.IGNORECASE,
)
_FOR_LIMIT = re.compile(r"request too large\b.{0,300}\b(per min|per day|tpm|rpm|tpd|limit)", re.IGNORECASE | re.DOTALL)
_PER_MINUTE = re.compile(r"\blimit:? (\d{1,12})\b[^\n]{0,100}\brequested:? (\d{1,12})\b", re.IGNORECASE)
_MONEY = re.compile(
    r"insufficient (account |prepaid )?(balance|credit|fund|quota)|credit balance is too low|out of credits"
    r"|exceeded your current quota|(used all|no) (available|remaining) credits|credits? (limit|are depleted|exhausted)"
    r"|requires more credits|can only afford|monthly spend|spending limit|(key|billing hard) limit (exceeded|has been)"
    r"|billing (account|is not active)|api usage limits|payment required|check your plan and billing|in arrears",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content (management|filtering|filter|usage|safety|moderation) (policy|system)|content[ _](policy|filter)"
    r"|usage (polic|guideline)|safety (system|guideline|check)|(was|were|been|input) flagged|content exists risk"
    r"|inappropriate content|responsible ?ai|(requires|by|failed) moderation",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(incorrect|invalid|wrong|missing|expired|no) (api|subscription|authentication|auth)[ -]?(key|token|cred)"
    r"|api key (is |was |has )?(not valid|invalid|expired|disabled|revoked|blocked|leaked|not found|missing)"
    r"|(invalid|no) (authentication|authorization|auth) credentials|reported as leaked",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"model\b.{0,160}\b(does ?n[o']t exist|not exist|not found|not a valid model|is not available|has been deprecated"
    r"|decommissioned)|(invalid|unknown|no such) model\b|not a valid model|model[_ ]not[_ ]found|no endpoints found",
    re.IGNORECASE | re.DOTALL,
)
_SCOPE = re.compile(r"insufficient permissions|missing scopes?", re.IGNORECASE)
_BUSY = re.compile(
    r"overloaded|over(?:[ -])?capacity|at capacity|no healthy upstream|upstream connect error|temporarily unavailable"
    r"|service unavailable|server is busy|try again later due to high",
    re.IGNORECASE,
)

_RULES: tuple[tuple[re.Pattern[str], tuple[Cause, ...], Cause], ...] = (
    (_FOR_LIMIT, (Cause.TOO_LARGE, Cause.RATE_LIMIT), Cause.TOO_LARGE_FOR_LIMIT),
    (_CONTEXT, _REQUEST, Cause.CONTEXT_WINDOW),
    (_KEY, (Cause.INVALID, Cause.FORBIDDEN), Cause.BAD_KEY),
    (_MONEY, _ACCOUNT, Cause.QUOTA),
    (_POLICY, (Cause.INVALID, Cause.FORBIDDEN), Cause.CONTENT_POLICY),
    (_MODEL, (Cause.INVALID,), Cause.NOT_FOUND),
    (_SCOPE, (Cause.BAD_KEY,), Cause.FORBIDDEN),
    (_BUSY, (Cause.SERVER,), Cause.OVERLOADED),
)
"""Words, the causes that they may refine, and what they mean; the first that fits holds."""

READ_CHARACTERS = 4096
"""As much of a message is searched for words."""


def cause_from(status: int | None, names: Iterable[str], message: str) -> Cause:
    """The cause of a refusal. ``names`` are its codes and types, the most telling first; ``status`` is ``None`` where
    none is told, as inside a stream."""
    lowered = [name.lower() for name in names]
    for name in lowered:
        if (told := _OF_CODE.get(name)) is not None:
            return told
    if status is None:
        cause = next((_OF_TYPE[name] for name in lowered if name in _OF_TYPE), Cause.SERVER)
    else:
        cause = cause_of(status)
    text = message[:READ_CHARACTERS]
    if cause is Cause.RATE_LIMIT and _asks_for_more_than_all(text):
        return Cause.TOO_LARGE_FOR_LIMIT
    return next((told for words, of, told in _RULES if cause in of and words.search(text)), cause)


def _asks_for_more_than_all(text: str) -> bool:
    """``Limit 6000, Used 0, Requested 7000``: no waiting makes room for that."""
    found = _PER_MINUTE.search(text)
    return found is not None and int(found[2]) > int(found[1])
