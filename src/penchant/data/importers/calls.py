"""Calls of tools, and the tools themselves, in the one spelling that chat templates read: OpenAI's.

A call: {"type": "function", "id"?, "function": {"name", "arguments": {...}}}. A tool: {"type": "function", "function":
{"name", "description"?, "parameters"?}}. Read are these, the bare inner object (as OpenAI's older `function_call` and
`functions` have it), one of them or a list, and JSON text of any of them; arguments may be JSON text as well. A null in
an object says nothing; one in JSON text is kept.
"""

import json
from typing import Any

from penchant.data.verdicts import BadRow

__all__ = ["read_calls", "read_tools"]


def read_calls(value: object, name: str) -> list[dict[str, Any]]:
    """The calls of one message. Raises BadRow."""
    return [_call(call, name) for call in _objects(value, f"the calls of '{name}'")]


def read_tools(value: object, name: str) -> list[dict[str, Any]]:
    """The functions that may be called. Raises BadRow."""
    return [_tool(tool, name) for tool in _objects(value, f"the tools of '{name}'")]


def _call(call: dict[str, Any], name: str) -> dict[str, Any]:
    function = _function(call, f"a call of '{name}'")
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str):
        arguments = _parsed(arguments, f"the arguments of a call of '{name}'") if arguments.strip() else {}
    if not isinstance(arguments, dict | None):
        raise BadRow("bad_type", f"the arguments of a call of '{name}' are no object", 'write {"name": value, ...}')
    given = {"id": str(call["id"])} if call.get("id") else {}
    return {"type": "function", **given, "function": {"name": function["name"], "arguments": arguments or {}}}


def _tool(tool: dict[str, Any], name: str) -> dict[str, Any]:
    function = _function(tool, f"a tool of '{name}'")
    return {"type": "function", "function": {key: item for key, item in function.items() if key != "type"}}


def _function(value: dict[str, Any], what: str) -> dict[str, Any]:
    """The inner object, which has a name."""
    if value.get("type") not in (None, "function"):
        raise BadRow("unread_field", f"{what} is of type {value['type']!r}", "only functions are read; remove the row")
    function = value.get("function", value)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRow("bad_type", f"{what} names no function", 'write {"type": "function", "function": {"name": ...}}')
    return function


def _objects(value: object, what: str) -> list[dict[str, Any]]:
    parsed: Any = _parsed(value, what) if isinstance(value, str) else _filled(value)
    found: list[Any] = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(item, dict) for item in found):
        raise BadRow("bad_type", f"{what} are no list of objects", 'write [{"type": "function", "function": {...}}]')
    return found


def _filled(value: Any) -> Any:
    """The value without the nulls in its objects: parquet gives every object of a column the fields of all of them."""
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items() if item is not None}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRow("bad_type", f"{what} are text that is not JSON", "write them as JSON") from None
