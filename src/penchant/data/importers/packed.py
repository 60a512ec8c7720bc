"""Parse messages and lists kept as text in a column, as in csv and some parquet files: JSON, or Python's repr.

A text is parsed only if it is such a list (or one message) from its first character to its last. A text that begins
like messages but cannot be parsed, such as numpy arrays or truncated cells, is refused rather than trained on. A list
of texts may also be an answer, so lists are parsed only in columns that hold lists in every format, and in those that
a neighbouring column marks.
"""

import ast
import json
import re
import warnings
from io import StringIO
from itertools import pairwise
from tokenize import COMMENT, NL, STRING, generate_tokens
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.messages import HOLD_A_PROMPT, HOLD_MESSAGES
from penchant.data.verdicts import BadRow

__all__ = ["messages_spelt", "spelt", "unpacked"]

MAX_LITERAL = 1_000_000
"""Characters of the longest text that is parsed as Python's repr; the parser needs much memory."""
BEGINS = re.compile(
    r"""\s*(?:\[\s*)?\{\s*(?:["'](?:role|content|from|value)["']\s*:"""
    r"""|(?=.*["'](?:role|from)["']\s*:.*)(?=.*["'](?:content|value)["']\s*:)["']\w+["']\s*:)""",
    re.DOTALL,
)
"""The start of messages: the first key is one of a message's, or both keys follow soon."""
BEGINS_AS_A_LIST = re.compile(r"""[\s"']*\[[\s"']*\{\s*["'](?:role|content)["']\s*:""")
HAS_BOTH = re.compile(r"""(?=.*["'](?:role|from)["']\s*:)(?=.*["'](?:content|value)["']\s*:)""", re.DOTALL)
MAY_BE_TEXT = HOLD_A_PROMPT - {"prompt"} | {"text"}
"""Columns whose text may begin with any object, such as a question about one: messages must have both keys."""

LITERAL = re.compile(r"""\s*(?:\[\s*)?\{?\s*["']""")
_OPENING = frozenset("[{\"' \t\r\n")
_LISTS = """
    answers responses completions generations candidates outputs scores ratings rating rewards ranks rank ranking
    models generation_models instances turns conversation
"""
HOLD_LISTS = frozenset(_LISTS.split())
LISTS_BESIDE = {"num_correct": ("chosen", "rejected"), "message_tree_id": ("prompt",)}
"""For RewardBench 2 and OpenAssistant's trees: a column, and the columns that hold lists or objects beside it."""
TEXT_BESIDE = {"response_a": "prompt", "instruction": "input"}
"""For lists of turns and for Alpaca's form: a column, and the column that is text beside it."""
HEAD = 200
"""Characters of a text that are enough to see whether it begins like messages, however often it was quoted."""


def unpacked(row: Row) -> Row:
    """The row with its packed messages and lists parsed. Raises BadRow for damaged messages."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if not isinstance(value, str) or value[:1] not in _OPENING:
            continue
        if name in HOLD_LISTS or any(name in names and mark in row for mark, names in LISTS_BESIDE.items()):
            found[name] = spelt(value)
        elif name in HOLD_MESSAGES and not any(name == text and mark in row for mark, text in TEXT_BESIDE.items()):
            found[name] = messages_spelt(value, name)
    if isinstance(found.get("prompt"), str) and found["prompt"] != row["prompt"]:  # answers are lists of texts too
        for name in ("chosen", "rejected", "completion"):
            if name in found:
                found[name] = _single(found[name], name)
    return row | found if found else row


def spelt(value: Any) -> Any:
    """The list or object that a text spells as JSON or Python's repr; anything else unchanged.

    Raises BadRow for a list of texts printed by numpy.
    """
    found = _value_of(value) if isinstance(value, str) else None
    return found if isinstance(found, list | dict) else value


def _may_spell(text: str) -> bool:
    """Whether it begins like a list or an object, or like messages that were quoted more than once."""
    head = text[:HEAD].lstrip()
    return head[:1] in ("[", "{") or (head[:1] in ("'", '"') and _begins(head))


def _begins(text: str, name: str = "") -> bool:
    head = text[:HEAD].replace("\\", "")
    if BEGINS.match(head.lstrip("\"'[ ")) is None:
        return False
    return name not in MAY_BE_TEXT or any(found.match(head) for found in (BEGINS_AS_A_LIST, HAS_BOTH))


def messages_spelt(text: str, name: str) -> Any:
    """The messages that a text spells, else the text itself. Raises BadRow for damaged messages."""
    return _messages_in(text, name) if text[:1] in _OPENING and _may_spell(text) else text


def _messages_in(text: str, name: str) -> Any:
    value = _unquoted(text)
    if _are_messages(value):
        return value
    if name == "prompt" and (single := _single(text, name)) is not text:
        return single
    if (value is None or not isinstance(value, list | dict)) and _begins(text, name):
        reason = (
            f"'{name}' is text that begins like a list of messages but is neither JSON nor a list in Python's spelling"
        )
        raise BadRow("bad_type", reason, "write the list itself, or its JSON; numpy arrays need .tolist() first")
    return text


def _unquoted(text: str) -> Any:
    """Parse a text, and again if the result, or each message of a list, is a quoted value."""
    value = _value_of(text)
    while isinstance(value, str):
        value = _value_of(value)
    if isinstance(value, list) and any(isinstance(item, str) and _begins(item) for item in value):
        items = [spelt(item) for item in value]
        value = items[0] if len(items) == 1 and isinstance(items[0], list) else items
    return value


def _single(text: Any, name: str) -> Any:
    """The only text of a packed list of texts; anything else unchanged. Raises BadRow for several texts."""
    value = _value_of(text) if isinstance(text, str) else None
    if not (isinstance(value, list) and value and all(isinstance(item, str) for item in value)):
        return text
    if len(value) > 1:
        reason = f"'{name}' is a list of {len(value)} texts, written as text, without the answers between them"
        raise BadRow("bad_type", reason, "write a list of messages with their roles, or one text")
    return value[0]


def _value_of(text: str) -> Any:
    """The list or object that a text spells; None if there is none. Raises BadRow, see `spelt`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > MAX_LITERAL or not LITERAL.match(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in the text is harmless
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if isinstance(value, list) and _has_texts_side_by_side(text):
        reason = "a list of texts has no commas between them, as numpy prints arrays, so Python would join them"
        raise BadRow("bad_type", reason, "write the list itself, or its JSON; numpy arrays need .tolist() first")
    return value


def _has_texts_side_by_side(literal: str) -> bool:
    """Whether two strings of a Python literal are separated by white space alone."""
    kinds = [token.type for token in generate_tokens(StringIO(literal.strip()).readline)]
    kinds = [kind for kind in kinds if kind not in (NL, COMMENT)]
    return any(one == other == STRING for one, other in pairwise(kinds))


def _are_messages(value: object) -> bool:
    messages = value if isinstance(value, list) else [value]
    return bool(messages) and all(
        isinstance(message, dict) and ({"role", "from"} & message.keys()) and message.keys() & _TEXTS
        for message in messages
    )


_TEXTS = {"content", "value", "tool_calls", "function_call"}
