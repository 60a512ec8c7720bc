"""Read messages as rows spell them: OpenAI's role and content, ShareGPT's from and value, calls, reasoning, weights.

Each field of a message is read, or the row is refused; unknown fields that may matter are listed (data/fields.py).
"""

from collections.abc import Iterable
from typing import Any

from penchant.data.importers.calls import read_calls, read_tools
from penchant.data.importers.results import in_order_of_calls
from penchant.data.importers.values import kind_of, says_nothing, truth
from penchant.data.quickly import text_message
from penchant.data.records import Message, Role
from penchant.data.verdicts import BadRow

__all__ = [
    "HOLD_A_PROMPT",
    "HOLD_MESSAGES",
    "READ_OF_MESSAGE",
    "factor_in",
    "read_messages",
    "weight_of",
]

HOLD_A_PROMPT = frozenset(("prompt", "question", "query", "input", "instruction"))
"""Fields of rows that may hold a prompt alone, as text or as messages."""
_HOLD_MESSAGES = """
    messages conversations conversation_a conversation_b context completion chosen rejected preferred_output
    non_preferred_output chosen_response rejected_response rejected_messages accepted response_j response_k
    good_edited_response bad_edited_response edited_response original_response response
"""
HOLD_MESSAGES = HOLD_A_PROMPT.union(_HOLD_MESSAGES.split())
"""Fields of rows that may hold messages."""

READ_OF_PART = frozenset(("type", "text", "annotations", "cache_control", "index"))
"""Keys of a part of text that are read, or do not affect training."""

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
PLAIN_ROLES = {spelled: role for spelled, role in ROLES.items() if spelled != "function_call"}
"""Fields whose messages repeat their text."""
PLAIN = frozenset(("role", "content", "from", "value"))
REASONING = ("reasoning", "reasoning_content", "thinking")
CALLS = ("tool_calls", "function_call")
TOOLS = ("tools", "functions")
FLAGS = ("train", "training", "trainable", "loss_mask", "loss")
NOT_TEXT = ("image", "images", "audio", "audios", "video", "videos", "refusal", "train_detail")
"""Fields of messages that change their meaning and cannot be read."""
READ_OF_MESSAGE = PLAIN.union(REASONING, CALLS, TOOLS, FLAGS, NOT_TEXT, ("name", "tool_call_id", "weight"))


def read_messages(value: object, name: str, *, trained: bool = False) -> tuple[Message, ...]:
    """Messages from [{"role", "content"}, ...] or the ShareGPT form [{"from", "value"}, ...].

    trained: whether they are a demonstration, whose weights count; elsewhere weights are dropped.
    Raises BadRow.
    """
    if not isinstance(value, list):
        raise BadRow(
            "bad_type",
            f"'{name}' must be a list of messages, got {kind_of(value)}",
            'write [{"role": ..., "content": ...}]',
        )
    if not value:
        raise BadRow("missing_field", f"'{name}' holds no messages", "add at least one message")
    messages, calls = [], False
    for index, raw in enumerate(value):
        if (message := _plain_message(raw)) is None:
            message = _read_message(raw, f"{name}[{index}]", trained)
            calls = calls or message.tool_calls is not None
        messages.append(message)
    return tuple(in_order_of_calls(messages, name) if calls else messages)


def _read_message(value: object, name: str, trained: bool) -> Message:
    if not isinstance(value, dict):
        raise BadRow(
            "bad_type", f"'{name}' must be a message, got {kind_of(value)}", 'write {"role": ..., "content": ...}'
        )
    role_field, text_field = ("from", "value") if value.get("from") is not None else ("role", "content")
    spelled = _filled(value, role_field)
    if not isinstance(spelled, str):
        raise BadRow(
            "bad_type", f"'{role_field}' must be text, got {kind_of(spelled)}", "write who speaks, such as user"
        )
    role = ROLES.get(spelled)
    if role is None:
        raise BadRow("bad_type", f"'{name}' has the unknown role '{spelled}'", f"use one of {', '.join(ROLES)}")
    more: dict[str, Any] = (
        {} if len(value) == 2 and text_field in value else _more(value, role, name, role_field, trained)
    )
    if spelled == "function_call":
        return Message(role=role, content="", **more, tool_calls=read_calls(_filled(value, text_field), name))
    if value.get(text_field) is None and "tool_calls" in more:
        return Message(role=role, content="", **more)
    text = _filled(value, text_field)
    return Message(role=role, content=text if isinstance(text, str) else _joined(text, text_field), **more)


