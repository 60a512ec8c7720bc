"""Advice: rules that read a run's numbers and report common problems."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penchant.report.languages import Words, interval
from penchant.report.series import Rows, Series, accuracy_limits, log_prob_change, series

__all__ = ["RULES", "Advice", "advise"]

Run = Mapping[str, Any]
Comparison = Mapping[str, Any] | None

FALL_NATS = 0.5  # a smaller fall of the chosen log-prob per response is rounding and noise
SATURATED_MARGIN = 10.0
MEMORISED = 0.15  # a larger gap in accuracy to training pairs means memorisation
MOVED_LITTLE = 0.02  # nats of loss below ln 2
RISE = 0.01  # a held-out loss this little above its best is flat


SAME_AS = {"not_moving": "nothing_learned"}
"""Alarms, and the rules that report the same for the whole run."""


@dataclass(frozen=True)
class Advice:
    """One remark: `warning` asks for action, `note` for attention."""

    rule: str
    level: Literal["warning", "note"]
    title: str
    text: str


def advise(run: Run, metrics: Rows, comparison: Comparison = None, _: Words = str) -> list[Advice]:
    """The alarms of the run, then every remark whose rule fires, warnings first, in the order of RULES."""
    alarms = list(_alarms(run, _))
    said = {SAME_AS.get(alarm.rule, alarm.rule) for alarm in alarms}
    remarks = [remark for rule in RULES if (remark := rule(run, metrics, comparison, _)) is not None]
    remarks = alarms + [remark for remark in remarks if remark.rule not in said]
    return sorted(remarks, key=lambda remark: remark.level != "warning")


def _alarms(run: Run, _: Words) -> Iterator[Advice]:
    """Alarms raised during training, which may have passed since."""
    for alarm in run.get("alarms") or ():
        name = str(alarm["name"])
        title = _("Alarm at step {step}: {name}").format(step=alarm["step"], name=_(name.replace("_", " ")))
        sentence, text = str(alarm.get("sentence")), str(alarm["text"])  # older versions recorded only the text
        if (translated := _(sentence)) != sentence:
            text = translated.format(**alarm["facts"])
        yield Advice(name, "warning", title, _("{text}.").format(text=text[:1].upper() + text[1:]))


def non_finite(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """A loss or gradient norm that was NaN or infinite, which no figure can draw."""
    steps = [
        str(row.get("step", position))
        for position, row in enumerate(metrics)
        if any(_is_non_finite(row.get(key)) for key in ("loss", "grad_norm", "eval_loss"))
    ]
    if not steps:
        return None
    listed = ", ".join(steps[:5]) + (", ..." if len(steps) > 5 else "")
    text = _(
        "The loss or the gradient norm was not a finite number at {steps} ({listed}). The figures leave these out. "
        "Lower the learning rate, or look at the rows of those steps."
    ).format(steps=_count(len(steps), _), listed=listed)
    return Advice("non_finite", "warning", _("Some steps were not finite"), text)


def chosen_fell(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Likelihood displacement: the model now gives the preferred responses themselves less probability."""
    change = log_prob_change(run, metrics)
    if change is None:
        return None
    chosen, rejected = change.total(change.chosen), change.total(change.rejected)
    if -chosen <= FALL_NATS + change.noise():
        return None
    text = _(
        "The log-prob of chosen responses changed by {chosen} nats per response, that of rejected ones by {rejected}. "
        "The loss only asks for a gap between the two, so both can fall while probability moves to text that is in "
        "neither. Read the samples; a larger beta, a lower learning rate, fewer steps or an added next-token term on "
        "the chosen responses hold it back."
    ).format(chosen=f"{chosen:+.1f}", rejected=f"{rejected:+.1f}")
    return Advice("chosen_fell", "warning", _("Chosen responses became less likely"), text)


