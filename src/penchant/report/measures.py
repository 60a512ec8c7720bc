"""The effect of training: each measure before and after, its difference with an interval, and its sample size."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penchant.ranking.winrate import paired_means
from penchant.report.alarms import repeated_share
from penchant.report.compared_measures import compared_measures
from penchant.report.counts import counts_of, num_held_out_pairs
from penchant.report.figures import number
from penchant.report.languages import Words
from penchant.report.measure import Measure, cautioned, percent, signed, span
from penchant.report.series import Rows, accuracy_limits, log_prob_change, series

__all__ = ["measures"]

Samples = Sequence[Mapping[str, Any]]


def measures(
    run: Mapping[str, Any], metrics: Rows, samples: Samples, comparison: Mapping[str, Any] | None, _: Words
) -> list[Measure]:
    """All measures with data; first those of answers, then those of given pairs."""
    in_training = (*_of_samples(samples, _), *_of_scores(run, metrics, _), *_of_pairs(run, metrics, _))
    group = _("While training")
    return [*compared_measures(comparison or {}, _), *(replace(measure, group=group) for measure in in_training)]


def _of_samples(samples: Samples, _: Words) -> Iterator[Measure]:
    """Of the answers to the fixed prompts, first against last, paired by prompt."""
    samples = [sample for sample in samples if isinstance(sample.get("step"), int) and "num_tokens" in sample]
    steps = [sample["step"] for sample in samples]
    if not steps or min(steps) == max(steps):
        return
    first, last = ({s.get("prompt"): s for s in samples if s.get("step") == step} for step in (min(steps), max(steps)))
    prompts = [prompt for prompt in first if prompt in last]
    if not prompts:
        return
    rows: Sequence[tuple[str, Callable[[Mapping[str, Any]], float], Callable[[float], str], str]] = (
        (_("answer length"), lambda s: float(s["num_tokens"]), number, _("tokens, of answers to the fixed prompts")),
        (_("answers ended"), lambda s: float(s["ended"]), percent, _("by the model itself rather than cut")),
        (
            _("repeated words"),
            lambda s: repeated_share(str(s["response"])),
            percent,
            _("share of four-word sequences that the answer had already said"),
        ),
    )
    for name, value, form, what in rows:
        before, after = ([value(side[prompt]) for prompt in prompts] for side in (first, last))
        found = paired_means(before, after, are_shares=True if name == _("answers ended") else None)
        change = signed(found.difference, {"low": found.low, "high": found.high}, form)
        few = name == rows[0][0] or found.low is None
        beware = cautioned({"num_prompts": len(prompts), "warning": found.warning}, _) if few else ""
        yield Measure(name, form(found.before), form(found.after), change, f"{len(prompts):,}", what, beware=beware)


def _of_pairs(run: Mapping[str, Any], metrics: Rows, _: Words) -> Iterator[Measure]:
    num, counts = num_held_out_pairs(run, metrics), counts_of(run)
    of, of_all = ("" if one is None else f"{one:,}" for one in (num, num or counts.held_out))
    loss, accuracy = series(metrics, "eval_loss"), series(metrics, "eval_rewards/accuracies")
    is_own = run.get("reference_digest") and run.get("reference_digest") == run.get("model_digest")
    objective = ((run.get("config") or {}).get("dpo") or {}).get("objective")
    if len(loss) and not len(series(metrics, "eval_reward")):  # a policy gradient's loss is not meaningful alone
        start = number(math.log(2)) if is_own and objective == "dpo" else ""
        yield Measure(_("held-out loss"), start, number(loss.values[-1]), "", of_all, _("lower is better"))
    if len(accuracy):
        limits = accuracy_limits(metrics)
        interval = f"{limits[0]:.1%} – {limits[1]:.1%}" if limits else ""
        longer = run.get("held_out_longer")
        what = _("share of held-out pairs ranked as people did")
        if isinstance(longer, float):
            what += _("; the longer response is the chosen one in {share}").format(share=f"{longer:.1%}")
        yield Measure(_("held-out accuracy"), "50%", f"{accuracy.values[-1]:.1%}", interval, of, what)
    yield from _by_length(metrics, of, _)
    change = log_prob_change(run, metrics)
    if change is not None and change.source == "held-out":
        what = {
            "start": _("log p now less log p at the start, mean of the held-out responses; nats a response"),
            "first evaluation": _(
                "log p now less log p at the first evaluation, mean of the held-out responses; nats a response"
            ),
        }[change.since]
        if counts.kind == "prompts":
            what = _(
                "log p now less log p at the start, mean of responses that the model writes itself; nats a response"
            )
        sides = ((_("change of log p, chosen"), change.chosen), (_("change of log p, rejected"), change.rejected))
        for name, line in sides:
            yield Measure(name, "", "", f"{change.total(line):+.1f}", of, what)


def _by_length(metrics: Rows, of: str, _: Words) -> Iterator[Measure]:
    """The latest accuracy by which response is longer, and the calibration error."""
    rows = (
        (_("accuracy, chosen longer"), "chosen_longer"),
        (_("accuracy, as long"), "chosen_as_long"),
        (_("accuracy, chosen shorter"), "chosen_shorter"),
    )
    what = _("what looks at length alone is right in one and wrong in another")
    for name, end in rows:
        key = f"eval_rewards/accuracies/{end}"
        rate, low, high, num = (series(metrics, f"{key}{one}") for one in ("", "_low", "_high", "_num"))
        if len(rate) and len(low) and len(high) and len(num):
            interval = f"{low.values[-1]:.1%} – {high.values[-1]:.1%}"
            yield Measure(name, "", f"{rate.values[-1]:.1%}", interval, f"{num.values[-1]:,.0f}", what)
    key = "eval_rewards/ece"
    last = next((row for row in reversed(metrics) if len(series([row], key))), None)
    if last is not None:
        interval = span({end: last.get(f"{key}_{end}") for end in ("low", "high")}, "{:.3f}")
        what = _(
            "how far sigmoid(margin) is from being right as often as it says, on average; errs upwards on few pairs"
        )
        yield Measure(_("calibration error"), "", number(last[key]), interval, of, what)


def _of_scores(run: Mapping[str, Any], metrics: Rows, _: Words) -> Iterator[Measure]:
    """Of reinforcement learning, on prompts that were held out."""
    num = counts_of(run).held_out
    of = "" if num is None else f"{num:,}"
    score, kl = series(metrics, "eval_reward"), series(metrics, "eval_kl")
    if len(score):
        before = number(score.values[0]) if len(score) > 1 else ""
        what = _("of the model's own responses to held-out prompts, first and last evaluation")
        yield Measure(_("judge's mean score in training"), before, number(score.values[-1]), "", of, what)
    if len(score) and len(kl):
        yield Measure(_("KL in training"), "0", f"{kl.values[-1]:.2f}", "", of, _("nats a response"))
