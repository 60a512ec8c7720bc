"""The verdict on a run in one sentence: better, worse, or unclear, with its certainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penchant.report.languages import Words
from penchant.report.measure import answered, cautioned
from penchant.report.series import Rows, accuracy_limits, series

__all__ = ["Verdict", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """kind: the conclusion. title: in a word or two. text: one sentence with its interval."""

    kind: Literal["better", "worse", "unclear"]
    title: str
    text: str


def verdict(run: Mapping[str, Any], metrics: Rows, comparison: Mapping[str, Any] | None, _: Words) -> Verdict:
    """The verdict from a comparison of answers, if there is one; preference accuracy alone decides nothing."""
    comparison = answered(comparison or {})
    judge, num = str(comparison.get("judge") or _("the judge")), comparison.get("num_prompts")
    prompts = _("on {num:,} prompts").format(num=num) if isinstance(num, int) else _("on the prompts compared")
    rate, warning = comparison.get("win_rate") or {}, cautioned(comparison, _)
    beware = " " + _("Beware: {warning}.").format(warning=warning) if warning else ""
    if rate.get("low") is not None and rate.get("high") is not None:
        shown = {key: f"{rate[key]:.1%}" for key in ("rate", "low", "high")}
        text = _(
            "{judge} prefers the answers after training in {rate} of the comparisons {prompts} (95% interval {low} to "
            "{high})."
        )
        return _of(
            rate["low"] > 0.5, rate["high"] < 0.5, text.format(judge=judge, prompts=prompts, **shown) + beware, _
        )
    mean = comparison.get("difference") or {}
    if mean.get("low") is not None and mean.get("high") is not None:
        shown = {key: f"{mean[key]:+.3g}" for key in ("mean", "low", "high")}
        text = _("The score of {judge} changed by {mean} {prompts} (95% interval {low} to {high}).")
        return _of(mean["low"] > 0, mean["high"] < 0, text.format(judge=judge, prompts=prompts, **shown) + beware, _)
    accuracy, limits = series(metrics, "eval_rewards/accuracies"), accuracy_limits(metrics)
    text = _("No answers were compared, so whether they are better is not known: run `penchant eval`.")
    if len(accuracy) and limits is not None:
        learned = _("Of the held-out pairs it ranks {rate} correctly (95% interval {low} to {high}), {sure}.").format(
            rate=f"{accuracy.values[-1]:.1%}",
            low=f"{limits[0]:.1%}",
            high=f"{limits[1]:.1%}",
            sure=_("more than chance") if limits[0] > 0.5 else _("which may be chance"),
        )
        text = f"{learned} {text}"
    return _of(False, False, text, _)


def _of(is_better: bool, is_worse: bool, text: str, _: Words) -> Verdict:
    if is_better:
        return Verdict("better", _("Better"), text)
    if is_worse:
        return Verdict("worse", _("Worse"), text)
    return Verdict("unclear", _("Cannot tell"), text)
