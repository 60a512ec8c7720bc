"""Import OpenAssistant's message trees: a prompt, its replies, their replies, and people's ranks of siblings.

A tree is one row, as in the files of trees, or was merged from one row per message (data/gathering.py). A message
that was deleted or failed its review is left out, with all its replies. Rank 0 is the best.
"""

from collections.abc import Iterator
from typing import Any

from penchant.data.answer_lists import Answer, AnswerList, GatheredOrigin
from penchant.data.files import Row
from penchant.data.importers.base import Importer, beyond, converting, text_field
from penchant.data.importers.prompts import make_prompt
from penchant.data.importers.values import kind_of, number_in, says_nothing, truth
from penchant.data.quickly import text_message
from penchant.data.records import Demonstration, Message, Prompt, Role
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["LINE", "OASST_PROMPTS", "OASST_THREADS", "OASST_TREE"]

LINE = "line of the file"
"""The row of a message in a merged tree."""
ROLES: dict[str, Role] = {"prompter": "user", "assistant": "assistant"}
_READ_OF_NODE = """
    text role replies rank deleted review_result model_name message_id parent_id parent_message_id
    task_message_id user_message_id user_id created_date lang review_count synthetic message_tree_id tree_state
"""
READ_OF_NODE = frozenset(_READ_OF_NODE.split()) | {LINE}
HARMLESS_OF_NODE = frozenset(["detoxify", "emojis", "labels", "events", "frontend_message_id"])
Thread = tuple[Message, ...]


def _message(node: Row) -> Message:
    role = text_field(node, "role")
    if role not in ROLES:
        raise BadRow("bad_type", f"a message has the unknown role {shown(role)}", "write prompter or assistant")
    return text_message(ROLES[role], text_field(node, "text"))


def _replies(node: Row) -> list[Row]:
    """The replies that were neither deleted nor failed review. Raises BadRow for an invalid reply."""
    replies = [] if says_nothing(node.get("replies")) else node["replies"]
    if not isinstance(replies, list) or not all(isinstance(one, dict) for one in replies):
        raise BadRow("bad_type", f"'replies' must be a list of messages, got {kind_of(replies)}", "write [] for none")
    for one in replies:
        if one.get("role") == node.get("role"):
            name = one.get("message_id") or one.get("user_message_id")
            reason = f"the reply {shown(name)} has the role {one['role']}, like the message that it replies to"
            raise BadRow("bad_type", reason, "correct the roles, or remove it")
    return [one for one in replies if _is_sound(one)]


def _is_sound(node: Row) -> bool:
    said = {name: node.get(name) for name in ("deleted", "review_result")}
    deleted, passed = (None if says_nothing(value) else truth(value, name) for name, value in said.items())
    return not deleted and passed is not False


def _rank(node: Row) -> float | None:
    return number_in(node.get("rank"), "rank")


def _nodes(row: Row) -> Iterator[tuple[Thread, Row, list[Row]]]:
    """Every sound message of the tree, depth first: (the thread including it, the message, its valid replies)."""
    root = row["prompt"]
    if not isinstance(root, dict):
        reason = f"'prompt' must be the message that the tree begins with, got {kind_of(root)}"
        raise BadRow("bad_type", reason, "write it with its text, role and replies")
    if root.get("role") != "prompter":
        raise BadRow("bad_type", "the tree does not begin with the prompter", "correct its first role")
    waiting: list[tuple[Thread, Row]] = [((), root)] if _is_sound(root) else []
    while waiting:
        before, node = waiting.pop()
        replies, thread = _replies(node), (*before, _message(node))
        yield thread, node, replies
        waiting += [(thread, one) for one in reversed(replies)]


