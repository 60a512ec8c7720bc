"""Import battles of Chatbot Arena: two conversations with two models, and which one a user preferred.

It reads the forms of the published data sets: those of 33,000, 100,000 and 140,000 battles and MT-bench's judgements
(two lists of messages), and that of 55,000 (texts or lists of turns, kept as text). The last answers, of the turn that
`turn` names, are compared. Where earlier answers differ, as they nearly always do, the conversations share no prompt:
the battle is a vote on the models and not a pair. Data: Chiang et al. 2024, "Chatbot Arena" (arXiv 2403.04132);
Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (arXiv 2306.05685).
"""

from typing import Any

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, field, filled, last_response, opened
from penchant.data.importers.judged import SIDES, compared, judge_of, text_of
from penchant.data.importers.messages import ROLES, read_messages
from penchant.data.importers.packed import spelt
from penchant.data.importers.values import kind_of, number_in, says_nothing, truth
from penchant.data.importers.vote_fields import OUTCOMES, outcome_field
from penchant.data.records import Comparison, Message
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = [
    "ARENA",
    "ARENA_TURNS",
    "CONVERSATIONS",
    "KNOWN_OF_BATTLE",
    "WINNERS",
    "is_asked",
    "judged_part",
    "of_turns",
    "winner_of",
]

CONVERSATIONS = ("conversation_a", "conversation_b")
MODELS = ("model_a", "model_b")
TURNS = ("prompt", "response_a", "response_b")
WINNERS = {"winner_model_a": "model_a", "winner_model_b": "model_b", "winner_tie": "tie"}
OF_SESSION = frozenset(("full_conversation", "evaluation_order"))
KNOWN_OF_BATTLE = frozenset(
    ("question_id", "anony", "language", "tstamp", "openai_moderation", "toxic_chat_tag", "judge_hash", "dedup_tag")
).union(("conv_metadata", "category_tag", "occupational_tags", "is_code", "is_refusal", "evaluation_session_id"))
"""Fields of the published battles that do not concern the preference."""


def convert(row: Row) -> Comparison:
    """A comparison of two conversations that differ only in their last message; a was on the left."""
    given = [judged_part(field(row, name), row) for name in CONVERSATIONS]
    conversations = [read_messages(raw, name) for name, raw in zip(CONVERSATIONS, given, strict=True)]
    prompt = _shared(row, *(conversation[:-1] for conversation in conversations))
    texts = [
        text_of(last_response(messages, raw, name))
        for name, messages, raw in zip(CONVERSATIONS, conversations, given, strict=True)
    ]
    return compared(
        opened(row, prompt),
        (texts[0], texts[1]),
        SIDES[winner_of(row, (row.get("model_a"), row.get("model_b")))],
        models=(row.get("model_a"), row.get("model_b")),
        annotator=judge_of(row),
        shown_first="a",
        created_at=None if says_nothing(row.get("tstamp")) else row["tstamp"],
        meta={} if row.get("question_id") is None else {"question_id": row["question_id"]},
    )


