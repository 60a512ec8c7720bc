"""Validate a JSON file against a schema; errors say in a few words what is wrong and where.

Only fields that are read are checked: unknown fields are kept, and one with a default may be missing, as in files of
older versions. The result is the file's own content.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from penchant.errors import UserError
from penchant.wording import reason_of, shown

__all__ = ["LACKING", "LARGEST", "Count", "Fields", "Number", "Text", "fault_in", "object_in", "read_object"]

DEEPEST = 60
"""The deepest nesting; files written by Penchant have less than half."""
EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
BOUNDS = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below", "less_than_equal": "at most"}


def _text(value: object) -> object:
    """A text; pydantic's own `str` refuses lone surrogates, which file names may contain."""
    if not isinstance(value, str):
        raise ValueError("text")
    return value


Text = Annotated[Any, AfterValidator(_text)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
LARGEST = 1e100
"""The largest number accepted, so that sums and squares stay finite."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


LACKING: Any = None
"""The default of an optional field; it may be null only if its type allows it."""


class Fields(BaseModel):
    """The schema of an object, with strictly typed fields."""

    model_config = ConfigDict(strict=True, protected_namespaces=())


def read_object(file: Path, schema: type[Fields], error: type[UserError], mend: str) -> dict[str, Any]:
    """Read the JSON object in a file. mend: the advice if it is invalid.

    Raises OSError if the file cannot be read, and `error` if its content is invalid.
    """
    try:
        return object_in(file.read_text(encoding="utf-8"), schema)
    except ValueError as why:
        raise error(f"{file}: damaged ({reason_of(why)}); {mend}") from why


def object_in(text: str, schema: type[Fields]) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError with the reason."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    if _is_deeper(content, DEEPEST):
        raise ValueError("its brackets are nested too deeply")
    if fault := fault_in(content, schema):
        raise ValueError(fault)
    return content


def fault_in(content: object, schema: type[Fields]) -> str:
    """The first invalid field, its value, and the expected one; "" if all are valid."""
    try:
        schema.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    else:
        return ""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"] if part != "[key]")
    name, kind, said = where.removeprefix("."), first["type"], str(first["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        return f"'{name}' is missing"
    if not name:
        return said
    if kind in BOUNDS:
        (bound,) = first["ctx"].values()
        said = f"which must be {BOUNDS[kind]} {bound:g}"
    else:
        said = f"where {EXPECTED.get(kind) or said.removeprefix('Input should be ')} belongs"
    return f"'{name}' is {shown(first['input'])}, {said}"


def _is_deeper(value: object, room: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(room == 0 or _is_deeper(one, room - 1) for one in inside if isinstance(one, dict | list))
