"""Records, importers and splits."""

from penchant.data.files import read_rows
from penchant.data.load import (
    LoadedDemonstrations,
    LoadedPairs,
    LoadedPrompts,
    OnBadRow,
    load_demonstrations,
    load_pairs,
    load_prompts,
)
from penchant.data.records import (
    Candidate,
    Comparison,
    Demonstration,
    Document,
    Message,
    Origin,
    Outcome,
    PreferencePair,
    Prompt,
    Role,
    Source,
    pairs_from_comparisons,
    prompt_key,
)
from penchant.data.split import group_by_prompt, split_by_prompt
from penchant.data.verdicts import CODES, Verdict

__all__ = [
    "CODES",
    "Candidate",
    "Comparison",
    "Demonstration",
    "Document",
    "LoadedDemonstrations",
    "LoadedPairs",
    "LoadedPrompts",
    "Message",
    "OnBadRow",
    "Origin",
    "Outcome",
    "PreferencePair",
    "Prompt",
    "Role",
    "Source",
    "Verdict",
    "group_by_prompt",
    "load_demonstrations",
    "load_pairs",
    "load_prompts",
    "pairs_from_comparisons",
    "prompt_key",
    "read_rows",
    "split_by_prompt",
]
