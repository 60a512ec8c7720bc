"""The tables of formats: an importer is a row, and the first that matches a data row reads it."""

from penchant.data.importers.alpaca import ALPACA
from penchant.data.importers.base import Importer
from penchant.data.importers.comparison import COMPARISON
from penchant.data.importers.conversation import MESSAGES, SHAREGPT
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT, OPENAI_PAIR, SHAREGPT_PAIR
from penchant.data.importers.hh import HH
from penchant.data.importers.labelled import heeding_label, with_label
from penchant.data.importers.prompt_completion import PROMPT_COMPLETION
from penchant.data.importers.prompts import PROMPT, PROMPT_LINE, PROMPT_MESSAGES
from penchant.data.importers.shared_prefix import SHARED_PREFIX
from penchant.data.importers.text import TEXT
from penchant.data.records import Demonstration, Document, Labelled, PreferencePair, Prompt

__all__ = ["DEMONSTRATION_IMPORTERS", "LABELLED_IMPORTERS", "PAIR_IMPORTERS", "PROMPT_IMPORTERS", "Importer"]

PAIR_IMPORTERS: tuple[Importer[PreferencePair], ...] = (
    EXPLICIT_PROMPT,
    SHAREGPT_PAIR,
    SHARED_PREFIX,
    HH,
    COMPARISON,
    OPENAI_PAIR,
)

LABELLED_IMPORTERS: tuple[Importer[Labelled], ...] = (
    with_label("labelled", PROMPT_COMPLETION),
    with_label("labelled_messages", MESSAGES),
    with_label("labelled_sharegpt", SHAREGPT),
    with_label("labelled_alpaca", ALPACA),
)

DEMONSTRATION_IMPORTERS: tuple[Importer[Demonstration | Document], ...] = (
    *map(heeding_label, (MESSAGES, SHAREGPT, PROMPT_COMPLETION, ALPACA)),
    TEXT,
)

PROMPT_IMPORTERS: tuple[Importer[Prompt], ...] = (PROMPT, PROMPT_MESSAGES, PROMPT_LINE)
