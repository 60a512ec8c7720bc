"""What fields of a row mean in any format: which are harmless, and which must not be ignored."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from penchant.data.importers.values import TRUTH

__all__ = ["HARMLESS", "MEANINGFUL", "NAMELESS", "OF_ANSWERS", "OF_OTHER_FORMATS", "Meaning"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """Why a row may not be read without the field, and what to do.

    neutral: lower-case values that change nothing. may_repeat: if the field holds a text, the part of the row that may
    already contain it, so that it adds nothing: the prompt, or all fields that are read. says: the values that are
    meaningful at all; with others the field is only listed. nothing_of: kinds of records it does not concern.
    """

    why: str
    fix: str
    neutral: tuple[str, ...] = ()
    may_repeat: Literal["the prompt", "the row"] | None = None
    says: Callable[[object], bool] = lambda _: True
    nothing_of: tuple[str, ...] = ()

    def is_neutral(self, value: object, others: Iterable[object] = ()) -> bool:
        """Whether the value changes nothing; beside fields that are read with the same meaning, whether it agrees."""
        if others:
            return all(_plain(value) == _plain(other) for other in others)
        return str(value).strip().lower() in self.neutral


def _is_one_value(value: object) -> bool:
    return not isinstance(value, list | dict)


NO_WORDS = re.compile(r"[\w.:/#-]*\d[\w.:/#-]*|\w+://\S+|", re.ASCII)
"""An id, a number, an address."""


def _holds_words(value: object) -> bool:
    if isinstance(value, list | dict):
        return any(map(_holds_words, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and not NO_WORDS.fullmatch(value.strip())


def _plain(value: object) -> object:
    """A value in a spelling common to all files: true, "True", 1 and "1.0" are equal."""
    said = str(value).strip().lower()
    try:
        return float(TRUTH.get(said, said))
    except ValueError:
        return said


FALSE = ("false", "0", "0.0", "no", "n", "f")
_HARMLESS = """
    id _id uid uuid guid idx index row row_id row_index hash sha sha256 slug __index_level_0__ prompt_id
    question_id conversation_id conv_id message_id task_message_id user_message_id message_tree_id sample_id
    example_id pair_id task_id tree_state url link license
    source sources dataset dataset_name data_source origin subset split generator generation_model model
    model_name chosen_model rejected_model chosen_source rejected_source category categories subcategory task
    tasks task_type topic topics tags tag type domain name lang language locale
    timestamp tstamp date datetime created created_at updated_at time version annotator annotators annotator_id
    worker worker_id judge user user_id session_id evaluation_session_id
    score scores score_0 score_1 score_chosen score_rejected chosen_score rejected_score rating ratings
    chosen_rating rejected_rating chosen-rating rejected-rating chosen_avg_rating rejected_avg_rating
    overall_score quality helpfulness difficulty complexity perplexity reward rewards chosen_reward
    rejected_reward
    num_turns num_tokens n_tokens token_count tokens length chosen_length rejected_length meta metadata info
    extra extra_info openai_moderation toxic redacted anony parallel_tool_calls
