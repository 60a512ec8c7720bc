"""The result of sampling: responses as unanswered comparisons, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penchant.data import Comparison

__all__ = ["Sampled", "Samples"]


@dataclass(frozen=True)
class Sampled:
    """Counts: prompts answered now and found answered; of those answered now, prompts whose two responses stayed
    identical, and tokens sampled; prompts that a server refused, and the first of them with its reason."""

    num_prompts: int
    num_found: int
    num_identical: int
    num_tokens: int
    num_refused: int = 0
    first_refused: str = ""

    def in_words(self, seconds: float) -> list[str]:
        """The counts as lines. seconds: duration of the sampling."""
        found = f" ({self.num_found} were there)" if self.num_found else ""
        lines = [f"{self.num_prompts} prompts answered{found}, {self.num_tokens} tokens in {seconds:.0f} s"]
        if self.num_identical:
            lines.append(f"{self.num_identical} prompts got identical responses, flagged; a higher temperature helps")
        if self.num_refused:
            lines.append(f"{self.num_refused} prompts were refused and are left out, the first {self.first_refused}")
        return lines


@dataclass(frozen=True)
class Samples:
    """A model's answers, in the prompts' order.

    rows: as written to a file; pairs of responses, or prompts with one completion. num_identical: prompts whose two
    responses stayed identical. num_tokens: tokens sampled. num_refused: prompts that a server refused, which have no
    rows.
    """

    rows: tuple[dict[str, Any], ...]
    num_identical: int
    num_tokens: int
    num_refused: int = 0

    @property
    def comparisons(self) -> list[Comparison]:
        """The pairs of responses as unanswered comparisons; empty if there was one response per prompt."""
        return [Comparison.model_validate(row) for row in self.rows if "completion" not in row]
