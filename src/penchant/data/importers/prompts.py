"""Import prompts: prompt, messages, instruction, turns, or a line of a .txt file."""

from penchant.data.files import Row
from penchant.data.importers.alpaca import question_of
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, conversation_field, field, opened, prompt_field
from penchant.data.importers.sides import prompt_of_pair
from penchant.data.importers.values import kind_of
from penchant.data.quickly import text_message
from penchant.data.records import Message, Prompt, prompt_id
from penchant.data.verdicts import BadRow

__all__ = ["PROMPT", "PROMPT_INSTRUCTION", "PROMPT_LINE", "PROMPT_MESSAGES", "PROMPT_TURNS", "make_prompt"]

ANSWERS = NUMBERS.union(
    ("chosen", "rejected", "completion", "response", "response_a", "response_b", "answer", "output", "reference"),
    ("a", "b", "outcome", "strength", "shown_first", "label", "train", "trainable", "text"),
)
"""Fields of training rows that concern answers, which prompts do not need."""


def make_prompt(row: Row, messages: tuple[Message, ...]) -> Prompt:
    """A prompt; its id is the row's `id`, or else `prompt_id`."""
    given = row.get("id")
    return Prompt(messages=messages, id=prompt_id(messages) if given is None else str(given))


def first_turn(row: Row) -> Prompt:
    """The user's first turn; a later turn would need an answer that does not exist yet. Raises BadRow."""
    turns = field(row, "turns")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        reason = f"'turns' must be a list of texts, got {kind_of(turns)}"
        raise BadRow("bad_type", reason, "write the user's turns as a list of texts")
    asked = opened(row, (text_message("user", turns[0]),))
    return make_prompt({"id": row.get("id", row.get("question_id"))}, asked)


PROMPT = Importer(
    name="prompt",
    description="prompt (text or messages)",
    example={"prompt": "What is the sun?"},
    needs=("prompt",),
    matches=lambda row: isinstance(row.get("prompt"), str | list),
    convert=lambda row: make_prompt(row, prompt_of_pair(row, prompt_field(row, "prompt"))),
    reads=BESIDE | {"prompt", "id"},
    harmless=ANSWERS,
)

PROMPT_MESSAGES = Importer(
    name="prompt_messages",
    description="messages (a list of {role, content} that ends with the user)",
    example={"messages": [{"role": "user", "content": "What is the sun?"}]},
    needs=("messages",),
    matches=lambda row: isinstance(row.get("messages"), list),
    convert=lambda row: make_prompt(row, conversation_field(row, "messages")),
    reads=BESIDE | {"messages", "id"},
    harmless=ANSWERS,
)

PROMPT_LINE = Importer(
    name="prompt_line",
    description="text (a prompt; each line of a .txt file is one)",
    example={"text": "What is the sun?"},
    needs=("text",),
    matches=lambda row: isinstance(row.get("text"), str),
    convert=lambda row: make_prompt(row, prompt_field(row, "text")),
    reads=BESIDE | {"text", "id"},
    harmless=ANSWERS,
)

PROMPT_INSTRUCTION = Importer(
    name="prompt_instruction",
    description="instruction (text), with input and history where needed",
    example={"instruction": "What is the sun?"},
    needs=("instruction",),
    matches=lambda row: isinstance(row.get("instruction"), str),
    convert=lambda row: make_prompt(row, opened(row, question_of(row))),
    reads=BESIDE | {"instruction", "input", "history", "id"},
    harmless=ANSWERS.union(("generator", "output_1", "output_2", "generator_1", "generator_2", "preference")),
)

PROMPT_TURNS = Importer(
    name="prompt_turns",
    description="turns (the user's, of which the first is asked)",
    example={"turns": ["What is the sun?"]},
    needs=("turns",),
    matches=lambda row: row.get("turns") is not None,
    convert=first_turn,
    reads=BESIDE | {"turns", "id", "question_id"},
    harmless=ANSWERS,
)
"""Questions of MT-bench and Vicuna-bench, as FastChat writes them."""