def _lists(row: Row) -> tuple[AnswerList, ...]:
    """The replies to each prompter's message with several replies. Raises BadRow for a tree without any."""
    found = [
        AnswerList(
            prompt=thread,
            answers=tuple(
                Answer(response=_message(one).content, score=None if (rank := _rank(one)) is None else -rank)
                for one in replies
            ),
            origin=GatheredOrigin(line=node[LINE]) if LINE in node else None,
        )
        for thread, node, replies in _nodes(row)
        if len(replies) > 1 and node["role"] == "prompter"
    ]
    if not found:
        raise BadRow("one_answer", "no message of the tree has two answers", "train on its threads with `penchant sft`")
    if all(answer.score is None for one in found for answer in one.answers):
        raise BadRow("no_scores", "no answer in the tree is ranked", "train on its threads with `penchant sft`")
    return tuple(found)


def _threads(row: Row) -> tuple[Demonstration, ...]:
    """The conversations along the best answers, to their last answer; answers shared with an earlier one have weight 0.

    Where the answers to a message are ranked, only the best is followed; otherwise each is.
    """
    kept: list[tuple[Thread, GatheredOrigin | None]] = []
    waiting: list[tuple[Thread, Row]] = [((), row["prompt"])] if next(_nodes(row), None) else []
    while waiting:
        before, node = waiting.pop()
        thread = (*before, _message(node))
        ahead = [one for one in _followed(node) if node["role"] == "prompter" or _followed(one)]
        if node["role"] == "assistant" and not ahead:
            kept.append((thread, GatheredOrigin(line=node[LINE]) if LINE in node else None))
        waiting += [(thread, one) for one in reversed(ahead)]
    imitated: set[Thread] = set()
    return tuple(Demonstration(messages=tuple(_weighed(thread, imitated)), origin=origin) for thread, origin in kept)


def _root(row: Row) -> Prompt:
    """The first message of the tree; later questions follow recorded answers, and a model gives its own."""
    first = next(_nodes(row), None)
    if first is None:
        raise BadRow("empty_prompt", "its first message was deleted, or failed its review", "nothing to fix")
    return make_prompt({}, first[0])


def _followed(node: Row) -> list[Row]:
    """The replies that threads follow: the best ranked reply to the prompter; every reply to the assistant."""
    replies = _replies(node)
    ranked = [(rank, one) for one in replies if (rank := _rank(one)) is not None]
    if node["role"] == "assistant" or not ranked:
        return replies
    return [min(ranked, key=lambda pair: pair[0])[1]]


def _weighed(thread: Thread, imitated: set[Thread]) -> Iterator[Message]:
    for end, message in enumerate(thread, 1):
        again = message.role == "assistant" and thread[:end] in imitated
        imitated.add(thread[:end])
        yield message.model_copy(update={"weight": 0.0}) if again else message


def _inside(row: Row) -> Iterator[tuple[str, Row]]:
    waiting: list[Any] = [row["prompt"]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):  # replies to a deleted message were not checked
            yield "prompt.replies[].", beyond(node, READ_OF_NODE | HARMLESS_OF_NODE)
            waiting += node["replies"] if isinstance(node.get("replies"), list) else []


def _matches(row: Row) -> bool:
    root = row.get("prompt")
    return isinstance(root, dict) and "replies" in root and "text" in root and "message_tree_id" in row


QUESTION: Row = {"message_id": "1", "role": "prompter", "text": "What is the sun?"}
REPLIES: list[Row] = [
    {"message_id": "2", "parent_id": "1", "role": "assistant", "text": "A lamp.", "rank": 1, "replies": []},
    {
        "message_id": "3",
        "parent_id": "1",
        "role": "assistant",
        "text": "A star, the nearest one.",
        "rank": 0,
        "replies": [],
    },
]

OASST_TREE = Importer(
    name="oasst_tree",
    description="message_tree_id, prompt (a message with text, role and replies, which have a rank)",
    example={"message_tree_id": "1", "tree_state": "ready_for_export", "prompt": {**QUESTION, "replies": REPLIES}},
    needs=("message_tree_id", "prompt"),
    matches=_matches,
    convert=_lists,
    reads=frozenset(("message_tree_id", "tree_state", "prompt")),
    inside=_inside,
)
OASST_THREADS = converting(OASST_TREE, _threads)
"""The same trees, as demonstrations."""
OASST_PROMPTS = converting(OASST_TREE, _root)
"""Their first messages, as prompts."""
