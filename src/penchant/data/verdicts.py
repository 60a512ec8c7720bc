"""Verdicts on rows: keep, or a code with a reason and a fix.

error      the row cannot be used: loading stops, or drops and counts it, as the user chose
warning    the row is kept and counted: the user should know about it
no_pair    the row is sound but holds nothing to train on (a tie, an answer not to train on): skipped and counted
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from penchant.data.records import Origin
from penchant.wording import MAX_REASON, one_line, shown

__all__ = ["CODES", "BadRow", "Code", "Severity", "Verdict", "bad_row_from_validation"]

Severity = Literal["keep", "error", "warning", "no_pair"]


@dataclass(frozen=True, slots=True)
class Code:
    """The severity and meaning of a verdict."""

    severity: Severity
    meaning: str


CODES: dict[str, Code] = {
    "keep": Code("keep", "nothing to remark"),
    "empty_response": Code("error", "a response is empty, or white space only"),
    "equal_responses": Code("error", "chosen and rejected are the same text once stripped"),
    "prompts_differ": Code("error", "chosen and rejected do not answer the same prompt"),
    "missing_field": Code("error", "a field the format needs is absent or null"),
    "bad_type": Code("error", "a field, or the row, is not of the shape the format needs"),
    "invalid_json": Code("error", "the line is not JSON"),
    "not_utf8": Code("error", "the line is not UTF-8 text"),
    "too_long_line": Code("error", "the line is longer than the size limit"),
    "prompt_too_long": Code("error", "the prompt alone is longer than the limit of tokens"),
    "equal_after_truncation": Code("error", "the two responses are the same once they are cut at the limit"),
    "template_boundary": Code("error", "the chat template writes the prompt differently once the response is added"),
    "not_written": Code("error", "the chat template leaves out something that the row says"),
    "special_token": Code("error", "a text spells a special token of the tokenizer"),
    "thinking_open": Code("error", "a response has reasoning and no answer after it"),
    "nothing_scored": Code("error", "no turn of the conversation has a weight, so there is nothing to learn"),
    "unread_field": Code("error", "it holds something that changes its meaning and is not read"),
    "empty_prompt": Code("error", "the prompt is empty, or white space only"),
    "answered_prompt": Code("error", "the prompt ends with the assistant's turn"),
    "repeated_id": Code("error", "an earlier prompt with another text has the same id"),
    "duplicate": Code("warning", "the same record as an earlier row"),
    "contradicts": Code("warning", "an earlier row says the opposite of the same response or pair"),
    "tie": Code("no_pair", "the two are judged equally good"),
    "both_bad": Code("no_pair", "neither is judged acceptable"),
    "turns_differ": Code(
        "no_pair", "the conversations differ before the last answers, which therefore share no prompt"
    ),
    "unanswered": Code("no_pair", "nobody has answered yet"),
    "one_answer": Code("no_pair", "it holds fewer than two answers to choose between"),
    "no_scores": Code("no_pair", "nothing says which of its answers is better"),
    "small_gap": Code("no_pair", "its scores are less than min_gap apart"),
    "not_desirable": Code("no_pair", "its label is false, so it is not for imitation"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding about one row, why it matters, and what to do about it."""

    code: str
    origin: Origin
    reason: str
    fix: str

    def __post_init__(self) -> None:
        for name in ("reason", "fix"):  # they quote rows, and are written to run.json
            object.__setattr__(self, name, one_line(getattr(self, name), MAX_REASON))

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    def __str__(self) -> str:
        return f"{self.origin}: {self.reason}; {self.fix}"


class BadRow(Exception):
    """A row that yields no record, with a code of CODES. The loader turns it into a Verdict, users never see it."""

    def __init__(self, code: str, reason: str, fix: str) -> None:
        super().__init__(f"{reason}; {fix}")
        self.code = code
        self.reason = reason
        self.fix = fix

    def at(self, origin: Origin) -> Verdict:
        """The verdict for the row read at `origin`."""
        return Verdict(self.code, origin, self.reason, self.fix)


def bad_row_from_validation(error: ValidationError) -> BadRow:
    """The first of pydantic's errors as a BadRow that names the field."""
    first = error.errors(include_url=False, include_context=False)[0]
    # if a field has several types, pydantic names the type too, as `function-after[...]` or `Message`
    field = ".".join(
        str(part) for part in first["loc"] if isinstance(part, int) or (part[:1].islower() and part.isidentifier())
    )
    if first["type"] == "missing":
        return BadRow("missing_field", f"the field '{field}' is missing", f"add '{field}' to the row")
    if first["type"] == "string_unicode":
        return BadRow(
            "not_utf8",
            f"'{field}' is not UTF-8 text: it holds bytes, or half of a surrogate pair, that make no character",
            "write the text again as UTF-8",
        )
    complaint = first["msg"][:1].lower() + first["msg"][1:]
    got = shown(first["input"])
    return BadRow("bad_type", f"the field '{field}' is {got}: {complaint}", f"correct '{field}'")
