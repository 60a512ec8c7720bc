"""The measures of a comparison of two models' answers, each with its interval and sample size."""

from collections.abc import Iterator, Mapping
from typing import Any

from penchant.report.figures import number
from penchant.report.languages import Words
from penchant.report.measure import Measure, answered, cautioned, signed, span

__all__ = ["compared_measures"]

Found = Mapping[str, Any]

UNMEASURED = "–"
"""What a rate of after against before has in place of a value before."""


def compared_measures(comparison: Found, _: Words) -> Iterator[Measure]:
    """The measures in `comparison.json`: win rates, changes of answers, and held-out preferences."""
    yield from _preferred(comparison, _)
    yield from _moved(comparison, _)
    yield from _answers(comparison, _)
    if accuracy := comparison.get("accuracy"):
        yield from _given_pairs(accuracy, _)


def _preferred(comparison: Found, _: Words) -> Iterator[Measure]:
    group, of = _("Who is preferred"), _prompts(comparison, _)
    if rate := comparison.get("win_rate"):
        what, own = _("a tie counts half"), answered(comparison)
        yield Measure(_("win rate"), UNMEASURED, *_rate(rate), _prompts(own, _), what, group, beware=cautioned(own, _))
        if rate.get("ties") and (decided := comparison.get("decided")):
            what = _("of the comparisons that were decided")
            yield Measure(_("win rate, ties apart"), UNMEASURED, *_rate(decided), _comparisons(decided, _), what, group)
    if equal := comparison.get("length_controlled"):
        what = _("if both answers were as long")
        rate = _("not measured") if equal.get("low") is None else f"{equal['value']:.1%}"  # of one prompt
        limits, beware = span(equal, "{:.1%}"), _apart(equal, comparison, _)
        yield Measure(_("win rate, same length"), UNMEASURED, rate, limits, of, what, group, beware)
    if (before := comparison.get("mean_before")) is not None and (after := comparison.get("mean_after")) is not None:
        change, judge = comparison.get("difference") or {}, str(comparison.get("judge", ""))
        both = number(before), number(after)
        difference, why = signed(change.get("mean"), change), _no_interval(change, comparison, _)
        yield Measure(_("judge's mean score"), *both, difference, of, judge, group, why)
    if bias := comparison.get("position_bias"):
        what = _("of a judge asked in both orders: the place alone decided, and the comparison is a tie")
        yield Measure(_("judge's order bias"), "", *_rate(bias), _comparisons(bias, _), what, group)
    if again := comparison.get("repeatability"):
        what = _("how often the judge repeated its answer to the same question")
        yield Measure(_("judge's repeatability"), "", *_rate(again), _comparisons(again, _), what, group)


def _moved(comparison: Found, _: Words) -> Iterator[Measure]:
    group, of = _("How far it moved"), _prompts(comparison, _)
    if kl := comparison.get("kl"):
        what = _("nats a response: how far the answers moved from the reference; 0 is not at all")
        shown = f"{kl['mean']:.2f}", span(kl, "{:.2f}")
        yield Measure(_("KL from the reference"), "0", *shown, of, what, group, _no_interval(kl, comparison, _))
    exact, why = comparison.get("kl_exact"), comparison.get("why_no_exact_kl")
    if exact:
        what = _("the same with less noise: every next token's whole distribution")
        shown = f"{exact['mean']:.2f}", span(exact, "{:.2f}")
        yield Measure(_("KL, exact"), "0", *shown, of, what, group, _no_interval(exact, comparison, _))
    elif why:
        yield Measure(_("KL, exact"), "", _("not measured"), "", "", str(why), group)
    if forgot := comparison.get("forgetting"):
        ratio = f"× {forgot['ratio']:.3f}"
        if limits := span(forgot, "{:.3f}"):
            ratio += f" ({limits})"
        num = _("{num} demonstrations").format(num=f"{forgot['num_demonstrations']:,}")
        what = _("of demonstrations not trained on; above × 1 something was forgotten")
        both = number(forgot["before"]), number(forgot["after"])
        yield Measure(_("perplexity"), *both, ratio, num, what, group, _no_interval(forgot, comparison, _))


