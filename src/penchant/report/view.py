"""The content of the page in words: headline numbers, samples and the ledger, from the run's plain dicts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penchant.report.counts import counts_of, num_held_out_pairs
from penchant.report.figures import number
from penchant.report.languages import Words, interval
from penchant.report.marked import Piece, marked
from penchant.report.series import Rows, accuracy_limits, series
from penchant.wording import bytes_in_words

__all__ = ["Pair", "Tile", "ledger", "pairs", "row_counts", "subtitle", "text", "tiles", "training_samples"]

Comparison = Mapping[str, Any] | None

MAX_CHARACTERS = 4000  # of one shown text
MAX_PAIRS = 100
NOT_SHOWN = ("rows", "run_files")
"""Of the ledger: row counts, which the page has above, and digests of what the page is made of."""


@dataclass(frozen=True)
class Tile:
    """One headline number with its name above and its explanation below."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class Pair:
    """One prompt answered twice; labels say when, scores are the judge's, "" where there is none."""

    prompt: str
    before: str
    after: str
    score_before: str = ""
    score_after: str = ""
    label_before: str = "before"
    label_after: str = "after"
    place: str = ""

    @property
    def marked(self) -> tuple[list[Piece], list[Piece]]:
        """Both answers in pieces, each with whether only this side has it."""
        return marked(self.before, self.after)


def tiles(run: Mapping[str, Any], metrics: Rows, comparison: Comparison, _: Words = str) -> list[Tile]:
    """The headline numbers with data, the effect of training first."""
    found = [
        _win_rate(comparison, _),
        _judge_means(comparison, _),
        _accuracy(run, metrics, _),
        _kl(comparison, _),
        _loss(metrics, _),
        _cost(run, _),
    ]
    return [tile for tile in found if tile is not None]


def subtitle(run: Mapping[str, Any], _: Words = str) -> str:
    """Model and how much it was trained on in one line."""
    parts = [text(run["model"])] if run.get("model") else []
    parts += counts_of(run).sentence(_)
    if run.get("started_at"):
        parts.append(_moment(run["started_at"], _))
    return " · ".join(parts)


def what_was_done(run: Mapping[str, Any], _: Words = str) -> list[tuple[str, str]]:
    """Data, counts and the settings that matter, as far as the ledger holds them."""
    config = _section(run, "config")
    model, optimiser, dpo = (_section(config, name) for name in ("model", "optimiser", "dpo"))
    files = run.get("data_files") or run.get("data") or ()
    paths = [files] if isinstance(files, str) else [f.get("path") if isinstance(f, Mapping) else f for f in files]
    rate, beta, lora = optimiser.get("learning_rate"), run.get("beta"), _section(model, "lora")
    how = [f"LoRA, {_('rank')} {text(lora.get('rank'))}" if lora else _("all weights")] if model else []
    how += [f"{_('learning rate')} {rate:g}"] if isinstance(rate, int | float) else []
    how += [f"{text(optimiser['epochs'])} {_('epochs')}"] if optimiser.get("epochs") else []
    counts = counts_of(run)
    nums = ((counts.train, _("trained on")), (counts.held_out, _("held out")))
    written = ((run.get("num_responses_written"), _("responses")), (run.get("num_pairs_made"), _("pairs")))
    objective = [text(dpo.get("objective"))] if dpo.get("objective") else []
    objective += [f"beta {beta:g}"] if objective and isinstance(beta, int | float) else []
    found = [
        (_("model"), text(model.get("name") or run.get("model"))),
        (_("data"), ", ".join(text(path) for path in paths)),
        (_(counts.kind), ", ".join(f"{text(num)} {word}" for num, word in nums if num is not None)),
        (_("made while training"), ", ".join(f"{text(num)} {word}" for num, word in written if num is not None)),
        (_("objective"), ", ".join(objective)),
        (_("training"), ", ".join(how)),
        (_("ended early"), text(run.get("stopped_early"))),
    ]
    return [(name, value) for name, value in found if value]


