"""Compare two models' answers to the same prompts side by side, by any judge or person, and summarise the result.

The newer model's answer is a or b by a coin toss fixed by seed and prompt, so that position bias favours neither model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from penchant.data import Candidate, Comparison, Prompt, Source, shown
from penchant.evaluation.judges.lines import JUDGE_FIELD
from penchant.ranking.cautions import warning_of
from penchant.ranking.winrate import paired_means, win_rate_of

__all__ = ["side_by_side", "summarise_sides"]


def side_by_side(
    prompts: Sequence[Prompt],
    before: Mapping[str, str],
    after: Mapping[str, str],
    sources: tuple[Source, Source],
    log_ratios: Sequence[float],
    *,
    seed: int,
) -> list[Comparison]:
    """One comparison per prompt, in order. before, after: texts by prompt id; sources: their authors.

    log_ratios: log pi(y|x) - log pi_ref(y|x) of the newer model's sample at temperature 1 to each prompt, in nats;
    stored with the comparison, like the side of the newer model.
    """
    comparisons = []
    for prompt, log_ratio in zip(prompts, log_ratios, strict=True):
        old, new = (Candidate(text=t[prompt.id], source=s) for t, s in zip((before, after), sources, strict=True))
        is_first = random.Random(f"{seed}\n{prompt.id}").random() < 0.5
        comparisons.append(
            Comparison(
                id=prompt.id,
                prompt=prompt.messages,
                a=new if is_first else old,
                b=old if is_first else new,
                meta={"after": "a" if is_first else "b", "log_ratio": float(log_ratio)},
            )
        )
    return comparisons


def summarise_sides(comparisons: Sequence[Comparison], judge: str) -> dict[str, Any]:
    """Summarise win rate, KL, mean scores if the judge gives scores, and the pairs, for the report.

    comparisons: those of `side_by_side`, answered; an unanswered one counts only for the KL. Intervals are 95%: of the
    win rate by Tango's score method, with both_bad as a tie; of means over prompts (`paired_means`). warning: for the
    answered comparisons; the KL and the difference have their own.
    """
    ids = [comparison.id for comparison in comparisons]
    sides = [_sides(comparison) for comparison in comparisons]
    won = [side["won"] for side in sides if side["won"] is not None]
    log_ratios = [float(str(comparison.meta["log_ratio"])) for comparison in comparisons]
    kl = paired_means([0.0] * len(ids), log_ratios, ids)
    summary: dict[str, Any] = {
        "judge": judge,
        "num_prompts": len(ids),
        "num_answered": len(won),
        "warning": warning_of(len(won)) if won else None,
        "kl": {"mean": kl.after, "low": kl.low, "high": kl.high, "warning": kl.warning},
        "pairs": sides,
    }
    if won:
        wins, losses = won.count(1), won.count(-1)
        rate = win_rate_of([0.5 + one / 2 for one in won], [side["id"] for side in sides if side["won"] is not None])
        counts = {"wins": wins, "losses": losses, "ties": len(won) - wins - losses}
        summary["win_rate"] = {"rate": rate.rate, "low": rate.low, "high": rate.high, **counts}
    if sides and all("score_after" in side for side in sides):
        old, new = ([side[f"score_{when}"] for side in sides] for when in ("before", "after"))
        means = paired_means(old, new, ids)
        summary |= {"mean_before": means.before, "mean_after": means.after}
        limits = {"low": means.low, "high": means.high, "warning": means.warning}
        summary["difference"] = {"mean": means.difference, **limits}
    return summary


def _sides(comparison: Comparison) -> dict[str, Any]:
    """A comparison as before and after; won: 1, 0, -1 for the newer model, None if unanswered."""
    after = str(comparison.meta["after"])
    texts = {"a": comparison.a.text, "b": comparison.b.text}
    before = "b" if after == "a" else "a"
    side: dict[str, Any] = {
        "id": comparison.id,
        "prompt": shown(comparison.prompt[-1]),
        "before": texts[before],
        "after": texts[after],
        "won": None if comparison.outcome is None else {after: 1, before: -1}.get(comparison.outcome, 0),
    }
    details = comparison.meta.get(JUDGE_FIELD)
    scores = details.get("scores") if isinstance(details, dict) else None
    if isinstance(scores, list):
        of = dict(zip(("a", "b"), scores, strict=True))
        side |= {"score_before": of[before], "score_after": of[after]}
    return side
