"""The numbers of pairs, prompts, responses or texts that a run was trained and measured on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penchant.report.languages import Words
from penchant.report.series import Rows, series

__all__ = ["KINDS", "Counts", "counts_of", "num_held_out_pairs"]

KINDS = ("pairs", "prompts", "responses", "texts")
"""What a run reads: the ledger has num_train_KIND and num_held_out_KIND of one of them."""


@dataclass(frozen=True)
class Counts:
    """kind: one of KINDS. train, held_out: how many; None if not in the ledger."""

    kind: str
    train: int | None
    held_out: int | None

    def sentence(self, _: Words) -> list[str]:
        """Both numbers in words, as far as known."""
        words = {
            "pairs": (_("{num} training pairs"), _("{num} held-out pairs")),
            "prompts": (_("{num} training prompts"), _("{num} held-out prompts")),
            "responses": (_("{num} training responses"), _("{num} held-out responses")),
            "texts": (_("{num} training texts"), _("{num} held-out texts")),
        }[self.kind]
        nums = (self.train, self.held_out)
        return [form.format(num=f"{num:,}") for form, num in zip(words, nums, strict=True) if num is not None]


def counts_of(run: Mapping[str, Any]) -> Counts:
    """The counts in the ledger; pairs by default."""
    found = [Counts(kind, _whole(run, f"num_train_{kind}"), _whole(run, f"num_held_out_{kind}")) for kind in KINDS]
    return next((one for one in found if (one.train, one.held_out) != (None, None)), found[0])


def num_held_out_pairs(run: Mapping[str, Any], metrics: Rows) -> int | None:
    """The number of pairs behind the latest held-out figures: held out, or made from held-out prompts."""
    made, counts = series(metrics, "eval_drawn/pairs"), counts_of(run)
    if len(made):
        return int(made.values[-1])
    return counts.held_out if counts.kind == "pairs" else None


def _whole(run: Mapping[str, Any], name: str) -> int | None:
    value = run.get(name)
    return value if isinstance(value, int) else None