def _section(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def how_pairs_are_ordered(_: Words = str) -> str:
    """The text above `pairs`."""
    return _(
        "Largest gain, middle and largest loss by the judge's score where there is one, then the order of the prompts: "
        "nothing is picked by hand. Words that only one side has are marked."
    )


def pairs(comparison: Comparison, _: Words = str) -> list[Pair]:
    """Pairs by score: the judge's largest gain, the median and the largest loss; then the others in order.

    Examples are chosen by this rule, as a manual choice would be biased.
    """
    found = [(pair, _gain(pair)) for pair in ((comparison or {}).get("pairs") or [])]
    scored = sorted((i for i, (_pair, gain) in enumerate(found) if gain is not None), key=lambda i: -(found[i][1] or 0))
    places: dict[int, str] = {}
    if len(scored) >= len(PLACES):
        places = dict(zip((scored[0], scored[len(scored) // 2], scored[-1]), map(_, PLACES), strict=True))
    order = [*places, *(i for i in range(len(found)) if i not in places)][:MAX_PAIRS]
    return [
        Pair(
            text(pair.get("prompt")),
            text(pair.get("before")),
            text(pair.get("after")),
            _score(pair.get("score_before")),
            _score(pair.get("score_after")),
            _("before"),
            _("after"),
            places.get(i, ""),
        )
        for i in order
        for pair in [found[i][0]]
    ]


PLACES = ("largest gain of the judge's score", "the middle one", "largest loss of the judge's score")


def _gain(pair: Mapping[str, Any]) -> float | None:
    before, after = pair.get("score_before"), pair.get("score_after")
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return None
    return float(after - before)


def training_samples(samples: Sequence[Mapping[str, Any]], _: Words = str) -> list[Pair]:
    """First against last answer to every prompt that was sampled at two steps or more."""
    by_prompt: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        by_prompt.setdefault(text(sample.get("prompt")), []).append(sample)
    return [
        Pair(
            prompt,
            text(rows[0].get("response")),
            text(rows[-1].get("response")),
            label_before=f"{_('step')} {text(rows[0].get('step', '?'))}",
            label_after=f"{_('step')} {text(rows[-1].get('step', '?'))}",
        )
        for prompt, rows in list(by_prompt.items())[:MAX_PAIRS]
        if len(rows) > 1
    ]


def row_counts(run: Mapping[str, Any], _: Words = str) -> list[tuple[str, str]]:
    """The verdicts on all rows of the data: (verdict, count), kept rows first."""
    counts = run.get("rows") or {}
    if not isinstance(counts, Mapping):
        return []
    order = sorted(counts, key=lambda verdict: (verdict != "keep", str(verdict)))
    return [(_(str(verdict).replace("_", " ")), text(counts[verdict])) for verdict in order]


def ledger(run: Mapping[str, Any], _: Words = str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every field of the ledger that is shown, in groups: (group, [(name, value)]). Settings keep their names."""
    shown = {key: value for key, value in run.items() if key not in NOT_SHOWN}
    plain = [(_(key), _field(key, value, _)) for key, value in shown.items() if not isinstance(value, Mapping)]
    nested = [(_(key), _flat(value, _)) for key, value in shown.items() if isinstance(value, Mapping)]
    return [(_("run"), plain), *nested] if plain else nested


def text(value: object, _: Words = str) -> str:
    """Any value as text to show: messages as "role: content" lines, numbers short, long texts cut and said so."""
    if value is None:
        return ""
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "content" in item for item in value):
        value = "\n".join(f"{item.get('role', '')}: {item['content']}" for item in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    left_out = len(shown) - MAX_CHARACTERS
    more = _("({num} more characters)").format(num=f"{left_out:,}")
    return shown if left_out <= 0 else f"{shown[:MAX_CHARACTERS]} ... {more}"


def _win_rate(comparison: Comparison, _: Words) -> Tile | None:
    rate = (comparison or {}).get("win_rate")
    if not rate:
        return None
    outcomes = (("wins", _("{num} won")), ("losses", _("{num} lost")), ("ties", _("{num} tied")))
    counts = ", ".join(words.format(num=f"{rate[key]:,}") for key, words in outcomes if rate.get(key) is not None)
    return Tile(_("Win rate"), f"{rate['rate']:.1%}", _joined(_interval(rate, "{:.1%}", _), counts))


def _judge_means(comparison: Comparison, _: Words) -> Tile | None:
    if not comparison or comparison.get("mean_before") is None or comparison.get("mean_after") is None:
        return None
    value = f"{comparison['mean_before']:.2f} → {comparison['mean_after']:.2f}"
    num = comparison.get("num_prompts")
    prompts = _("{num} prompts").format(num=f"{num:,}") if num else ""
    return Tile(_("Judge's mean score"), value, _joined(text(comparison.get("judge")), prompts))


def _kl(comparison: Comparison, _: Words) -> Tile | None:
    found = comparison or {}
    kl, way = found.get("kl_exact") or found.get("kl"), _("every next token's whole distribution")
    if not kl:
        return None
    detail = _joined(_("nats per response"), _interval(kl, "{:.2f}", _), way if found.get("kl_exact") else "")
    return Tile(_("KL from the start"), f"{kl['mean']:.2f}", detail)


def _accuracy(run: Mapping[str, Any], metrics: Rows, _: Words) -> Tile | None:
    """The last held-out accuracy, with sample size and interval; else that of the last training batches."""
    held_out = len(series(metrics, "eval_rewards/accuracies")) > 0
    prefix, share = ("eval_", 0.0) if held_out else ("", 0.1)
    accuracy, margin = (series(metrics, f"{prefix}rewards/{name}") for name in ("accuracies", "margins"))
    if not len(accuracy):
        return None
    detail = _("mean margin {margin}").format(margin=f"{margin.mean_of_last(share):.2f}") if len(margin) else ""
    if not held_out:
        value = f"{accuracy.mean_of_last(share):.1%}"
        return Tile(_("Training accuracy"), value, _joined(_("of the last batches"), detail))
    num, limits, value = num_held_out_pairs(run, metrics), accuracy_limits(metrics), f"{accuracy.values[-1]:.1%}"
    whole = value if num is None else _("{rate} of {num}").format(rate=value, num=f"{num:,}")
    pairs = _("pair ranked correctly") if num == 1 else _("pairs ranked correctly")
    return Tile(_("Held-out accuracy"), whole, _joined(pairs, interval(limits, _) if limits else "", detail))


def _loss(metrics: Rows, _: Words) -> Tile | None:
    held_out, train = series(metrics, "eval_loss"), series(metrics, "loss")
    if len(series(metrics, "reward")):
        return None  # a policy gradient's loss is not meaningful alone
    line, name = (held_out, _("Held-out loss")) if len(held_out) > 1 else (train, _("Training loss"))
    if not len(line):
        return None
    if len(line) == 1:
        return Tile(name, f"{line.values[0]:.3f}", _("one step"))
    detail = _("first to last evaluation") if line is held_out else _("first to last steps")
    return Tile(name, f"{line.mean_of_first():.3f} → {line.mean_of_last():.3f}", detail)


def _cost(run: Mapping[str, Any], _: Words) -> Tile | None:
    seconds = _seconds(run.get("started_at"), run.get("finished_at"))
    speed, memory = run.get("unique_tokens_per_second"), run.get("peak_memory_bytes")
    details = (
        _("{num} unique tokens/s").format(num=f"{speed:,.0f}") if speed else "",
        _("peak memory {size}").format(size=bytes_in_words(memory)) if memory else "",
    )
    return None if seconds is None else Tile(_("Time"), _duration(seconds, _), _joined(*details))


def _interval(limits: Mapping[str, Any], form: str, _: Words) -> str:
    low, high = limits.get("low"), limits.get("high")
    return "" if low is None or high is None else interval((low, high), _, form)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _score(value: object) -> str:
    return f"{value:+.2f}" if isinstance(value, int | float) else ""


def _flat(value: Mapping[str, Any], _: Words, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            found += _flat(item, _, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _field(key, item, _)))
    return found


def _field(key: str, value: object, _: Words) -> str:
    if key == "alarms" and isinstance(value, list):  # their sentences stand among the remarks
        return ", ".join(f"{alarm['name']} ({_('step')} {alarm['step']})" for alarm in value)
    if key.endswith("_bytes") and isinstance(value, int | float):
        return bytes_in_words(value)
    if isinstance(value, int) and "seed" in key:
        return str(value)
    return text(value, _)


def _seconds(start: object, end: object) -> float | None:
    try:
        return (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds()
    except (ValueError, TypeError):
        return None


def _duration(seconds: float, _: Words) -> str:
    if seconds < 90:
        return _("{num} s").format(num=f"{seconds:.0f}")
    if seconds < 5400:
        return _("{num} min").format(num=f"{seconds / 60:.0f}")
    return _("{num} h").format(num=f"{seconds / 3600:.1f}")


def _moment(value: object, _: Words) -> str:
    try:
        return datetime.fromisoformat(str(value)).strftime(_("%d %B %Y, %H:%M"))
    except ValueError:
        return text(value)