def _answers(comparison: Found, _: Words) -> Iterator[Measure]:
    share = "{:.1%}".format
    known = {
        "tokens": (_("tokens an answer"), number, _("how long the answers are")),
        "ended": (_("ended by the model"), share, _("share of the answers that the model ended itself")),
        "repeated": (_("repetition"), share, _("share of four-word sequences that the answer had already said")),
        "distinct": (_("distinct-2"), share, _("different pairs of words among all in the answers to one prompt")),
        "entropy": (_("entropy"), number, _("nats a token; a fall says that the model is surer of what it writes")),
    }
    for change in comparison.get("changes") or ():
        if change["name"] in known:
            name, form, what = known[change["name"]]
            means = change["means"]
            num = _("{num} prompts").format(num=f"{means['num_prompts']:,}")
            shown = form(means["before"]), form(means["after"]), signed(means["difference"], means, form)
            why = _no_interval(means, comparison, _)
            yield Measure(name, *shown, num, what, _("How the answers changed"), why)


def _given_pairs(accuracy: Found, _: Words) -> Iterator[Measure]:
    """Measures on held-out preferences. Before: the reference's own rewards are all 0, so every pair is a tie."""
    group, whole = _("Preferences not trained on"), accuracy["accuracy"]
    what = _("share of pairs ranked as people did")
    beware = cautioned(accuracy, _)
    yield Measure(_("accuracy on preferences"), "50%", *_rate(whole), _pairs(whole, _), what, group, beware=beware)
    names = {
        "longer": _("where chosen is longer"),
        "as long": _("where both are as long"),
        "shorter": _("where chosen is shorter"),
    }
    what = _("what looks at length alone is right in one and wrong in another")
    for name, share in (accuracy.get("by_length") or {}).items():
        yield Measure(names.get(name, name), "50%", *_rate(share), _pairs(share, _), what, group)
    buckets = accuracy.get("by_margin") or ()
    for bucket in buckets if len(buckets) > 1 else ():
        size = _("where the margin is {low} to {high}").format(low=number(bucket["start"]), high=number(bucket["end"]))
        what = _("in size; what is surer should be right more often")
        yield Measure(size, "", *_rate(bucket["share"]), _pairs(bucket["share"], _), what, group)
    for bucket in accuracy.get("by_gap") or ():
        low, high = number(bucket["start"]), number(bucket["end"])
        size = _("where chosen is better by {gap}").format(gap=low if low == high else f"{low} – {high}")
        what = _("as the data's own scores say; what is plain to people should be right more often")
        yield Measure(size, "50%", *_rate(bucket["share"]), _pairs(bucket["share"], _), what, group)
    if lists := accuracy.get("lists"):
        num, what = _("{num} rows").format(num=f"{lists['num']:,}"), _("rows of several pairs, right in every one")
        yield Measure(_("whole lists"), "", *_rate(lists), num, what, group)
    for part, score in (accuracy.get("parts") or {}).items():
        name = _("best of n, {part}").format(part=_(part)) if part else _("best of n")
        num, what = (
            _("{num} lists").format(num=f"{score['num']:,}"),
            _("as RewardBench 2 counts right and wrong answers"),
        )
        share, limits = f"{score['value']:.1%}", span(score, "{:.1%}")
        yield Measure(name, "", share, limits, num, what, group, _apart(score, accuracy, _))
    if calibration := accuracy.get("calibration"):
        what = _("how far sigmoid(margin) is from being right as often as it says; errs upwards on few pairs")
        yield _estimate(_("calibration error (ECE)"), "0", calibration["ece"], what, group, accuracy, _)
        what = _("mean square of 1 - sigmoid(margin); 0.25 is half sure always")
        yield _estimate(_("Brier score"), "0.25", calibration["brier"], what, group, accuracy, _)


def _estimate(name: str, before: str, found: Found, what: str, group: str, whole: Found, _: Words) -> Measure:
    shown = number(found["value"]), span(found, "{:.3f}"), _pairs(found, _)
    return Measure(name, before, *shown, what, group, _apart(found, whole, _))


def _rate(found: Found) -> tuple[str, str]:
    return f"{found['rate']:.1%}", span(found, "{:.1%}")


def _prompts(comparison: Found, _: Words) -> str:
    num = comparison.get("num_prompts")
    return _("{num} prompts").format(num=f"{num:,}") if isinstance(num, int) else ""


def _comparisons(found: Found, _: Words) -> str:
    return _("{num} comparisons").format(num=f"{found['num']:,}")


def _pairs(found: Found, _: Words) -> str:
    return _("{num} pairs").format(num=f"{found['num']:,}")


def _no_interval(found: Found, whole: Found, _: Words) -> str:
    """Why there is no interval, unless it applies to all."""
    return _apart(found, whole, _) if found.get("low") is None else ""


def _apart(found: Found, whole: Found, _: Words) -> str:
    """Its own warning, unless it applies to all."""
    return "" if found.get("warning") == whole.get("warning") else cautioned(found, _)
