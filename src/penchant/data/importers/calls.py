"""Normalise tool calls and tools to the spelling that chat templates read: OpenAI's.

A call: {"type": "function", "id"?, "function": {"name", "arguments": {...}}}. A tool: {"type": "function", "function":
{"name", "description"?, "parameters"?}}. It also reads the bare inner object (as in OpenAI's older `function_call` and
`functions`), one or a list, and JSON text of any of these; arguments may be JSON text as well. A null in an object is
ignored; one in JSON text is kept.
"""

import json
from typing import Any

from penchant.data.importers.values import says_nothing
from penchant.data.verdicts import BadRow

__all__ = ["read_calls", "read_tools"]

AROUND = frozenset(("type", "id", "index", "function"))
"""Keys beside the inner object."""
OF_CALL = frozenset(("name", "arguments", "parameters"))
"""Keys of the inner object of a call; that of a tool is passed to the template unchanged."""


def read_calls(value: object, name: str) -> list[dict[str, Any]]:
    """The calls of one message. Raises BadRow."""
    return [_call(call, name) for call in _objects(value, f"the calls of '{name}'")]


def read_tools(value: object, name: str) -> list[dict[str, Any]]:
    """The functions that may be called. Raises BadRow."""
    return [_tool(tool, name) for tool in _objects(value, f"the tools of '{name}'")]


def _call(call: dict[str, Any], name: str) -> dict[str, Any]:
    function = _function(call, f"a call of '{name}'", OF_CALL)
    given = [key for key in ("arguments", "parameters") if not says_nothing(function.get(key))]
    if len(given) > 1:
        reason = f"a call of '{name}' has both 'arguments' and 'parameters'"
        raise BadRow("bad_type", reason, "keep one of them")
    arguments = function[given[0]] if given else None
    if isinstance(arguments, str):
        arguments = _parsed(arguments, f"the arguments of a call of '{name}'") if arguments.strip() else {}
    if not isinstance(arguments, dict | None):
        raise BadRow("bad_type", f"the arguments of a call of '{name}' are not an object", 'write {"name": value, ...}')
    identity = {} if says_nothing(call.get("id")) else {"id": str(call["id"])}
    return {"type": "function", **identity, "function": {"name": function["name"], "arguments": arguments or {}}}


def _tool(tool: dict[str, Any], name: str) -> dict[str, Any]:
    function = _function(tool, f"a tool of '{name}'", None)
    return {"type": "function", "function": {key: item for key, item in function.items() if key != "type"}}


def _function(value: dict[str, Any], what: str, keys: frozenset[str] | None) -> dict[str, Any]:
    """The inner object, which must have a name. keys: allowed keys, None for any."""
    if value.get("type") not in (None, "function"):
        raise BadRow(
            "unread_field", f"{what} is of type {value['type']!r}, and only functions are read", "remove the row"
        )
    function = value.get("function", value)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRow("bad_type", f"{what} names no function", 'write {"type": "function", "function": {"name": ...}}')
    known = AROUND if function is not value else None if keys is None else AROUND | keys
    strange = [] if known is None else [key for key in value if key not in known and not _is_off(value[key])]
    if function is not value and keys is not None:
        strange += [key for key in function if key not in keys and not _is_off(function[key])]
    if strange:
        reason = f"{what} holds '{strange[0]}', which is not read"
        raise BadRow("unread_field", reason, "write it as in OpenAI's chat format, or remove it")
    return function


def _is_off(value: object) -> bool:
    return value is False or says_nothing(value)


def _objects(value: object, what: str) -> list[dict[str, Any]]:
    parsed: Any = _parsed(value, what) if isinstance(value, str) else _filled(value)
    found: list[Any] = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(item, dict) for item in found):
        raise BadRow("bad_type", f"{what} are not a list of objects", 'write [{"type": "function", "function": {...}}]')
    return found


def _filled(value: Any) -> Any:
    """The value without nulls in its objects: parquet gives each object of a column the union of all fields."""
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items() if item is not None}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRow("bad_type", f"{what} are text that is not JSON", "write them as JSON") from None
