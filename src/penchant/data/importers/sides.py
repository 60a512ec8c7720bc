"""Read the two responses of a pair (a text, a message, or a conversation that ends with it) and their prompt.

Where both sides are conversations, they may hold more of the prompt than the field beside them, which in some public
data repeats only the last question: then the conversation is the prompt. They may also continue the prompt, for
instance with a tool call and its result: what both share is prompt too, and the response is the last message.
"""

import re
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.base import field, last_response, numbers, opened
from penchant.data.importers.messages import read_messages
from penchant.data.importers.side_scores import scores_of_sides
from penchant.data.importers.transcript import is_transcript, split_transcript
from penchant.data.quickly import text_pair
from penchant.data.records import Message, PreferencePair, Response
from penchant.data.verdicts import CODES, BadRow

__all__ = [
    "JUDGEMENT",
    "SIDES",
    "are_texts",
    "is_conversation",
    "numbers_of_pair",
    "pair_of",
    "prompt_of_pair",
]

SIDES = ("chosen", "rejected")
BESIDE_CONTENT = ("reasoning", "tool_calls", "name", "tool_call_id")
"""Fields of a turn besides its text."""
_JUDGEMENT = """
    generations order labelling_model labelling_prompt raw_labelling_response rationale original_chosen
    original_rejected in_gsm8k_train generation_prompt raw_generation_responses new_generations original_response
    all_generated_responses all_rm_scores rating_chosen rating_rejected chosen-model rejected-model qid
    chosen-rating rejected-rating feedback change_summary
"""
JUDGEMENT = frozenset(_JUDGEMENT.split())
"""Fields on how a data set chose the preferred response: other generations, and the judge's remarks."""


def numbers_of_pair(row: Row, responses: tuple[Response, Response]) -> dict[str, Any]:
    """The numeric fields of a pair: those of NUMBERS, and the difference of the scores of chosen and rejected.

    Raises BadRow, of no severity, if both sides have the same score: the choice was arbitrary; see `scores_of_sides`.
    """
    found = numbers(row)
    if (scores := scores_of_sides(row, responses)) is None:
        return found
    if scores[0] == scores[1]:
        reason = f"chosen and rejected both have the score {scores[0]:g}: {CODES['tie'].meaning}"
        raise BadRow("tie", reason, "nothing to fix")
    return {"gap": scores[0] - scores[1]} | found


WORD = re.compile(r"[^\W_]+")
_WORDS = """
    system developer user human assistant gpt ai bot model tool prompter question answer q a
    im start end sep begin of text header id eot turn inst sys bos eos s startoftext endoftext instruction response
"""
WORDS_OF_TEMPLATES = frozenset(_WORDS.split())


