"""Summarise the sampled data of a run that generates its own: totals, and whether any of it was informative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penchant.errors import TrainingError

__all__ = ["drawn_in_all", "require_decided"]

Rows = Sequence[Mapping[str, Any]]
IN_LEDGER = {"drawn/responses": "num_responses_written", "drawn/pairs": "num_pairs_made"}


def drawn_in_all(rows: Rows) -> dict[str, int]:
    """The ledger's totals over all steps; empty for a run on existing data."""
    columns = {ours: [row[name] for row in rows if name in row] for name, ours in IN_LEDGER.items()}
    return {name: int(sum(values)) for name, values in columns.items() if values}


def require_decided(rows: Rows, judge: str) -> None:
    """Raise TrainingError if the judge never separated two responses, so that nothing can be learned."""
    shares = [row["frac_undecided"] for row in rows if "frac_undecided" in row]
    if shares and min(shares) == 1:
        num = int(sum(row.get("drawn/responses", 0) for row in rows))
        raise TrainingError(
            f"in all {len(shares):,} steps, the judge {judge} judged all responses to a prompt as equally good "
            f"({num:,} responses), so nothing could be learned and no model was written; look at its answers on some "
            "samples, or choose another judge"
        )
