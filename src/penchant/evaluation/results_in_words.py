"""Show scores and comparisons in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from penchant.evaluation.changes import Change
from penchant.evaluation.compared import Evaluation, Mean
from penchant.evaluation.pair_scores import Summary
from penchant.evaluation.score import Scores
from penchant.ranking.cautions import ONE
from penchant.ranking.winrate import WinRate
from penchant.report.parts import Line, Part, Table
from penchant.statistics import Estimate

__all__ = ["accuracy_lines", "evaluation_lines", "evaluation_parts", "score_parts"]


CORRECT = {True: "yes", False: "no", None: "tie"}


def score_parts(found: Scores, *, most: int) -> Iterator[Part]:
    """A table of at most `limit` pairs, and the summary of all."""
    rows = [
        (
            str(s.origin),
            f"{s.reward_chosen:+.3f}",
            f"{s.reward_rejected:+.3f}",
            f"{s.margin:+.3f}",
            f"{s.probability:.3f}",
            CORRECT[s.correct],
        )
        for s in found.pairs[:most]
    ]
    yield Table(("pair", "reward chosen", "reward rejected", "margin", "p(chosen)", "correct"), rows)
    if len(found.pairs) > most:
        yield f"and {len(found.pairs) - most} more"
    scale = "" if found.beta is None else f", beta {found.beta:g}"
    yield from accuracy_lines(found.summary, scale)


def accuracy_lines(of: Summary, scale: str = "") -> Iterator[str]:
    """The accuracy of a model on people's preferences, as lines."""
    rate = of.accuracy
    yield f"accuracy  {rate.rate:.1%}  (95% interval {rate.low:.1%} to {rate.high:.1%}, {rate.num} pairs)"
    yield f"margin    {of.mean_margin:+.4f} on average, p(chosen) {of.mean_probability:.3f}{scale}"
    for name, share in of.by_length.items():
        yield f"          {_share(share)} where chosen is {name}"
    for bucket in of.by_margin if len(of.by_margin) > 1 else ():
        yield f"          {_share(bucket.share)} where the margin is {bucket.start:.4g} to {bucket.end:.4g} in size"
    for bucket in of.by_gap:
        gap = f"{bucket.start:.4g}" + (f" to {bucket.end:.4g}" if bucket.end > bucket.start else "")
        yield f"          {_share(bucket.share)} where the data has chosen better by {gap}"
    if (lists := of.lists) is not None:
        yield f"lists     {lists.rate:.1%}  ({lists.low:.1%} to {lists.high:.1%}, {lists.num} rows) right in every pair"
    said = {None, of.warning}
    for part, score in of.parts.items():
        yield f"          {score.value:.1%}{_limits(score)} best of n{part and f', {part}'}, {score.num} lists"
        if score.low is not None and score.warning not in said:
            yield f"          {score.warning}"
            said.add(score.warning)
    sure, brier = of.calibration.ece, of.calibration.brier
    yield (
        f"p(chosen) is off by {sure.value:.3f}{_limits(sure)} on average (ECE), Brier score {brier.value:.3f}"
        f"{_limits(brier)}; half sure always: 0.250"
    )
    if of.num_prompts < rate.num:
        yield f"they have {of.num_prompts} prompts; pairs of one prompt go together, and the intervals allow for it"
    if of.warning is not None:
        yield of.warning


def _share(of: WinRate) -> str:
    return f"{of.rate:.1%}  ({of.low:.1%} to {of.high:.1%}, {of.num} pairs)"


def _limits(of: Estimate) -> str:
    return _no_interval(of.warning) if of.low is None else f" ({of.low:.3f} to {of.high:.3f})"


def evaluation_parts(found: Evaluation, *, most: int) -> Iterator[Part]:
    """A table of some answers side by side, and the summary of all."""
    yield Line(f"{found.policy} (after) beside {found.reference} (before)", "heading")
    for side in found.pairs[:most]:
        yield f"prompt       {_flat(side.prompt)}"
        yield f"before       {_flat(side.before)}{_score(side.score_before)}"
        yield f"after        {_flat(side.after)}{_score(side.score_after) or WON[side.won]}"
        yield ""
    yield from evaluation_lines(found)


WON = {1: "  (better)", 0: "  (as good)", -1: "  (worse)"}


def _score(score: float | None) -> str:
    return "" if score is None else f"  ({score:+.2f})"


