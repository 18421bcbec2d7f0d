"""Requests and answers as bytes: read, rewritten and counted without building the messages (stations 1 to 8).

A request's fields that Tollway does not know pass through untouched, byte for byte. Encodings are `cl100k_base` and
`o200k_base`; another raises ValueError.
"""

from typing import Literal, final

__all__ = ["CacheKeys", "ChatAnswer", "ChatRequest", "InvalidRequest", "Usage", "read_answer", "read_request"]

class InvalidRequest(ValueError):
    """A request that is refused with status 400; its text is for the client and quotes nothing of the body."""

    param: str | None
    """The parameter at fault; None when the body is not JSON."""
    code: str | None
    """OpenAI's code where it has one: `invalid_type`, `missing_required_parameter`…"""

@final
class ChatRequest:
    """A checked request. Holds the body it was read from, and nothing of it twice but the names."""

    @property
    def body(self) -> bytes:
        """The very object it was read from."""

    @property
    def operation(self) -> str:
        """What is asked for, as `tollway.contract.snapshot.Operation` names it."""

    @property
    def numbered(self) -> int:
        """How many tokens of the prompt came as numbers: what they say can't be screened."""

    @property
    def model(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def include_usage(self) -> bool:
        """Whether the client asked for usage in its stream. Only a chat and a continuation must be asked."""

    @property
    def n(self) -> int:
        """How many choices are asked for: 1 to 128; for each prompt that is to be continued."""

    @property
    def max_tokens(self) -> int | None:
        """The bound on each choice: `max_completion_tokens`, else `max_tokens`; `max_output_tokens` of a response."""

    @property
    def user(self) -> str | None:
        """The client's own name for its end user: `user`; else, of a response, `safety_identifier`; of a message,
        `metadata.user_id`."""

    @property
    def messages(self) -> int:
        """The number of messages or items, or of texts."""

    @property
    def text_bytes(self) -> int:
        """Bytes of all text a model reads, escapes undone."""

    def needs(self) -> frozenset[Literal["vision", "audio", "documents", "tools", "json_schema"]]:
        """What it needs of a model beyond text; files that are only named by an id are not among it."""

    def metadata(self) -> dict[str, str]:
        """The texts that the client noted under `metadata`, by name: the first 32, and of 4 KiB at most."""

    def conversation(self) -> int:
        """64 bits of what stays the same from a conversation's first call to its last: what systems say before the
        first user, and what that one says. The same on every host; 0 when there is no such text."""

    def prefix(self) -> int:
        """64 bits of the first 4 KiB of the prompt's texts, systems first; 0 when there are none."""

    def cache_keys(self, scope: str, model: str) -> CacheKeys:
        """What a cache knows it by. `scope` is whose answers they are, `model` the alias, whatever the body names."""

    def render(self, model: str, ask_usage: bool) -> bytes:
        """The body for an upstream: `model` replaced and, with `ask_usage` in a stream of a chat or a continuation,
        `stream_options.include_usage` set. Every other byte is the client's; with nothing to change it is `body`."""

    def prompt_upper_bound(self) -> int:
        """A bound from above on `count_prompt`, in tokens, that costs nothing to know. What lies with the provider (the
        response or conversation that is continued, a stored prompt) is in neither."""

    def count_prompt(self, encoding: str) -> int:
        """The prompt's tokens: texts and chat overhead exactly, tool definitions as their JSON text and images as
        765 each, which are approximations."""

@final
class CacheKeys:
    """What makes a request's answer the same as another's: SHA-256 over JSON in one spelling. Strings count unescaped,
    numbers by their exact value (`1`, `1.0` and `1e0` are the same; two that a double would mix up are not), keys in
    any order, white space and top-level nulls not at all. A key that stands twice counts twice.

    What changes nothing of an answer does not count: `stream`, `stream_options`, `user`, `safety_identifier`,
    `metadata`, `store`, `service_tier`, `prompt_cache_key`, `prompt_cache_retention`, and `cache_control` of the
    request, its turns, their parts and its tools, but not what arguments and schemas call so. Everything else does,
    also fields that nobody knows. Of responses `store: false` counts: what was not kept can't be continued."""

    @property
    def key(self) -> bytes:
        """32 bytes, over scope, operation, model and all of the request."""

    @property
    def namespace(self) -> bytes | None:
        """32 bytes over all of it but the text of the last turn; None unless that is a user's, and text alone, of a
        chat, a message or a response."""

    @property
    def question(self) -> str | None:
        """The text of the last turn, never empty, where there is a namespace; parts are joined by line feeds."""

    @property
    def temperature(self) -> float | None:
        """As the request asks."""

    @property
    def is_cacheable(self) -> bool:
        """Whether its answer follows from what it says: not where the provider keeps or fetches something for it
        (`previous_response_id`, `conversation`, `background`, `prompt`, `store: true`, tools that it runs itself,
        files by their id, addresses of images), nor for sound, images and forms, nor where a field stands twice whose
        reader may go by either."""

def read_request(body: bytes, operation: str = "chat") -> ChatRequest:
    """Checks a request: strict JSON, at most 128 levels deep, with a `model`. Of operations that come as a form
    (`image_edits`, `transcriptions`, `translations`) the fields of the form, as JSON.

    Raises InvalidRequest in OpenAI's words, ValueError for an operation that is none. From 128 KiB on it works without
    the interpreter, as do `read_answer` and `render`: then call it from a thread."""

@final
class Usage:
    """Tokens as the provider told them, whatever it calls them; None where it told nothing."""

    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None:
        """The tokens to bill: with reasoning, also from those who leave it out of the completion (xAI)."""

    @property
    def total_tokens(self) -> int | None:
        """The total as told."""

    @property
    def cached_tokens(self) -> int | None:
        """Prompt tokens read from the provider's cache. Upstreams have told more than the whole prompt."""

    @property
    def cache_write_tokens(self) -> int | None:
        """Prompt tokens written to the provider's cache."""

    @property
    def cache_write_1h_tokens(self) -> int | None:
        """Those of them that are kept for an hour (Anthropic)."""

    @property
    def reasoning_tokens(self) -> int | None: ...
    @property
    def audio_prompt_tokens(self) -> int | None: ...
    @property
    def cached_audio_tokens(self) -> int | None:
        """Those of the prompt's sound that were read from the provider's cache."""

    @property
    def audio_completion_tokens(self) -> int | None: ...
    @property
    def image_prompt_tokens(self) -> int | None: ...
    @property
    def image_completion_tokens(self) -> int | None: ...
    @property
    def audio_ms(self) -> int | None:
        """How long the sound is that was heard, in milliseconds, where it is billed by time."""

    @property
    def service_tier(self) -> str | None:
        """The provider's word for how it served the call, in lower case: `default`, `priority`."""

@final
class ChatAnswer:
    """A whole answer of an upstream in the operation's dialect, or its error envelope."""

    @property
    def model(self) -> str | None: ...
    @property
    def choices(self) -> int:
        """The number of choices; 1 of a message or a response; of images, results or verdicts, their number."""

    @property
    def finish_reasons(self) -> list[str]:
        """In the dialect's words: of a message its `stop_reason`, of a response its status or the reason why it is
        incomplete."""

    @property
    def error(self) -> bool:
        """Whether it is an error envelope, in any of the shapes upstreams give it."""

    @property
    def usage(self) -> Usage: ...
    def count_completion(self, encoding: str) -> int:
        """The tokens of everything the choices say, for when no usage was told. Works without the interpreter."""

def read_answer(body: bytes, operation: str = "chat") -> ChatAnswer:
    """Reads an answer. Raises ValueError for what is not a JSON object, and for an operation that is none."""
