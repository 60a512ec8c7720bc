"""Scores and comparisons in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from penchant.evaluation.evaluate import Evaluation, Mean
from penchant.evaluation.score import Scores
from penchant.report.parts import Part, Table
from penchant.statistics import Estimate

__all__ = ["evaluation_lines", "score_parts"]


def score_parts(found: Scores, *, most: int) -> Iterator[Part]:
    """At most so many pairs, and what holds for all of them."""
    rows = [
        (
            str(s.origin),
            f"{s.reward_chosen:+.3f}",
            f"{s.reward_rejected:+.3f}",
            f"{s.margin:+.3f}",
            f"{s.probability:.3f}",
            "yes" if s.correct else "no",
        )
        for s in found.pairs[:most]
    ]
    yield Table(("pair", "reward chosen", "reward rejected", "margin", "p(chosen)", "correct"), rows)
    if len(found.pairs) > most:
        yield f"and {len(found.pairs) - most} more"
    summary, rate = found.summary, found.summary.accuracy
    yield f"accuracy  {rate.rate:.1%}  (95% interval {rate.low:.1%} to {rate.high:.1%}, {rate.num} pairs)"
    mean, probability = summary.mean_margin, summary.mean_probability
    scale = "" if found.beta is None else f", beta {found.beta:g}"
    yield f"margin    {mean:+.4f} on average, p(chosen) {probability:.3f}{scale}"
    for name, one in summary.by_length.items():
        yield f"          {one.rate:.1%}  ({one.low:.1%} to {one.high:.1%}, {one.num} pairs) where chosen is {name}"
    sure = summary.calibration
    yield f"p(chosen) is off by {sure.ece:.3f} on average (ECE), Brier score {sure.brier:.3f}; half sure always: 0.250"
    if summary.num_prompts < rate.num:
        num = summary.num_prompts
        yield f"they have {num} prompts; pairs of one prompt go together, and the interval allows for it"


def evaluation_lines(found: Evaluation) -> Iterator[str]:
    """What changed, a line each."""
    rate = found.win_rate
    yield f"judge        {found.judge} (a stand-in for a person), {found.num_prompts} prompts"
    change = f"(change {_interval(found.difference)})"
    yield f"mean score   {found.mean_before:+.3f} before, {found.mean_after:+.3f} after  {change}"
    limits = f"95% interval {rate.low:.1%} to {rate.high:.1%}"
    yield f"win rate     {rate.rate:.1%}  ({limits}; {rate.wins} won, {rate.losses} lost, {rate.ties} tied)"
    yield from _length_controlled(found.length_controlled)
    yield f"KL           {_interval(found.kl)} nats a response"
    if found.kl_exact is not None:
        yield f"KL, exact    {_interval(found.kl_exact)} nats a response (every next token's whole distribution)"
    for measure in found.changes:
        means, share = measure.means, measure.name != "tokens"
        before, after = (f"{value:.1%}" if share else f"{value:.1f}" for value in (means.before, means.after))
        difference = _interval(Mean(means.difference, means.low, means.high))
        yield f"{CHANGES[measure.name]:<12} {before} before, {after} after  (change {difference})"


CHANGES = {"tokens": "tokens", "ended": "ended", "repeated": "repetition", "distinct": "distinct-2"}


def _length_controlled(of: Estimate) -> Iterator[str]:
    limits = "" if of.low is None else f"95% interval {of.low:.1%} to {of.high:.1%}; "
    counts = f"{of.num} answers, {of.num_prompts} prompts"
    yield f"same length  {of.value:.1%} won if both answers were as long  ({limits}{counts})"
    if of.warning is not None:
        yield f"             {of.warning}"


def _interval(of: Mean) -> str:
    if of.low is None:
        return f"{of.mean:+.3f}"
    return f"{of.mean:+.3f}, 95% interval {of.low:+.3f} to {of.high:+.3f}"