"""
HARMLESS = frozenset(_HARMLESS.split())
"""Names, marks and measures, which do not affect training."""
NAMELESS = ("", "Unnamed: 0")
"""Names of unnamed csv columns, such as the row numbers."""

_CONVERSATION = Meaning(
    "holds another text than the fields that are read",
    "give each row one conversation, or say how it is to be read: `format=...`",
    may_repeat="the row",
)
_ASKED = replace(_CONVERSATION, may_repeat="the prompt")
_RESPONSE = Meaning(
    "holds a response of a preference, which is not for imitation",
    "train on pairs with `penchant dpo`, or remove it",
    may_repeat="the row",
)
_LABEL = Meaning(
    "says whether the response is good",
    'write prompt, completion, label for `objective="kto"`, or remove it',
    ("true", "1", "1.0"),
    says=_is_one_value,
)
_SYSTEM = Meaning(
    "says how to answer, before the prompt",
    "write it as a system message, or as 'system' beside messages",
    may_repeat="the prompt",
)
_TOOLS = Meaning("names the functions that may be called", "write them as 'tools' beside messages")
_HISTORY = Meaning("holds earlier turns", "write the whole conversation as messages", may_repeat="the prompt")
_REASONING = Meaning(
    "holds reasoning that belongs to a response", "write it in the assistant's message, as reasoning_content"
)
_WEIGHT = Meaning(
    "gives the row a weight",
    "write it in the messages, or beside a conversation or a pair, where weights are read",
    ("1", "1.0"),
)
_NEUTRAL_OFF = Meaning(
    "changes what the pair says", "write it beside chosen and rejected, where it is read", ("0", "0.0")
)
_NO_PREFERENCES = ("Prompt", "Demonstration", "Document")
_SURE = Meaning(
    "says how sure the preference is",
    "name it 'probability', beside chosen and rejected",
    ("1", "1.0"),
    nothing_of=_NO_PREFERENCES,
)
_TRAIN = Meaning(
    "says whether the row is trained on",
    "remove the rows that are not to be trained on, or write it in messages",
    ("true", "1", "1.0"),
)
_MEDIA = Meaning(
    "holds something other than text, and only text is read",
    "remove the row, or the field if the text does not need it",
)
_MEDIA_ELSEWHERE = replace(_MEDIA, nothing_of=("Document",))
_TEMPLATE = Meaning(
    "changes how the chat template writes the row", "give a `chat_template=...` that writes it that way"
)

_LEFT_OUT = Meaning("says that the row is not to be used", "remove the row", FALSE)
_TURNED = Meaning(
    "says that the first side is not the better one",
    "write the better side as chosen, and remove ties",
    FALSE,
    nothing_of=_NO_PREFERENCES,
)
_TIE = replace(_TURNED, nothing_of=(*_NO_PREFERENCES, "Vote"))
_MASK = Meaning(
    "says what is left out of the loss",
    "write `train` or `weight` in the assistant's messages; what the user wrote is never learned",
    ("user", "human"),
)
_GROUNDS = Meaning(
    "holds a text that the answer rests on",
    "write it into the prompt, or rename the column: `columns=...`",
    may_repeat="the prompt",
    says=_holds_words,
)

OF_OTHER_FORMATS = (_CONVERSATION, _ASKED, _RESPONSE)
OF_ANSWERS = (_LABEL, _WEIGHT, _TRAIN)
"""Fields that concern an answer, and mean nothing in another role's message."""

MEANINGFUL: dict[str, Meaning] = {
    **dict.fromkeys(("label", "labels", "kto_tag", "desirable", "is_desirable", "is_good", "is_chosen"), _LABEL),
    **dict.fromkeys(("system", "system_prompt", "system_message", "system_instruction", "systemprompt"), _SYSTEM),
    **dict.fromkeys(("tools", "functions", "function_call", "tool_calls"), _TOOLS),
    **dict.fromkeys(("history", "chat_history", "conversation_history", "previous_messages"), _HISTORY),
    **dict.fromkeys(("reasoning_content", "thinking", "chosen_thinking", "rejected_thinking"), _REASONING),
    **dict.fromkeys(("weight", "weights", "sample_weight"), _WEIGHT),
    "margin": _NEUTRAL_OFF,
    **dict.fromkeys(("probability", "soft_label", "chosen_prob"), _SURE),
    **dict.fromkeys(("train", "training", "trainable", "loss_mask", "loss_weight", "label_mask"), _TRAIN),
    **dict.fromkeys(("mask", "masked"), _MASK),
    **dict.fromkeys(("deleted", "discarded", "excluded"), _LEFT_OUT),
    **dict.fromkeys(("swapped", "is_swapped", "flipped"), _TURNED),
    **dict.fromkeys(("tie", "is_tie"), _TIE),
    **dict.fromkeys(("context", "contexts", "document", "documents", "passage", "passages"), _GROUNDS),
    **dict.fromkeys(("image", "images", "audio", "audios", "video", "videos"), _MEDIA),
    **dict.fromkeys(("image_path", "image_paths", "image_url", "image_urls"), _MEDIA_ELSEWHERE),
    **dict.fromkeys(("chat_template_kwargs", "enable_thinking"), _TEMPLATE),
    **dict.fromkeys(("messages", "conversations", "conversation", "completion"), _CONVERSATION),
    **dict.fromkeys(("prompt", "instruction", "question", "query", "input"), _ASKED),
    **dict.fromkeys(("chosen", "rejected", "preferred_output", "non_preferred_output"), _RESPONSE),
    **dict.fromkeys(("chosen_response", "rejected_response", "response_j", "response_k"), _RESPONSE),
    **dict.fromkeys(("chosen_messages", "rejected_messages"), _RESPONSE),
}
"""Fields that change what a row means wherever they stand, by name in lower case."""