def _plain_message(value: object) -> Message | None:
    """A message of role and content alone, the most common case; None for all others."""
    if type(value) is dict and len(value) == 2:
        spelled, text = value.get("role"), value.get("content")
        role = PLAIN_ROLES.get(spelled) if type(spelled) is str else None
        if role and type(text) is str:
            return text_message(role, text)
    return None


def _filled(message: dict[str, Any], name: str) -> Any:
    value = message.get(name)
    if value is None:
        raise BadRow("missing_field", f"the field '{name}' is missing", f"add '{name}' to the message")
    return value


def _joined(content: object, name: str) -> str:
    """The content of text parts, joined without a separator as chat templates do. Other parts are refused."""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise BadRow("bad_type", f"'{name}' must be text, got {kind_of(content)}", f"write '{name}' as a string")
    for part in content:
        if part.get("type", "text") not in ("text", "input_text", "output_text") or not isinstance(
            part.get("text"), str
        ):
            reason = f"'{name}' has a part of type {part.get('type')!r}, and only text is read"
            raise BadRow("unread_field", reason, 'keep parts {"type": "text", "text": ...}, or remove the row')
        if more := [key for key, value in part.items() if key not in READ_OF_PART and not says_nothing(value)]:
            reason = f"'{name}' has a part with '{more[0]}' beside its text, and only the text is read"
            raise BadRow("unread_field", reason, "remove it from the part, or remove the row")
    return "".join(part["text"] for part in content)


def _more(value: dict[str, Any], role: Role, name: str, role_field: str, trained: bool) -> dict[str, Any]:
    """Everything in a message besides its text, as fields of Message."""
    said = {key: item for key, item in value.items() if not says_nothing(item)}
    for key in NOT_TEXT:
        if key in said:
            raise BadRow("unread_field", f"'{name}' holds '{key}', which is not read", "remove the row, or the field")
    if not (said.keys().isdisjoint(("role", "content")) or said.keys().isdisjoint(("from", "value"))):
        raise BadRow("bad_type", f"'{name}' mixes two spellings", "write role and content, or from and value")
    more: dict[str, Any] = {}
    if reasoning := _one_of(said, REASONING, name):
        more["reasoning"] = reasoning
    if calls := _one_of({key: read_calls(said[key], name) for key in CALLS if key in said}, CALLS, name):
        more["tool_calls"] = calls
    for key in more:
        if role != "assistant":
            raise BadRow(
                "bad_type", f"'{name}' is the {role}'s message and holds '{key}'", "write it in an assistant's message"
            )
    if tools := _one_of({key: read_tools(said[key], name) for key in TOOLS if key in said}, TOOLS, name):
        more["tools"] = tools
    for key in ("name", "tool_call_id"):
        if key in said and role != "assistant":  # the author of an answer does not affect training
            more[key] = str(said[key])
    if trained and (weight := weight_of(value, name)) != 1:
        more["weight"] = weight
    return more


def _one_of(said: dict[str, Any], names: Iterable[str], where: str) -> Any:
    """The value of the only field among `names` that is filled, or of several that agree."""
    values = [said[name] for name in names if name in said]
    if any(value != values[0] for value in values):
        found = " and ".join(f"'{name}'" for name in names if name in said)
        raise BadRow("bad_type", f"'{where}' has {found}, which differ", "keep one of them")
    return values[0] if values else None


def weight_of(message: dict[str, Any], name: str) -> float:
    """The factor on the loss of a message: its `weight`, or 0 if `train` or another of FLAGS is 0.

    A message that is never trained on, such as the user's, has 1; one that asks to be trained on is refused.
    """
    flags = {key: truth(message[key], f"{name}.{key}") for key in FLAGS if not says_nothing(message.get(key))}
    if ROLES.get(message.get("role") or message.get("from") or "") != "assistant":
        if on := [key for key, value in flags.items() if value]:
            reason = f"'{name}' is not the assistant's message, but its '{on[0]}' asks to train on it"
            raise BadRow("unread_field", reason, "only what the assistant wrote is trained on; remove it")
        return 1.0
    factor = factor_in(message, f"'{name}'")
    return factor if all(flags.values()) else 0.0


def factor_in(holder: dict[str, Any], whose: str) -> float:
    """The number in `weight`, 1 if there is none. Raises BadRow for an invalid factor on a loss."""
    weight: Any = holder.get("weight")
    try:
        number = 1.0 if says_nothing(weight) else -1.0 if isinstance(weight, bool) else float(weight)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise BadRow("bad_type", f"the weight of {whose} is {weight!r}", "write a number that is at least 0")
    return number