def are_texts(value: object) -> bool:
    """Whether it is a list of texts: several responses, not one."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def is_conversation(value: object) -> bool:
    """Whether a response comes with messages before it."""
    return isinstance(value, list) and len(value) > 1


def pair_of(row: Row, prompt: tuple[Message, ...], sides: tuple[str, str] = SIDES) -> PreferencePair:
    """The two responses to a prompt, with weight, probability and margin where the row has them.

    sides: the fields of the chosen and the rejected one. Raises BadRow.
    """
    chosen, rejected = field(row, sides[0]), field(row, sides[1])
    if not (isinstance(chosen, str) and isinstance(rejected, str)) or (
        is_transcript(chosen) and is_transcript(rejected)
    ):
        (before, chosen), (other, rejected) = (_apart(row[name], name) for name in sides)
        if before and other:
            prompt = _common(row, prompt, (before, other), sides)
        elif (before or other) and prompt not in (before or other, opened(row, before or other)):
            raise _not_the_prompt(sides[0] if before else sides[1])
    return text_pair(prompt, chosen, rejected, numbers_of_pair(row, (chosen, rejected)))


def _are_transcripts(*answers: object) -> bool:
    """Whether all are transcripts, which excludes an answer that merely continues like one."""
    return all(isinstance(answer, str) and is_transcript(answer) for answer in answers)


def _apart(value: object, name: str) -> tuple[tuple[Message, ...], Response]:
    """Split a side into the messages before the response, and the response."""
    if isinstance(value, str):
        return split_transcript(value, name) if is_transcript(value) else ((), value)
    raw = [value] if isinstance(value, dict) else value
    messages = read_messages(raw, name)
    return messages[:-1], last_response(messages, raw, name)  # type: ignore[arg-type]  # a list, or it was refused


def prompt_of_pair(row: Row, prompt: tuple[Message, ...], sides: tuple[str, str] = SIDES) -> tuple[Message, ...]:
    """The prompt that `pair_of` builds from the prompt field and the two responses. Raises BadRow."""
    answers = [row.get(name) for name in sides]
    if any(map(are_texts, answers)) or not (all(map(is_conversation, answers)) or _are_transcripts(*answers)):
        return prompt
    (before, _), (other, _) = (_apart(row[name], name) for name in sides)
    return _common(row, prompt, (before, other), sides)


def _common(
    row: Row,
    prompt: tuple[Message, ...],
    befores: tuple[tuple[Message, ...], tuple[Message, ...]],
    sides: tuple[str, str],
) -> tuple[Message, ...]:
    wholes = [_whole(row, prompt, before, name) for before, name in zip(befores, sides, strict=True)]
    if wholes[0] != wholes[1]:
        reason = f"the messages of '{sides[0]}' and '{sides[1]}' differ before the last one"
        raise BadRow("prompts_differ", reason, "give both the same messages up to the response")
    return wholes[0]


def _whole(row: Row, prompt: tuple[Message, ...], before: tuple[Message, ...], name: str) -> tuple[Message, ...]:
    """The complete prompt, given the conversation before both responses and the prompt field beside them."""
    if before[0].role in ("assistant", "tool"):
        return prompt + before
    first = prompt[0]
    beside = {"system": first.content if first.role == "system" else None, "tools": first.tools}
    whole = opened(beside, opened(row, before))
    if _ends_with(prompt, whole):
        return prompt
    if _ends_with(whole, prompt) or _tells(prompt, whole):
        return whole
    raise _not_the_prompt(name)


def _ends_with(more: tuple[Message, ...], less: tuple[Message, ...]) -> bool:
    """Whether `more` ends with all of `less`, and begins with its system message and tools."""
    (opening, turns), (other, last) = _opening_and_turns(more), _opening_and_turns(less)
    return (
        len(last) <= len(turns)
        and all(said is None or said == heard for said, heard in zip(other, opening, strict=True))
        and all(_says(one, two) for one, two in zip(turns[len(turns) - len(last) :], last, strict=True))
    )


def _opening_and_turns(
    messages: tuple[Message, ...],
) -> tuple[tuple[str | None, str | None], tuple[Message, ...]]:
    """The system message and tools of a conversation, and its turns."""
    begins = messages[0].role == "system"
    return (messages[0].content.strip() if begins else None, messages[0].tools), messages[begins:]


def _says(one: Message, other: Message) -> bool:
    """Whether a turn contains everything that another one does."""
    if (one.role, one.content.strip()) != (other.role, other.content.strip()):
        return False
    return all(getattr(other, name) in (None, getattr(one, name)) for name in BESIDE_CONTENT)


def _tells(prompt: tuple[Message, ...], whole: tuple[Message, ...]) -> bool:
    """Whether a prompt text is one of a conversation's questions, or the whole conversation, turn after turn.

    Between turns it may hold only words that transcripts and chat templates write there.
    """
    (told, turns), (heard, said) = _opening_and_turns(prompt), _opening_and_turns(whole)
    if len(turns) != 1 or told not in ((None, None), heard):
        return False
    if any(one.role == "user" and _says(one, turns[0]) for one in said):
        return True
    if any(getattr(turns[0], name) is not None for name in BESIDE_CONTENT):
        return False
    text, place, beside = turns[0].content, 0, ""
    for one in said:
        if (found := text.find(one.content.strip(), place)) < 0:
            return False
        beside += text[place:found] + " "
        place = found + len(one.content.strip())
    return WORDS_OF_TEMPLATES.issuperset(WORD.findall((beside + text[place:]).lower()))


def _not_the_prompt(name: str) -> BadRow:
    return BadRow(
        "prompts_differ",
        f"the messages of '{name}' before its last one differ from the prompt",
        "give only the assistant's message, or repeat the prompt exactly",
    )
