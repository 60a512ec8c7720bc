"""Alarms for common failures of preference training: each is a number compared with its limit."""

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.report.counts import num_held_out_pairs
from penchant.report.series import Rows, log_prob_change, series
from penchant.statistics import repetition

__all__ = ["ALARMS", "FEWEST_STEPS", "Measured", "Seen", "repeated_share"]

FEWEST_STEPS = 10  # what fewer steps show is noise
FEWEST_PAIRS = 40
FEWEST_PLACES = 5
SPIKE_AMONG = 50


@dataclass(frozen=True)
class Seen:
    """The state of a run so far.

    run: its ledger. rows: of metrics, thinned where there are many. samples: the answers to fixed prompts. norms: of
    the newest gradients, this step's last. margins: for each training pair seen, its row and its margin when it was
    last trained on. alike: the rows of those whose sides are nearly the same tokens. places: of pairs measured now and
    then, where they lie in the disentanglement band ("inside", "chosen_falls", "rejected_rises"), the newest last.
    step, num_steps: done, and of the whole run.
    """

    run: Mapping[str, Any]
    rows: Rows
    samples: Sequence[Mapping[str, Any]] = ()
    norms: Sequence[float] = ()
    margins: Sequence[tuple[str, float]] = ()
    alike: Collection[str] = ()
    places: Collection[str] = ()
    step: int = 0
    num_steps: int = 0


