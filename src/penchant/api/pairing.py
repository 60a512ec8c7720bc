"""Build preference pairs from the answers of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penchant.data.pair_building import BuildingRule, Choice, Order, Paired
from penchant.evaluation.judges import Scorer
from penchant.evaluation.pairs import pairs_from
from penchant.evaluation.policies import AnyModel
from penchant.evaluation.samples import Samples
from penchant.progress import Reporter, reporter_of

__all__ = ["pair"]


def pair(
    samples: Samples | str | os.PathLike[str] | Sequence[Samples | str | os.PathLike[str]],
    judge: str | Scorer | Callable[..., Any] | None = None,
    *,
    rule: BuildingRule = "best_worst",
    min_gap: float = 0.0,
    max_length_ratio: float | None = None,
    finished: bool = False,
    order: Order = "prompts",
    ches_model: AnyModel | None = None,
    drop_alike: float = 0.0,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: bool | Reporter = True,
) -> Paired:
    """Build preference pairs from the answers of one or several models to the same prompts (`Paired.rows`, for `dpo`).

    Args:
        samples: the result of `sample`, or files written by it; a list where several models answered.
        judge: what scores an answer: a name ("positivity"), "module:function", or a function of (prompt, response).
        rule: "best_worst", "best_random", "adjacent" or "all": which of a prompt's answers to pair, by score; "delta":
            prefer the first model's answer to the second's, which needs no judge.
        min_gap: the smallest difference of scores that makes a pair.
        max_length_ratio: how much longer the longer side may be, in characters.
        finished: leave out answers that were cut off at the length limit.
        order: "prompts", "easy_first" (largest gap first), or "least_alike_first" (lowest CHES first).
        ches_model: the model that measures how similar both sides of a pair are (CHES, arXiv 2410.08847).
        drop_alike: the share of the pairs to leave out, the most similar by CHES first.
        device, dtype, chat_template: for loading `ches_model`; the first two also apply to a reward model as judge.
        output: JSON lines to write as well.
        progress: see `penchant.dpo`.

    Raises:
        UserError: incompatible options, a judge without scores, samples that cannot be read, or no pair is left.
    """
    given = [samples] if isinstance(samples, Samples | str | os.PathLike) else samples
    return pairs_from(
        [one if isinstance(one, Samples) else Path(one) for one in given],
        Choice(rule, min_gap, max_length_ratio, finished, order, drop_alike),
        judge,
        ches_model=ches_model,
        device=device,
        dtype=dtype,
        chat_template=chat_template,
        reporter=reporter_of(progress),
        output=None if output is None else Path(output),
    )
