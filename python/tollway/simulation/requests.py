"""What the simulator reads of a chat request. Fields that it has no use for are passed over, like a newer client's."""

import re
from typing import Annotated, Any, Literal

import msgspec

from tollway.simulation.refusals import Refusal, invalid

MESSAGE_ROLES = Literal["developer", "system", "user", "assistant", "tool", "function"]


class CalledFunction(msgspec.Struct):
    """A function that the model called in an earlier turn."""

    name: str
    arguments: str = ""


class EarlierCall(msgspec.Struct):
    """A tool call of an earlier turn; ``function`` is missing for tools of other types."""

    id: str
    function: CalledFunction | None = None


class Part(msgspec.Struct):
    """A part of a message: ``text``, ``image_url``, ``input_audio``, ``file``…"""

    type: str
    text: str | None = None


class Message(msgspec.Struct):
    """A turn of the conversation."""

    role: MESSAGE_ROLES
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[EarlierCall] | None = None
    tool_call_id: str | None = None

    @property
    def parts(self) -> list[Part]:
        """The content as parts, whichever way it was sent."""
        if isinstance(self.content, str):
            return [Part("text", self.content)]
        return self.content or []

    @property
    def text(self) -> str:
        """Everything of the content that is text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.parts if part.text)


class Function(msgspec.Struct):
    """What a tool offers: ``parameters`` is a JSON schema; none means no arguments."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class FunctionName(msgspec.Struct):
    """A function by its name."""

    name: str


class ChosenTool(msgspec.Struct):
    """``tool_choice`` as an object: the one function that must be called."""

    type: Literal["function"]
    function: FunctionName


class NamedSchema(msgspec.Struct):
    """The schema of ``response_format: json_schema``."""

    name: str
    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    """What form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(msgspec.Struct):
    """``include_usage`` asks for a last chunk with the token counts."""

    include_usage: bool = False


Positive = Annotated[int, msgspec.Meta(ge=1)]


class ChatRequest(msgspec.Struct):
    """The body of ``POST /v1/chat/completions``."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    stop: str | Annotated[list[str], msgspec.Meta(max_length=4)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    metadata: dict[str, Any] | None = None

    @property
    def tokens_allowed(self) -> int | None:
        """The cap on the answer's tokens, by its newer or its older name."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """The texts that end the answer; empty ones end nothing."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with the usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage


_FAULT = re.compile(r"(?P<fault>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")
_NOT_JSON = "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload."


def read(body: bytes) -> ChatRequest:
    """The request in ``body``.

    Raises:
        Refusal: 400, with the field at fault as ``param``, as OpenAI does.
    """
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(_NOT_JSON) from error
    _agree(request)
    return request


def _fault(said: str) -> Refusal:
    """msgspec's "Expected `int`, got `str` - at `$.messages[0].role`" in OpenAI's words."""
    found = _FAULT.fullmatch(said)
    fault, path = (found["fault"], found["path"] or "") if found else (said, "")
    missing = _MISSING.fullmatch(fault)
    if missing:
        param = f"{path}.{missing['field']}" if path else missing["field"]
        return invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if not path:
        return invalid(_NOT_JSON)
    code = "invalid_type" if ", got " in fault else "invalid_value"
    return invalid(f"Invalid value for '{path}': {fault}.", param=path, code=code)


def _agree(request: ChatRequest) -> None:
    """Refuse fields that contradict each other."""
    if request.top_logprobs is not None and not request.logprobs:
        raise invalid("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs", code="invalid_value")
    if request.stream_options is not None and not request.stream:
        raise invalid("'stream_options' is only allowed with 'stream'.", param="stream_options", code="invalid_value")
    if request.tool_choice not in (None, "none") and not request.tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are given.", param="tool_choice")
    if isinstance(request.tool_choice, ChosenTool):
        name = request.tool_choice.function.name
        if name not in {tool.function.name for tool in request.tools or []}:
            raise invalid(f"Tool choice '{name}' is not in 'tools'.", param="tool_choice", code="invalid_value")
    form = request.response_format
    named = form.json_schema if form is not None else None
    if form is not None and form.type == "json_schema" and (named is None or named.schema is None):
        param = "response_format.json_schema"
        raise invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