@dataclass(frozen=True)
class Measured:
    """The number of an alarm, and a sentence on its meaning and remedy.

    sentence: with the names of `facts` in braces, by which a report finds it in another language.
    """

    value: float
    sentence: str
    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The sentence with its facts."""
        return self.sentence.format(**self.facts)


Measure = Callable[[Seen], Measured | None]


def chosen_fell(seen: Seen) -> Measured | None:
    """Likelihood displacement (Razin et al. 2024, arXiv 2410.08847): nats that a chosen response lost, beyond noise."""
    change = log_prob_change(seen.run, seen.rows)
    if change is None or _too_few(seen):
        return None
    chosen, rejected = change.total(change.chosen), change.total(change.rejected)
    return Measured(
        -chosen - change.noise(),
        "the log-probability of chosen responses changed by {chosen:+.1f} nats on average and that of rejected ones by "
        "{rejected:+.1f}: probability moves to text that is in neither; raise beta, lower the learning rate, or add a "
        "next-token term",
        {"chosen": chosen, "rejected": rejected},
    )


def both_fell(seen: Seen) -> Measured | None:
    """The share of pairs of which both responses became less likely than under the reference."""
    held_out, train = (series(seen.rows, f"{of}rewards/both_fell") for of in ("eval_", ""))
    line, change = held_out if len(held_out) else train, log_prob_change(seen.run, seen.rows)
    is_own = seen.run.get("reference_digest") and seen.run["reference_digest"] == seen.run.get("model_digest")
    if not is_own or not len(line) or change is None or _too_few(seen) or change.total(change.chosen) > -2:
        return None  # if chosen responses do not fall on average, single ones vary by chance
    share = line.mean_of_last()
    sentence = "in {share:.0%} of the pairs both responses became less likely; read the samples"
    return Measured(share, sentence, {"share": share})


def saturated(seen: Seen) -> Measured | None:
    """The mean margin of training pairs that are all ranked correctly."""
    accuracy, margin = series(seen.rows, "rewards/accuracies"), series(seen.rows, "rewards/margins")
    if len(margin) < FEWEST_STEPS or accuracy.mean_of_last() < 0.999:
        return None
    mean = margin.mean_of_last()
    return Measured(
        mean,
        "every training pair is told apart, by a margin of {mean:.1f} on average (5 means 99%): more steps only move "
        "the model away from its reference",
        {"mean": mean},
    )


def not_moving(seen: Seen) -> Measured | None:
    """The share of steps done while the loss is still at ln 2, where DPO starts."""
    loss, margin = series(seen.rows, "loss"), series(seen.rows, "rewards/margins")
    if len(loss) < FEWEST_STEPS or not len(margin):
        return None
    if abs(loss.mean_of_last() - math.log(2)) > 0.003 or abs(margin.mean_of_last()) > 0.02:
        return None
    return Measured(
        seen.step / seen.num_steps,
        "the loss is {loss:.4f} after {step} steps, still ln 2: raise the learning rate; an adapter needs one about "
        "ten times as high as full fine-tuning",
        {"loss": loss.mean_of_last(), "step": seen.step},
    )


def past_best(seen: Seen) -> Measured | None:
    """How far the held-out accuracy is below its best, beyond chance for this number of pairs."""
    accuracy, num = series(seen.rows, "eval_rewards/accuracies"), num_held_out_pairs(seen.run, seen.rows)
    if len(accuracy) < 2 or not num:
        return None
    best = max(range(len(accuracy)), key=accuracy.values.__getitem__)
    fall = accuracy.values[best] - accuracy.values[-1]
    if fall <= 4 / num:  # two standard errors of a difference in which all changed pairs changed alike
        return None
    return Measured(
        fall,
        "{now:.1%} of the held-out pairs are ranked correctly, and {best:.1%} were at step {step:g}: use the "
        "checkpoint of that step",
        {"now": accuracy.values[-1], "best": accuracy.values[best], "step": accuracy.steps[best]},
    )


def overfit(seen: Seen) -> Measured | None:
    """How far the held-out loss rose above its lowest while the training loss fell."""
    train, held_out = series(seen.rows, "loss"), series(seen.rows, "eval_loss")
    if len(held_out) < 2 or len(train) < FEWEST_STEPS:
        return None
    best = min(range(len(held_out)), key=held_out.values.__getitem__)
    until = [v for s, v in zip(train.steps, train.values, strict=True) if s <= held_out.steps[best]]
    if not until or train.mean_of_last() >= statistics.fmean(until[-max(1, len(until) // 10) :]):
        return None
    rise = held_out.values[-1] - held_out.values[best]
    return Measured(
        rise,
        "the held-out loss rose from {best:.3f} at step {step:g} to {now:.3f} while the training loss fell: the pairs "
        "are learned by heart; use the checkpoint of step {step:g}, or more data",
        {"best": held_out.values[best], "step": held_out.steps[best], "now": held_out.values[-1]},
    )


def kl_over_budget(seen: Seen) -> Measured | None:
    """KL(policy || reference) in nats a response, on answers of the policy itself to the fixed prompts."""
    kl = series(seen.rows, "eval_kl")
    if not len(kl):
        return None
    return Measured(
        kl.values[-1],
        "the KL of the answers from the reference is {kl:.1f} nats: stop earlier, raise beta, or lower the learning "
        "rate",
        {"kl": kl.values[-1]},
    )


def grew_longer(seen: Seen) -> Measured | None:
    """The length of the answers to the fixed prompts, divided by that before training."""
    first, last = _samples(seen)
    if len(first) < 4:
        return None
    before, after = (statistics.fmean(float(sample["num_tokens"]) for sample in of) for of in (first, last))
    return Measured(
        after / max(before, 1.0),
        "answers to the fixed prompts grew from {before:.0f} to {after:.0f} tokens: length alone can win comparisons",
        {"before": before, "after": after},
    )


def repeats_itself(seen: Seen) -> Measured | None:
    """The share of four-word sequences that an answer had already said, over that before training."""
    first, last = _samples(seen)
    if len(first) < 4:
        return None
    before, after = (statistics.fmean(repeated_share(str(sample["response"])) for sample in of) for of in (first, last))
    return Measured(
        after - before,
        "answers to the fixed prompts repeat {after:.0%} of their four-word sequences, and did {before:.0%} before "
        "training: lower the learning rate, or raise beta",
        {"before": before, "after": after},
    )


def does_not_end(seen: Seen) -> Measured | None:
    """The share of answers cut off rather than ended by the model, over that before training."""
    first, last = _samples(seen)
    if len(first) < 4:
        return None
    before, after = (statistics.fmean(float(not sample["ended"]) for sample in of) for of in (first, last))
    return Measured(
        after - before,
        "{after:.0%} of the answers to the fixed prompts go on to the limit without ending their turn, and "
        "{before:.0%} did before training: check that chosen responses end with the end token",
        {"before": before, "after": after},
    )


def gradient_spike(seen: Seen) -> Measured | None:
    """This step's gradient norm over the median of those before."""
    *before, now = seen.norms or (0.0,)
    before = [norm for norm in before if math.isfinite(norm)]
    if len(before) < 2 * FEWEST_STEPS or not math.isfinite(now):
        return None
    ratio = now / max(statistics.median(before), 1e-12)
    return Measured(
        ratio,
        "the gradient norm was {now:.3g}, {ratio:.0f} times its median: look at the rows of this batch, or lower the "
        "learning rate",
        {"now": now, "ratio": ratio},
    )


