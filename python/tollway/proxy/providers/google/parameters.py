"""How to answer: OpenAI's parameters as Gemini's ``generationConfig`` and its neighbours.

Beside OpenAI's, Google's own settings are taken, in either spelling: at the top of the request (``top_k``,
``safety_settings``, …), and where Google's OpenAI-compatible endpoint has them, in ``extra_body.google``.
"""

from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.names import camel
from tollway.proxy.providers.google.schema import cut
from tollway.proxy.providers.google.thinking import thinking_config

MAX_STOP_SEQUENCES = 5
"""Gemini refuses more."""

_INT32 = range(-(2**31), 2**31)

_NUMBERS = {
    "temperature": "temperature",
    "top_p": "topP",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

_MODALITIES = ("TEXT", "IMAGE", "AUDIO", "VIDEO")
_RESOLUTIONS = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH")

_OWN_OBJECTS = {"speech_config": "speechConfig", "image_config": "imageConfig"}
"""Google's settings inside ``generationConfig`` that pass as they are."""

_TAKEN = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "tools", "tool_choice", "functions", "extra_body", "google"),
        *("max_tokens", "max_completion_tokens", "stop", "n", "seed", "logprobs", "top_logprobs", "response_format"),
        *("reasoning_effort", "thinking", "modalities", "parallel_tool_calls", "service_tier", *_NUMBERS),
        *("cache_control", "extra_content"),  # others' own; nothing of the answer hangs on them
    }
)
_OWN = frozenset(
    {
        *("top_k", "thinking_config", "safety_settings", "cached_content", "media_resolution", "response_modalities"),
        *("tool_config", *_OWN_OBJECTS),
    }
)