def _flat(text: str) -> str:
    return " ".join(text.split())


def evaluation_lines(found: Evaluation) -> Iterator[str]:
    """The changes, one per line."""
    rate = found.win_rate
    num = f"{found.num_prompts} prompts"
    yield f"judge        {found.judge} (a stand-in for a person), {num}"
    if found.warning is not None:
        yield f"             {found.warning}"
    if found.difference is not None:
        change = f"(change {_interval(found.difference)})"
        yield f"mean score   {found.mean_before:+.3f} before, {found.mean_after:+.3f} after  {change}"
    limits = f"95% interval {rate.low:.1%} to {rate.high:.1%}"
    yield f"win rate     {rate.rate:.1%}  ({limits}; {rate.wins} won, {rate.losses} lost, {rate.ties} tied)"
    if found.decided is not None and rate.ties:
        yield f"ties apart   {_rate(found.decided)} of what was decided"
    yield from _length_controlled(found.length_controlled, found.warning)
    yield from _of_the_judge(found)
    if found.kl is not None:
        yield f"KL           {_interval(found.kl)} nats a response"
    if found.kl_exact is not None:
        yield f"KL, exact    {_interval(found.kl_exact)} nats a response (every next token's whole distribution)"
    elif found.why_no_exact_kl:
        yield f"KL, exact    not measured: {found.why_no_exact_kl}"
    for measure in found.changes:
        yield f"{CHANGES[measure.name]:<12} {_changed(measure)}; {num})"
    if (forgot := found.forgetting) is not None:
        limits = _no_interval(forgot.warning)
        if forgot.low is not None:
            limits = f", 95% interval {forgot.low:.3f} to {forgot.high:.3f}"
        counts = f"{forgot.num_demonstrations} demonstrations, {forgot.num_tokens} tokens"
        change = f"(times {forgot.ratio:.3f}{limits}; {counts})"
        yield f"perplexity   {forgot.before:.2f} before, {forgot.after:.2f} after  {change}"
    if found.accuracy is not None:
        yield "of the preferences in `data=...`:"
        yield from accuracy_lines(found.accuracy)


CHANGES = {
    "tokens": "tokens",
    "ended": "ended",
    "repeated": "repetition",
    "distinct": "distinct-2",
    "entropy": "entropy",
}
FORMS = {"tokens": "{:.1f}", "entropy": "{:.3f}"}
"""Units of values that are not shares."""


def _changed(of: Change) -> str:
    """Before, after, and the change in the same unit; for shares, percentage points."""
    means, form = of.means, FORMS.get(of.name)
    before, after = ((form or "{:.1%}").format(one) for one in (means.before, means.after))
    scale, signed, unit = (1, form.replace(":", ":+"), "") if form else (100, "{:+.1f}", " points")
    difference, *limits = (
        "" if one is None else signed.format(scale * one) for one in (means.difference, means.low, means.high)
    )
    interval = _no_interval(means.warning) if means.low is None else ", 95% interval {} to {}".format(*limits)
    return f"{before} before, {after} after  (change {difference}{unit}{interval}"


def _of_the_judge(found: Evaluation) -> Iterator[str]:
    if (bias := found.position_bias) is not None:
        yield f"order bias   {_rate(bias)} decided by the place alone: ties"
    if (again := found.repeatability) is not None:
        yield f"repeatable   {_rate(again)} of repeated questions got the same answer"


def _rate(of: WinRate) -> str:
    return f"{of.rate:.1%}  (95% interval {of.low:.1%} to {of.high:.1%}, {of.num})"


def _length_controlled(of: Estimate, said: str | None) -> Iterator[str]:
    if of.low is None:
        yield f"same length  not estimated: {of.warning}"
        return
    limits = f"95% interval {of.low:.1%} to {of.high:.1%}; {of.num} answers, {of.num_prompts} prompts"
    yield f"same length  {of.value:.1%} won if both answers were as long  ({limits})"
    if of.warning not in (None, said):
        yield f"             {of.warning}"


def _interval(of: Mean) -> str:
    if of.low is None:
        return f"{of.mean:+.3f}{_no_interval(of.warning)}"
    return f"{of.mean:+.3f}, 95% interval {of.low:+.3f} to {of.high:+.3f}"


def _no_interval(why: str | None) -> str:
    """The reason for a missing interval, unless it applies to all."""
    return f", no interval: {why}" if why not in (None, ONE) else ""
