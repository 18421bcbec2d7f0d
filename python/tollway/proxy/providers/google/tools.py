"""Tools and the choice among them, as Gemini's ``tools`` and ``toolConfig``."""

from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.names import camel
from tollway.proxy.providers.google.schema import cut

_GOOGLES_OWN = frozenset(
    {"googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "googleMaps", "fileSearch", "computerUse"}
)
"""Tools that Google runs itself. They are given as ``{"type": "google_search"}`` or as ``{"google_search": {…}}``."""


def tools_of(asked: dict[str, Any]) -> dict[str, Any]:
    """``tools`` and ``toolConfig``, as far as the request has them.

    Raises:
        InvalidRequest: a tool is malformed or of a kind that Gemini does not have.
    """
    if asked.get("functions"):
        raise InvalidRequest("'functions' has been replaced by 'tools'.", param="functions")
    given = asked.get("tools") or []
    if not isinstance(given, list):
        raise InvalidRequest("'tools' is to be a list.", param="tools")
    declarations: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for number, tool in enumerate(given):
        where = f"tools[{number}]"
        if isinstance(tool, dict) and tool.get("type") == "function":
            declarations.append(_declaration(tool.get("function"), f"{where}.function"))
        else:
            own.append(_googles_own(tool, where))
    config, allowed = _choice(asked.get("tool_choice"), [declaration["name"] for declaration in declarations])
    if allowed is not None:
        declarations = [declaration for declaration in declarations if declaration["name"] in allowed]
    tools = ([{"functionDeclarations": declarations}] if declarations else []) + own
    result: dict[str, Any] = {"tools": tools} if tools else {}
    if config is not None and declarations:
        result["toolConfig"] = {"functionCallingConfig": config}
    return result


def _declaration(function: Any, where: str) -> dict[str, Any]:
    if not isinstance(function, dict):
        raise InvalidRequest("'function' is to be an object.", param=where)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("A function needs a name.", param=f"{where}.name")
    declaration: dict[str, Any] = {"name": name}
    if isinstance(function.get("description"), str):
        declaration["description"] = function["description"]
    if parameters := function.get("parameters"):
        declaration["parametersJsonSchema"] = cut(parameters, f"{where}.parameters") | {"type": "object"}
    return declaration


def _googles_own(tool: Any, where: str) -> dict[str, Any]:
    if isinstance(tool, dict):
        kind = tool.get("type")
        named = [kind] if isinstance(kind, str) else [key for key in tool if key != "type"]
        if len(named) == 1 and (name := camel(named[0])) in _GOOGLES_OWN:
            settings = tool.get(named[0], tool.get(name))
            if settings is None or isinstance(settings, dict):
                return {name: camel(settings or {})}
    raise InvalidRequest("The provider has no tool of this kind.", param=where)


def _choice(choice: Any, names: list[str]) -> tuple[dict[str, Any] | None, set[str] | None]:
    """The calling mode, and the functions that may be declared if not all may."""
    if choice is None:
        return None, None
    if isinstance(choice, str):
        modes = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
        if choice not in modes:
            raise InvalidRequest("'tool_choice' is to be 'auto', 'none', 'required' or a tool.", param="tool_choice")
        return {"mode": modes[choice]}, None
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_known(choice, names, "tool_choice")]}, None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)
        given = allowed.get("tools") if isinstance(allowed, dict) else None
        if isinstance(given, list):
            chosen = [_known(tool, names, f"tool_choice.tools[{number}]") for number, tool in enumerate(given)]
            if allowed.get("mode") == "required":
                return {"mode": "ANY", "allowedFunctionNames": chosen}, None
            # `allowedFunctionNames` belongs to ANY; in AUTO, what is not allowed is not declared.
            return {"mode": "AUTO"}, set(chosen)
    raise InvalidRequest("'tool_choice' is of a kind that the provider does not have.", param="tool_choice")


def _known(tool: Any, names: list[str], param: str) -> str:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in names:
        raise InvalidRequest("The chosen function is not among the tools.", param=param)
    return name