def _shared(row: Row, left: tuple[Message, ...], right: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages that both last answers reply to. Raises BadRow where they reply to different things."""
    asked = [message.content for message in left if message.role == "user"]
    if asked != [message.content for message in right if message.role == "user"]:
        raise BadRow("prompts_differ", "the two conversations ask different questions", "give both the same questions")
    if not left and not right:
        raise BadRow("missing_field", "the conversations share no prompt", "add the messages before the response")
    way_on = "nothing to fix; `penchant rank` counts the vote"
    if left != right:
        reason = "the conversations differ before their last message, so the last answers share no prompt"
        raise BadRow("turns_differ", reason, way_on)
    if _num_turns(row) > len(asked):
        reason = "the earlier turns are only in 'full_conversation', where each has two answers"
        raise BadRow("turns_differ", reason, way_on)
    return left


def _num_turns(row: Row) -> int:
    """The number of turns of the whole session; a vote may have judged only the last."""
    whole = spelt(row.get("full_conversation"))
    if not says_nothing(whole):
        if not isinstance(whole, list):
            raise BadRow(
                "bad_type", f"'full_conversation' must be a list, got {kind_of(whole)}", "write a list of turns"
            )
        return len(whole)
    return _whole_number(row, "evaluation_order") or 0


def _whole_number(row: Row, name: str) -> int | None:
    """A number of turns; None if it is not recorded. Raises BadRow."""
    number = None if says_nothing(row.get(name)) else number_in(row[name], name)
    if number is not None and (number != int(number) or number < 1):
        raise BadRow(
            "bad_type", f"'{name}' is {shown(row[name])}, which is not a turn", "write a whole number from 1 up"
        )
    return None if number is None else int(number)


def is_asked(message: object) -> bool:
    """Whether this is the user's message, in either spelling."""
    if not isinstance(message, dict):
        return False
    role = message.get("role") if message.get("from") is None else message["from"]
    return isinstance(role, str) and ROLES.get(role) == "user"


def judged_part(conversation: Any, row: Row) -> Any:
    """A conversation up to the answer of the turn that was judged; all of it if `turn` equals its number of turns."""
    if not isinstance(conversation, list) or (turn := _whole_number(row, "turn")) is None:
        return conversation
    asked = [i for i, message in enumerate(conversation) if is_asked(message)]
    if turn > len(asked):
        reason = f"'turn' is {turn}, but the conversation has {len(asked)} questions"
        raise BadRow("bad_type", reason, "write the number of the turn that was judged")
    return conversation[: asked[turn]] if turn < len(asked) else conversation


def of_turns(row: Row) -> Row:
    """Convert a battle of one prompt and two responses (texts or lists of turns) to one of two conversations."""
    asked, *answers = _turns([field(row, name) for name in TURNS])
    if any(len(one) != len(asked) for one in answers):
        reason = f"'prompt' has {len(asked)} turns and the responses have {len(answers[0])} and {len(answers[1])}"
        raise BadRow("bad_type", reason, "give as many answers as questions")
    battle = {name: row[name] for name in row if name not in TURNS}
    for name, texts in zip(CONVERSATIONS, answers, strict=True):
        turns = zip(asked, texts, strict=True)
        battle[name] = [
            {"role": role, "content": text or ""}
            for turn in turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
    return battle


def winner_of(row: Row, items: tuple[object, object]) -> str | None:
    """The outcome given by `winner` and the flag columns. Raises BadRow where they differ."""
    said = outcome_field(row, "winner", items) if "winner" in row else None
    flagged = _flagged(row)
    if said is None:
        return None if flagged is None else OUTCOMES[flagged]
    for name, word in WINNERS.items():
        if says_nothing(row.get(name)):
            continue
        alike = OUTCOMES[word] == said
        both_bad = word == "tie" and said == "both_bad"  # the column of ties may include both_bad
        if not both_bad and truth(row[name], name) != alike:
            reason = f"'winner' is {shown(row['winner'])}, but '{name}' is {shown(row[name])}"
            raise BadRow("bad_type", reason, "keep the one that is right")
    return said


def _flagged(row: Row) -> str | None:
    """The outcome whose column holds 1."""
    won = [word for name, word in WINNERS.items() if not says_nothing(row.get(name)) and truth(row[name], name)]
    if len(won) > 1:
        reason = f"the columns {', '.join(WINNERS)} name {len(won)} outcomes"
        raise BadRow("bad_type", reason, "write 1 in only one of them")
    return won[0] if won else None


def _turns(values: list[Any]) -> list[list[str | None]]:
    """The turns, if all are lists of texts or JSON of such lists; else one turn each. null is no answer."""
    found = [spelt(value) for value in values]
    lists = found if all(isinstance(value, list) for value in found) else [[value] for value in values]
    for name, texts in zip(TURNS, lists, strict=True):
        if not all(isinstance(text, str | None) for text in texts):
            raise BadRow("bad_type", f"'{name}' holds something other than text", 'write ["first turn", "second turn"]')
    return lists


_QUESTION = {"role": "user", "content": "What is the sun?"}
ARENA: Importer[Comparison] = Importer(
    name="arena_battles",
    description="conversation_a, conversation_b (messages), winner (model_a, model_b, tie or tie (bothbad))",
    example={
        "model_a": "tea",
        "model_b": "coffee",
        "winner": "model_a",
        "conversation_a": [_QUESTION, {"role": "assistant", "content": "A star, the nearest one."}],
        "conversation_b": [_QUESTION, {"role": "assistant", "content": "A lamp."}],
        "turn": 1,
    },
    needs=CONVERSATIONS,
    matches=lambda row: filled(row, *CONVERSATIONS),
    convert=convert,
    reads=BESIDE.union(CONVERSATIONS, MODELS, ("winner", "judge", "tstamp", "question_id", "turn"), WINNERS)
    | OF_SESSION,
    harmless=KNOWN_OF_BATTLE,
)

ARENA_TURNS: Importer[Comparison] = Importer(
    name="arena_turns",
    description="prompt, response_a, response_b (texts or lists of turns), winner, or winner_model_a, _b, winner_tie",
    example={
        "model_a": "tea",
        "model_b": "coffee",
        "prompt": '["What is the sun?"]',
        "response_a": '["A star, the nearest one."]',
        "response_b": '["A lamp."]',
        "winner_model_a": 1,
        "winner_model_b": 0,
        "winner_tie": 0,
    },
    needs=TURNS,
    matches=lambda row: filled(row, *TURNS),
    convert=lambda row: convert(of_turns(row)),
    reads=ARENA.reads.difference(CONVERSATIONS).union(TURNS),
    harmless=KNOWN_OF_BATTLE,
)
