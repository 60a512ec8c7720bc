"""Data: records, importers, and splits."""

from penchant.data.derived import labelled_from_pairs, pairs_from_comparisons
from penchant.data.files import read_rows
from penchant.data.given import Data, Part
from penchant.data.importers.vote_fields import Vote, keeps_order, vote_columns
from penchant.data.in_memory import RowSource, as_source
from penchant.data.kinds import guess_kind
from penchant.data.load import (
    load_demonstrations,
    load_labelled,
    load_pairs,
    load_prompts,
    load_votes,
    reading_of,
)
from penchant.data.options import OnBadRow, ReadOptions
from penchant.data.quickly import as_message
from penchant.data.reading import Loaded
from penchant.data.records import (
    Candidate,
    Comparison,
    Demonstration,
    Document,
    Labelled,
    Message,
    Origin,
    Outcome,
    PreferencePair,
    Prompt,
    Response,
    Role,
    Source,
    prompt_id,
    prompt_identity,
    prompt_key,
    response_key,
    shown,
)
from penchant.data.split import split_by_prompt
from penchant.data.verdicts import CODES, Verdict

__all__ = [
    "CODES",
    "Candidate",
    "Comparison",
    "Data",
    "Demonstration",
    "Document",
    "Labelled",
    "Loaded",
    "Message",
    "OnBadRow",
    "Origin",
    "Outcome",
    "Part",
    "PreferencePair",
    "Prompt",
    "ReadOptions",
    "Response",
    "Role",
    "RowSource",
    "Source",
    "Verdict",
    "Vote",
    "as_message",
    "as_source",
    "guess_kind",
    "keeps_order",
    "labelled_from_pairs",
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
    "load_votes",
    "pairs_from_comparisons",
    "prompt_id",
    "prompt_identity",
    "prompt_key",
    "read_rows",
    "reading_of",
    "response_key",
    "shown",
    "split_by_prompt",
    "vote_columns",
]