def few_pairs_decide(seen: Seen) -> Measured | None:
    """The largest share of the gradient that a group of pairs has beyond its number: a twentieth, or of one fault.

    A pair of margin m has the weight sigmoid(-m) in the gradient of DPO (arXiv 2305.18290, section 4). The groups: the
    twentieth of the largest weights; all that the model ranks clearly the other way round; all whose sides are nearly
    the same. The last two count where a pair of theirs weighs at least twice as much as one of the others, on average:
    the others are then learned, and pairs with a fault go on pulling.
    """
    if len(seen.margins) < FEWEST_PAIRS:
        return None
    alike = set(seen.alike)
    weights = sorted(((1 / (1 + math.exp(min(m, 700.0))), row) for row, m in seen.margins), reverse=True)
    groups = (
        (MOST_WEIGHT, weights[: max(1, len(weights) // 20)]),
        (RANKED_WRONG, [one for one in weights if one[0] >= RANKED_WRONG_FROM]),
        (SIDES_ALIKE, [one for one in weights if one[1] in alike]),
    )
    whole, found = max(math.fsum(w for w, _ in weights), 1e-300), []
    for sentence, group in groups:
        share, portion = math.fsum(w for w, _ in group) / whole, len(group) / len(weights)
        if sentence is MOST_WEIGHT or (0 < portion < 1 and share * (1 - portion) >= 2 * portion * (1 - share)):
            rows = ", ".join(row for _, row in group[:3])
            facts = {"num": len(group), "all": len(weights), "share": share, "rows": rows}
            found.append(Measured(share, sentence, facts))
    return max(found, key=lambda measured: measured.value)


MOST_WEIGHT = (
    "{num} of {all} pairs make {share:.0%} of the gradient, as the others are learned: their labels may be the wrong "
    "way round, or their sides nearly equal; look at {rows}"
)
RANKED_WRONG = (
    "{num} of {all} pairs, which the model ranks clearly the other way round, make {share:.0%} of the gradient, as the "
    "others are learned: their labels may be the wrong way round; look at {rows}"
)
SIDES_ALIKE = (
    "{num} of {all} pairs, whose two sides are nearly the same, make {share:.0%} of the gradient, as the others are "
    "learned: there is little to tell apart in them; leave them out, or look at {rows}"
)
RANKED_WRONG_FROM = 0.62
"""The weight of a margin of -0.5: the model finds the rejected response the better one with this probability."""


def sides_entangled(seen: Seen) -> Measured | None:
    """The share of the measured pairs that lie outside the disentanglement band (arXiv 2604.18239).

    A step along such a pair's own gradient moves both its sides the same way, through what they share in the model.
    """
    if len(seen.places) < FEWEST_PLACES:
        return None
    falls, rises = (sum(place == name for place in seen.places) for name in ("chosen_falls", "rejected_rises"))
    return Measured(
        (falls + rises) / len(seen.places),
        "of {num} pairs measured, the pair's own gradient makes the chosen response less likely in {falls} and the "
        "rejected one likelier in {rises}: the sides' gradients are out of proportion for such similar pairs; set "
        "`dpo.band`, or leave out pairs of nearly equal sides",
        {"num": len(seen.places), "falls": falls, "rises": rises},
    )


def judge_undecided(seen: Seen) -> Measured | None:
    """The share of the prompts of which nothing can be learned: the judge told no two responses to them apart.

    In the last tenth of the steps, once there are ten, or over all of a shorter run.
    """
    line = series(seen.rows, "frac_undecided")
    if not len(line) or (len(line) < FEWEST_STEPS and seen.step < seen.num_steps):
        return None
    share = line.mean_of_last(0.1 if len(line) >= FEWEST_STEPS else 1.0)
    return Measured(
        share,
        "for {share:.0%} of the prompts the judge {judge} told no two responses apart, so nothing can be learned from "
        "them: look at its scores of some samples, write more or longer responses to a prompt, or take another judge",
        {"share": share, "judge": str(seen.run.get("judge", ""))},
    )


ALARMS: Mapping[str, Measure] = {
    measure.__name__: measure
    for measure in (
        chosen_fell,
        both_fell,
        saturated,
        not_moving,
        past_best,
        overfit,
        kl_over_budget,
        grew_longer,
        repeats_itself,
        does_not_end,
        gradient_spike,
        few_pairs_decide,
        sides_entangled,
        judge_undecided,
    )
}
"""By name, what each measures; an alarm is raised where the number is above its limit."""


def repeated_share(text: str, num: int = 4) -> float:
    """The share of its sequences of `num` words that a text had already; 0 where it has fewer words."""
    return repetition(text.split(), num)


def _too_few(seen: Seen) -> bool:
    return len(series(seen.rows, "loss")) < FEWEST_STEPS


def _samples(seen: Seen) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Answers before the first step and the latest ones, to the same prompts; empty before training."""
    samples = [sample for sample in seen.samples if "num_tokens" in sample]
    steps = [sample["step"] for sample in samples]
    if not steps or min(steps) == max(steps):
        return [], []
    first, last = ([s for s in samples if s["step"] == step] for step in (min(steps), max(steps)))
    return first, last
