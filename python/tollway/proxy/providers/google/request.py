"""A chat request as Gemini's ``GenerateContentRequest``.

In: the request's JSON as an object. Out: Google's, and the names of the parameters that Gemini can't take and that
were left out. Content that it can't take is refused instead: a model that answers half a question is worse than none.
"""

import binascii
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.answered import Part as AnsweredPart
from tollway.proxy.providers.google.answered import held
from tollway.proxy.providers.google.media import Part, parts_of, text_of
from tollway.proxy.providers.google.parameters import Parameters
from tollway.proxy.providers.google.thinking import generation
from tollway.proxy.providers.google.tools import tools_of
from tollway.proxy.providers.traces import without_thoughts

MADE_ID_PREFIX = "call_made_"
"""How an id begins that was made here, for a call to which Gemini gave none. It is not told to Gemini."""

SKIP_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Stands where a signature is missing (base64 of ``skip_thought_signature_validator``).

Gemini 3 refuses a turn of calls without one. Calls that another provider's model made have none.
Source: ai.google.dev, "Thought signatures", on histories of other models.
"""


class Translated(msgspec.Struct, frozen=True):
    """Google's request. ``warnings`` names the parameters that were left out, each once."""

    body: dict[str, Any]
    stream: bool
    warnings: tuple[str, ...]


def translate(asked: dict[str, Any], model: str) -> Translated:
    """The request for ``model``.

    Raises:
        InvalidRequest: it can't be understood, or holds content that Gemini does not take.
    """
    warnings: list[str] = []
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' is to be a list with at least one message.", param="messages")
    conversation = _Conversation(model, warnings)
    for number, message in enumerate(messages):
        conversation.add(message, f"messages[{number}]")
    body = conversation.body() | tools_of(asked)
    Parameters(asked, model, warnings).put(body)
    return Translated(body, asked.get("stream") is True, tuple(dict.fromkeys(warnings)))


class _Conversation:
    """Turns as Gemini wants them: the user's and the model's in alternation, the user's first."""

    def __init__(self, model: str, warnings: list[str]) -> None:
        version = generation(model)
        self._checks_signatures = version >= (3, 0) if version else model.startswith("gemini-")
        self._warnings = warnings
        self._system: list[Part] = []
        self._turns: list[dict[str, Any]] = []
        self._calls: dict[str, tuple[str, int]] = {}  # a call's id: its function, and its place among all calls
        self._answers: list[tuple[int, Part]] = []
        self._shown: list[Part] = []

    def body(self) -> dict[str, Any]:
        """``contents`` and ``systemInstruction``."""
        self._put_answers()
        if not self._turns:
            raise InvalidRequest("The conversation holds nothing to answer.", param="messages")
        if self._turns[0]["role"] == "model":
            # A conversation that the assistant opens is legal to OpenAI and not to Gemini; a blank says the least.
            self._turns.insert(0, {"role": "user", "parts": [{"text": " "}]})
        body: dict[str, Any] = {"contents": self._turns}
        if self._system:
            body["systemInstruction"] = {"parts": self._system}
        return body

    def add(self, message: Any, where: str) -> None:
        """The next message."""
        role = message.get("role") if isinstance(message, dict) else None
        if role == "tool":
            self._answers.append(self._answer(message, where))
            return
        self._put_answers()
        if role in ("system", "developer"):
            self._system += [{"text": text} for text in text_of(message.get("content"), f"{where}.content")]
        elif role == "user":
            self._put("user", parts_of(message.get("content"), f"{where}.content", self._warnings))
        elif role == "assistant":
            self._put("model", self._model_parts(message, where))
        else:
            known = "'system', 'developer', 'user', 'assistant' or 'tool'"
            raise InvalidRequest(f"A message is of the role {known}.", param=f"{where}.role")
        if message.get("name"):
            self._warnings.append("name")

    def _put(self, role: str, parts: list[Part]) -> None:
        if not parts:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["parts"] += parts
        else:
            self._turns.append({"role": role, "parts": parts})

    def _put_answers(self) -> None:
        """Tool messages in a row make one turn, in the calls' order: a call without an id is known by its place.

        A ``functionResponse`` holds JSON only: images and files among the results stand behind all of them.
        """
        self._put("user", [part for _, part in sorted(self._answers, key=lambda answer: answer[0])] + self._shown)
        self._answers, self._shown = [], []

    def _answer(self, message: dict[str, Any], where: str) -> tuple[int, Part]:
        identifier = message.get("tool_call_id")
        if not isinstance(identifier, str) or not identifier:
            raise InvalidRequest("A tool message needs a 'tool_call_id'.", param=f"{where}.tool_call_id")
        name, place = self._calls.get(identifier, (message.get("name"), len(self._calls)))
        if not isinstance(name, str) or not name:
            raise InvalidRequest("No tool call before has this id.", param=f"{where}.tool_call_id")
        texts = self._texts_of_result(message.get("content"), f"{where}.content")
        result = _result("".join(texts), failed=message.get("is_error") is True)
        response: dict[str, Any] = {"name": name, "response": result}
        if not identifier.startswith(MADE_ID_PREFIX):
            response["id"] = identifier
        return place, {"functionResponse": response}

    def _texts_of_result(self, content: Any, where: str) -> list[str]:
        """The texts of a tool's result; what else it holds is shown behind the results."""
        if not isinstance(content, list):
            return text_of(content, where)
        parts = parts_of(content, where, self._warnings)
        self._shown += [part for part in parts if "text" not in part]
        return [part["text"] for part in parts if "text" in part]

    def _model_parts(self, message: dict[str, Any], where: str) -> list[Part]:
        if message.get("function_call"):
            raise InvalidRequest("'function_call' has been replaced by 'tool_calls'.", param=f"{where}.function_call")
        if message.get("audio") and not message.get("content"):
            raise InvalidRequest("The provider can't hear sound of another provider.", param=f"{where}.audio")
        own = _googles(message)
        parts = _own_parts(own.get("parts"), f"{where}.extra_content")
        content = without_thoughts(message.get("content"))
        texts = text_of(content, f"{where}.content") or text_of(message.get("refusal"), where)
        said: list[Part] = [{"text": text} for text in texts]
        if signature := _signature(own, where):
            said = said or [{"text": ""}]
            said[-1]["thoughtSignature"] = signature
        return parts + said + self._call_parts(message.get("tool_calls"), f"{where}.tool_calls")

    def _call_parts(self, calls: Any, where: str) -> list[Part]:
        if calls is None:
            return []
        if not isinstance(calls, list):
            raise InvalidRequest("'tool_calls' is to be a list.", param=where)
        parts = [self._call_part(call, f"{where}[{number}]") for number, call in enumerate(calls)]
        if parts and self._checks_signatures and not any("thoughtSignature" in part for part in parts):
            parts[0]["thoughtSignature"] = SKIP_SIGNATURE  # of parallel calls, the first one carries it
        return parts

    def _call_part(self, call: Any, where: str) -> Part:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
            raise InvalidRequest("A tool call needs a function with a name.", param=where)
        called: dict[str, Any] = {"name": name, "args": _arguments(function.get("arguments"), where)}
        identifier = call.get("id")
        if isinstance(identifier, str) and identifier:
            self._calls[identifier] = (name, len(self._calls))
            if not identifier.startswith(MADE_ID_PREFIX):
                called["id"] = identifier
        part: Part = {"functionCall": called}
        if signature := _signature(_googles(call), where):
            part["thoughtSignature"] = signature
        return part