class Parameters:
    """The fields of one request; what Gemini can't take is named in ``warnings``."""

    def __init__(self, asked: dict[str, Any], model: str, warnings: list[str]) -> None:
        self._asked = asked
        self._model = model
        self._warnings = warnings
        self._own: dict[str, Any] = {}
        for name, value in asked.items():
            if value is None or name in _TAKEN:
                continue
            if (spelled := _snake(name)) in _OWN:
                self._own[spelled] = value
            else:
                warnings.append(name)
        body = asked.get("extra_body")
        for name in body if isinstance(body, dict) else ():
            if name != "google":
                warnings.append(f"extra_body.{name}")
        for own in (asked.get("google"), body.get("google") if isinstance(body, dict) else None):
            for name, value in own.items() if isinstance(own, dict) else ():
                if (spelled := _snake(name)) in _OWN:
                    self._own[spelled] = value
                else:
                    warnings.append(f"google.{name}")

    def put(self, body: dict[str, Any]) -> None:
        """Adds what the request says to ``body``, whose ``toolConfig`` stands already.

        Raises:
            InvalidRequest: a parameter has a value that means nothing.
        """
        config: dict[str, Any] = {}
        self._put_numbers(config)
        self._put_stop(config)
        self._put_logprobs(config)
        self._put_format(config)
        self._put_own(config)
        if thinking := thinking_config(self._asked, self._own.get("thinking_config"), self._model, self._warnings):
            config["thinkingConfig"] = thinking
        if config:
            body["generationConfig"] = config
        self._put_neighbours(body)

    def _put_numbers(self, config: dict[str, Any]) -> None:
        for name in ("max_tokens", "max_completion_tokens"):  # the second is the newer: it wins
            if (most := self._whole(name, least=1)) is not None:
                config["maxOutputTokens"] = most
        for name, theirs in _NUMBERS.items():
            value = self._asked.get(name)
            if value is not None:
                config[theirs] = _number(value, name)
        if (top_k := self._own.get("top_k")) is not None:
            config["topK"] = _number(top_k, "top_k")
        if (count := self._whole("n", least=1)) not in (None, 1):
            config["candidateCount"] = count
        seed = self._whole("seed")
        if seed is not None and seed not in _INT32:
            self._warnings.append("seed")
        elif seed is not None:
            config["seed"] = seed

    def _put_stop(self, config: dict[str, Any]) -> None:
        stop = self._asked.get("stop")
        stop = [stop] if isinstance(stop, str) else stop
        if stop is None:
            return
        if not isinstance(stop, list) or not all(isinstance(each, str) for each in stop):
            raise InvalidRequest("'stop' is to be text or a list of texts.", param="stop")
        sequences = [each for each in stop if each]
        if len(sequences) > MAX_STOP_SEQUENCES:
            self._warnings.append("stop")
        if sequences:
            config["stopSequences"] = sequences[:MAX_STOP_SEQUENCES]

    def _put_logprobs(self, config: dict[str, Any]) -> None:
        if self._asked.get("logprobs") is True:
            config["responseLogprobs"] = True
            if (most := self._whole("top_logprobs", least=0)) is not None:
                config["logprobs"] = most
        elif self._asked.get("top_logprobs"):
            raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")

    def _put_format(self, config: dict[str, Any]) -> None:
        wanted = self._asked.get("response_format")
        if wanted is None:
            return
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        if kind == "json_schema":
            config["responseMimeType"] = "application/json"
            described = wanted.get("json_schema")
            if not isinstance(described, dict):
                raise InvalidRequest("'json_schema' is to be an object.", param="response_format.json_schema")
            if (schema := described.get("schema")) is not None:
                config["responseJsonSchema"] = cut(schema, "response_format.json_schema.schema")
        elif kind == "json_object":
            config["responseMimeType"] = "application/json"
        elif kind != "text":
            message = "'response_format' is to be of type 'text', 'json_object' or 'json_schema'."
            raise InvalidRequest(message, param="response_format")

    def _put_own(self, config: dict[str, Any]) -> None:
        for name, theirs in _OWN_OBJECTS.items():
            if (value := self._own.get(name)) is not None:
                config[theirs] = camel(_object(value, name))
        if (resolution := self._own.get("media_resolution")) is not None:
            config["mediaResolution"] = _word(resolution, "media_resolution", _RESOLUTIONS)
        name = "modalities" if self._asked.get("modalities") is not None else "response_modalities"
        modalities = self._asked.get("modalities", None) or self._own.get("response_modalities")
        if modalities is not None:
            if not isinstance(modalities, list):
                raise InvalidRequest(f"'{name}' is to be a list.", param=name)
            wanted = [_word(each, name, _MODALITIES) for each in modalities]
            if wanted and wanted != ["TEXT"]:
                config["responseModalities"] = wanted

    def _put_neighbours(self, body: dict[str, Any]) -> None:
        if (settings := self._own.get("safety_settings")) is not None:
            if not isinstance(settings, list):
                raise InvalidRequest("'safety_settings' is to be a list.", param="safety_settings")
            body["safetySettings"] = [_safety_setting(each) for each in settings]
        if (cached := self._own.get("cached_content")) is not None:
            body["cachedContent"] = _text(cached, "cached_content")
        if (tool_config := self._own.get("tool_config")) is not None:
            body["toolConfig"] = camel(_object(tool_config, "tool_config")) | body.get("toolConfig", {})
        if self._asked.get("parallel_tool_calls") is False:
            self._warnings.append("parallel_tool_calls")
        tier = self._asked.get("service_tier")
        if tier in ("flex", "priority"):
            body["serviceTier"] = tier
        elif tier not in (None, "auto", "default"):
            self._warnings.append("service_tier")

    def _whole(self, name: str, *, least: int | None = None) -> int | None:
        value = self._asked.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or (least is not None and not least <= value < 2**31):
            raise InvalidRequest(f"'{name}' is to be a whole number.", param=name)
        return value


def _safety_setting(setting: Any) -> dict[str, Any]:
    fields = _object(setting, "safety_settings")
    return {name: _text(fields.get(name), "safety_settings") for name in ("category", "threshold")}


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRequest(f"'{name}' is to be a number.", param=name)
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"'{name}' is to hold text.", param=name)
    return value


def _word(value: Any, name: str, words: tuple[str, ...]) -> str:
    """One of Google's words, in any case."""
    word = _text(value, name).upper()
    if word not in words:
        raise InvalidRequest(f"'{name}' has a value that the provider does not know.", param=name)
    return word


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{name}' is to be an object.", param=name)
    return value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