def alike_pairs(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Pairs with the most similar sides before training, if chosen responses then became less likely."""
    alike = run.get("likeness") or {}
    fell = {alarm.get("name") for alarm in run.get("alarms") or ()} & {"chosen_fell", "both_fell"}
    if not alike.get("most_alike") or not (fell or chosen_fell(run, metrics, comparison, _)):
        return None
    text = _(
        "Pairs whose two sides are similar to the model lower chosen responses (CHES, Razin et al. 2024). Of {num} "
        "pairs measured before the first step the most similar are {rows}. Look at them; `penchant check` "
        "can measure more, and `penchant pair` can leave out the most similar."
    ).format(num=f"{alike['num']:,}", rows=", ".join(map(str, alike["most_alike"])))
    return Advice("alike_pairs", "note", _("Pairs most similar to the model"), text)


def saturated(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Every pair is told apart with room to spare: nothing is left to learn but the training set."""
    accuracy, margin = series(metrics, "rewards/accuracies"), series(metrics, "rewards/margins")
    if not accuracy or not margin:
        return None
    if accuracy.mean_of_last() < 0.999 or margin.mean_of_last() <= SATURATED_MARGIN:
        return None
    text = _(
        "At the end every training pair was ranked correctly with a mean margin of {margin}; a margin of 5 already "
        "means a probability above 99%. Further steps mostly push the model away from its reference. Stop earlier, "
        "lower the learning rate or raise beta, and trust the held-out figures only."
    ).format(margin=f"{margin.mean_of_last():.1f}")
    return Advice("saturated", "warning", _("Training pairs are saturated"), text)


def overfit(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """The held-out loss rose while the training loss kept falling."""
    train, held_out = series(metrics, "loss"), series(metrics, "eval_loss")
    if len(train) < 2 or len(held_out) < 2:
        return None
    best = min(range(len(held_out)), key=held_out.values.__getitem__)
    turn, rise = held_out.steps[best], held_out.values[-1] - held_out.values[best]
    until = [v for s, v in zip(train.steps, train.values, strict=True) if s <= turn] or [train.values[0]]
    at_turn = Series((), tuple(until)).mean_of_last()
    if rise <= RISE or train.mean_of_last() >= at_turn:
        return None
    text = _(
        "The held-out loss was lowest at step {turn} ({lowest}) and rose to {last}, while the training loss fell from "
        "{at_turn} to {train}. The model learns its training pairs by heart: use the checkpoint of the lowest held-out "
        "loss, or more data."
    ).format(
        turn=f"{turn:g}",
        lowest=f"{held_out.values[best]:.3f}",
        last=f"{held_out.values[-1]:.3f}",
        at_turn=f"{at_turn:.3f}",
        train=f"{train.mean_of_last():.3f}",
    )
    return Advice("overfit", "warning", _("Held-out loss rose while training loss fell"), text)


def nothing_learned(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """The loss still stands at ln 2 with no margin, where DPO starts."""
    loss, margin = series(metrics, "loss"), series(metrics, "rewards/margins")
    if len(loss) < 10 or not margin:
        return None
    if abs(loss.mean_of_last() - math.log(2)) > 0.003 or abs(margin.mean_of_last()) > 0.02:
        return None
    text = _(
        "After {steps} the loss is {loss}: still ln 2, where DPO starts. Raise the learning rate (adapters need about "
        "ten times that of full fine-tuning), train longer, or check that weights are being updated at all."
    ).format(steps=_count(len(loss), _), loss=f"{loss.mean_of_last():.3f}")
    return Advice("nothing_learned", "warning", _("The loss has not moved"), text)


def memorised(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Training pairs are told apart far better than held-out ones."""
    train, held_out = series(metrics, "rewards/accuracies"), series(metrics, "eval_rewards/accuracies")
    limits = accuracy_limits(metrics)
    if len(train) < 10 or not len(held_out) or limits is None:  # of a few batches an accuracy says little
        return None
    known, new = train.mean_of_last(), held_out.values[-1]
    if known - new < MEMORISED or limits[1] >= known:
        return None
    text = _(
        "At the end {known} of the training pairs are ranked correctly and {new} of the held-out ones ({interval}). "
        "What was learned is mostly these pairs themselves: more pairs, fewer epochs or a lower learning rate help; "
        "more steps do not."
    ).format(known=f"{known:.1%}", new=f"{new:.1%}", interval=interval(limits, _))
    return Advice("memorised", "warning", _("The training pairs were learned by heart"), text)


def moved_little(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """The held-out loss of DPO is nearly where it starts, at ln 2."""
    held_out, margin = series(metrics, "eval_loss"), series(metrics, "eval_rewards/margins")
    if not len(held_out) or not len(margin) or not _is_dpo(run) or nothing_learned(run, metrics, comparison, _):
        return None
    gain, limits = math.log(2) - held_out.values[-1], accuracy_limits(metrics)
    if not 0 <= gain < MOVED_LITTLE:
        return None
    told_apart = "" if limits is None or limits[0] > 0.5 else _(", and its accuracy there may be chance")
    rate = ((run.get("config") or {}).get("optimiser") or {}).get("learning_rate")
    used = _(" (it was {rate})").format(rate=f"{rate:g}") if isinstance(rate, int | float) else ""
    text = _(
        "The held-out loss is {loss}, which is {gain} below ln 2, where DPO starts{told_apart}. The model hardly "
        "differs from its reference: try a learning rate ten times higher{used}, more epochs, or a smaller beta, and "
        "compare the samples."
    ).format(loss=f"{held_out.values[-1]:.4f}", gain=f"{gain:.4f}", told_apart=told_apart, used=used)
    return Advice("moved_little", "note", _("The model moved little"), text)


def no_better_than_length(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Choosing by length alone agrees with people at least as often as the trained model."""
    longer, held_out = run.get("held_out_longer"), series(metrics, "eval_rewards/accuracies")
    limits = accuracy_limits(metrics)
    if not isinstance(longer, float) or not len(held_out) or limits is None:
        return None
    if held_out.values[-1] > max(longer, 1 - longer):
        return None
    which, share = (_("longer"), longer) if longer >= 0.5 else (_("shorter"), 1 - longer)
    text = _(
        "The model ranks {rate} of the held-out pairs correctly ({interval}); always choosing the {which} response "
        "would rank {share}. These pairs do not show that it learned more than length: hold out more pairs, or train "
        "further."
    ).format(rate=f"{held_out.values[-1]:.1%}", interval=interval(limits, _), which=which, share=f"{share:.1%}")
    return Advice("no_better_than_length", "note", _("No better than looking at length"), text)


def win_rate_unclear(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """The win rate's interval holds one half, or lies below it."""
    rate = (comparison or {}).get("win_rate") or {}
    low, high = rate.get("low"), rate.get("high")
    if low is None or high is None or low > 0.5:
        return None
    limits = {"low": f"{low:.1%}", "high": f"{high:.1%}"}
    if high < 0.5:
        text = _(
            "The interval of the win rate runs from {low} to {high}: the judge prefers the model as it was before "
            "training."
        )
        title = _("The judge prefers the model before training")
        return Advice("win_rate_unclear", "warning", title, text.format(**limits))
    text = _(
        "The interval of the win rate runs from {low} to {high}, so this comparison cannot say which model is better. "
        "Compare on more prompts."
    )
    return Advice("win_rate_unclear", "note", _("The win rate is not settled"), text.format(**limits))


def grew_longer(run: Run, metrics: Rows, comparison: Comparison, _: Words) -> Advice | None:
    """Responses became half as long again: judges and people often reward length itself."""
    pairs = (comparison or {}).get("pairs") or []
    before = sum(len(str(pair.get("before", "")).split()) for pair in pairs)
    after = sum(len(str(pair.get("after", "")).split()) for pair in pairs)
    if len(pairs) < 5 or before == 0 or after < 1.5 * before:
        return None
    text = _(
        "Responses grew from {before} to {after} words on average. Length alone can win comparisons: look at whether "
        "the extra words say anything, or compare at equal length."
    ).format(before=f"{before / len(pairs):.0f}", after=f"{after / len(pairs):.0f}")
    return Advice("grew_longer", "note", _("Responses became longer"), text)


RULES: Sequence[Callable[[Run, Rows, Comparison, Words], Advice | None]] = (
    non_finite,
    chosen_fell,
    alike_pairs,
    saturated,
    overfit,
    nothing_learned,
    memorised,
    moved_little,
    no_better_than_length,
    win_rate_unclear,
    grew_longer,
)


def _is_dpo(run: Run) -> bool:
    """Whether the loss begins at ln 2, as that of DPO without label smoothing does."""
    settings = (run.get("config") or {}).get("dpo") or {}
    return settings.get("objective", "") == "dpo" and not settings.get("sft_weight")


def _is_non_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _count(num: int, _: Words) -> str:
    return _("1 step") if num == 1 else _("{num} steps").format(num=f"{num:,}")