def _arguments(arguments: Any, where: str) -> msgspec.Raw | dict[str, Any]:
    """A call's arguments, passed on as they were written, so that no number changes on the way."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    if isinstance(arguments, str) and (written := _object(arguments)) is not None:
        return written
    message = "The arguments of a tool call are to be a JSON object, as text."
    raise InvalidRequest(message, param=f"{where}.function.arguments")


def _result(text: str, *, failed: bool) -> msgspec.Raw | dict[str, Any]:
    """A tool's result as the object that Gemini wants it to be; ``error`` is its own word for a failure."""
    written = None if failed else _object(text)
    return {"error" if failed else "result": text} if written is None else written


def _object(text: str) -> msgspec.Raw | None:
    """The text as JSON if it is an object."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        written = text.encode()
        msgspec.json.decode(written)
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(written)


def _googles(carrier: dict[str, Any]) -> dict[str, Any]:
    """``extra_content.google`` of a message or of a tool call: what Gemini said beside OpenAI's fields."""
    extra = carrier.get("extra_content")
    own = extra.get("google") if isinstance(extra, dict) else None
    return own if isinstance(own, dict) else {}


def _own_parts(kept: Any, param: str) -> list[Part]:
    """Parts that OpenAI has no place for, as the answer carried them."""
    if kept is None:
        return []
    try:
        parts = [held(part) for part in msgspec.convert(kept, list[AnsweredPart])]
    except msgspec.ValidationError:
        raise InvalidRequest("'parts' are to be sent back as they came.", param=param) from None
    return [part for part in parts if part]


def _signature(own: dict[str, Any], where: str) -> str | None:
    signature = own.get("thought_signature")
    if not isinstance(signature, str) or not signature:
        return None
    try:
        binascii.a2b_base64(signature.replace("-", "+").replace("_", "/"), strict_mode=True)
    except ValueError:  # also for text that is not ASCII
        message = "A 'thought_signature' is to be sent back as it came."
        raise InvalidRequest(message, param=f"{where}.extra_content") from None
    return signature
