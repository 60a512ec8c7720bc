"""Import prompt, chosen, rejected: the prompt has its own field, also under ShareGPT's or OpenAI's names."""

from penchant.data.files import Row
from penchant.data.importers.base import (
    BESIDE,
    NUMBERS,
    Importer,
    conversation_field,
    field,
    filled,
    opened,
    prompt_field,
)
from penchant.data.importers.packed import spelt
from penchant.data.importers.sides import JUDGEMENT, are_texts, pair_of
from penchant.data.importers.values import kind_of, says_nothing
from penchant.data.records import PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["EXPLICIT_PROMPT", "OPENAI_PAIR", "SHAREGPT_PAIR"]

EXPLICIT = ("prompt", "chosen", "rejected")
SHAREGPT = ("conversations", "chosen", "rejected")
OPENAI = ("input", "preferred_output", "non_preferred_output")
OF_INPUT = frozenset(("messages", "tools", "parallel_tool_calls"))


def convert_openai(row: Row) -> PreferencePair:
    """Convert a row of OpenAI's form, with the prompt's messages and tools in `input`."""
    given = spelt(field(row, "input"))
    given = {"messages": given} if isinstance(given, list) else given
    if not isinstance(given, dict):
        raise BadRow("bad_type", f"'input' must be an object, got {kind_of(given)}", 'write {"messages": [...]}')
    if strange := [name for name in given if name not in OF_INPUT and not says_nothing(given[name])]:
        raise BadRow("unread_field", f"'input' holds '{strange[0]}', which is not read", "remove it")
    prompt = conversation_field({name: given[name] for name in ("messages", "tools") if name in given}, "messages")
    return pair_of(row, opened(row, prompt), ("preferred_output", "non_preferred_output"))


EXPLICIT_PROMPT = Importer(
    name="prompt_chosen_rejected",
    description="prompt (text or messages), chosen, rejected (text, message or messages)",
    example={"prompt": "What is the sun?", "chosen": "A star, the nearest one.", "rejected": "A lamp."},
    needs=EXPLICIT,
    matches=lambda row: filled(row, *EXPLICIT) and not are_texts(row["chosen"]),
    convert=lambda row: pair_of(row, prompt_field(row, "prompt")),
    reads=BESIDE.union(NUMBERS, EXPLICIT),
    harmless=JUDGEMENT,
)

SHAREGPT_PAIR = Importer(
    name="sharegpt_pair",
    description="conversations (messages), chosen, rejected (each {from, value})",
    example={
        "conversations": [{"from": "human", "value": "What is the sun?"}],
        "chosen": {"from": "gpt", "value": "A star, the nearest one."},
        "rejected": {"from": "gpt", "value": "A lamp."},
    },
    needs=SHAREGPT,
    matches=lambda row: filled(row, *SHAREGPT),
    convert=lambda row: pair_of(row, conversation_field(row, "conversations")),
    reads=BESIDE.union(NUMBERS, SHAREGPT),
)

OPENAI_PAIR = Importer(
    name="openai_pair",
    description="input (messages, with tools where needed), preferred_output, non_preferred_output (messages)",
    example={
        "input": {"messages": [{"role": "user", "content": "What is the sun?"}]},
        "preferred_output": [{"role": "assistant", "content": "A star, the nearest one."}],
        "non_preferred_output": [{"role": "assistant", "content": "A lamp."}],
    },
    needs=OPENAI,
    matches=lambda row: filled(row, *OPENAI),
    convert=convert_openai,
    reads=BESIDE.union(NUMBERS, OPENAI),
)
