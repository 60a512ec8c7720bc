"""What the page shows, as words: headline numbers, samples and the ledger, from the run's plain dicts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penchant.report.figures import number
from penchant.report.languages import Words
from penchant.report.marked import Piece, marked
from penchant.report.series import Rows, accuracy_limits, series

__all__ = ["Pair", "Tile", "ledger", "pairs", "row_counts", "subtitle", "text", "tiles", "training_samples"]

Comparison = Mapping[str, Any] | None

MAX_CHARACTERS = 4000  # of one shown text
MAX_PAIRS = 100


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


def tiles(run: Mapping[str, Any], metrics: Rows, comparison: Comparison) -> list[Tile]:
    """The headline numbers that there is data for, what the training changed first."""
    found = [
        _win_rate(comparison),
        _judge_means(comparison),
        _accuracy(run, metrics),
        _kl(comparison),
        _loss(metrics),
        _cost(run),
    ]
    return [tile for tile in found if tile is not None]


def subtitle(run: Mapping[str, Any]) -> str:
    """Model and numbers of pairs in one line."""
    parts = [text(run["model"])] if run.get("model") else []
    for key, noun in (("num_train_pairs", "training pairs"), ("num_held_out_pairs", "held-out pairs")):
        if isinstance(run.get(key), int):
            parts.append(f"{run[key]:,} {noun}")
    if run.get("started_at"):
        parts.append(_moment(run["started_at"]))
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
    nums = ((run.get("num_train_pairs"), _("trained on")), (run.get("num_held_out_pairs"), _("held out")))
    objective = [text(dpo.get("objective"))] if dpo.get("objective") else []
    objective += [f"beta {beta:g}"] if objective and isinstance(beta, int | float) else []
    found = [
        (_("model"), text(model.get("name") or run.get("model"))),
        (_("data"), ", ".join(text(path) for path in paths)),
        (_("pairs"), ", ".join(f"{text(num)} {word}" for num, word in nums if isinstance(num, int))),
        (_("objective"), ", ".join(objective)),
        (_("training"), ", ".join(how)),
        (_("ended early"), text(run.get("stopped_early"))),
    ]
    return [(name, value) for name, value in found if value]


def _section(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def pairs(comparison: Comparison, _: Words = str) -> list[Pair]:
    """Where a judge gave scores, its largest gain, the middle one and its largest loss; then the others in their order.

    A choice of examples by hand would flatter or blame.
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


def row_counts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What became of every row of the data: (verdict, count), kept rows first."""
    counts = run.get("rows") or {}
    if not isinstance(counts, Mapping):
        return []
    order = sorted(counts, key=lambda verdict: (verdict != "keep", str(verdict)))
    return [(str(verdict).replace("_", " "), text(counts[verdict])) for verdict in order]


def ledger(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every field of the ledger but the row counts, in groups: (group, [(name, value)])."""
    plain = [
        (key, _field(key, value)) for key, value in run.items() if key != "rows" and not isinstance(value, Mapping)
    ]
    nested = [(key, _flat(value)) for key, value in run.items() if key != "rows" and isinstance(value, Mapping)]
    return [("run", plain), *nested] if plain else nested


def text(value: object) -> str:
    """Any value as text to show: messages as "role: content" lines, numbers short, long texts cut and said so."""
    if value is None:
        return ""
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "content" in item for item in value):
        value = "\n".join(f"{item.get('role', '')}: {item['content']}" for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    left_out = len(shown) - MAX_CHARACTERS
    return shown if left_out <= 0 else f"{shown[:MAX_CHARACTERS]} ... ({left_out:,} more characters)"


def _win_rate(comparison: Comparison) -> Tile | None:
    rate = (comparison or {}).get("win_rate")
    if not rate:
        return None
    counts = ", ".join(f"{rate[key]:,} {noun}" for key, noun in _OUTCOMES if rate.get(key) is not None)
    return Tile("Win rate", f"{rate['rate']:.1%}", _joined(_interval(rate, "{:.1%}"), counts))


_OUTCOMES = (("wins", "won"), ("losses", "lost"), ("ties", "tied"))


def _judge_means(comparison: Comparison) -> Tile | None:
    if not comparison or comparison.get("mean_before") is None or comparison.get("mean_after") is None:
        return None
    value = f"{comparison['mean_before']:.2f} → {comparison['mean_after']:.2f}"
    prompts = f"{comparison['num_prompts']:,} prompts" if comparison.get("num_prompts") else ""
    return Tile("Judge's mean score", value, _joined(text(comparison.get("judge")), prompts))


def _kl(comparison: Comparison) -> Tile | None:
    kl = (comparison or {}).get("kl")
    if not kl:
        return None
    return Tile("KL from the start", f"{kl['mean']:.2f}", _joined("nats per response", _interval(kl, "{:.2f}")))


def _accuracy(run: Mapping[str, Any], metrics: Rows) -> Tile | None:
    """At the last evaluation of the held-out pairs, of how many and how sure; else over the last training batches."""
    held_out = len(series(metrics, "eval_rewards/accuracies")) > 0
    prefix, share = ("eval_", 0.0) if held_out else ("", 0.1)
    accuracy, margin = (series(metrics, f"{prefix}rewards/{name}") for name in ("accuracies", "margins"))
    if not len(accuracy):
        return None
    detail = f"mean margin {margin.mean_of_last(share):.2f}" if len(margin) else ""
    if not held_out:
        return Tile("Training accuracy", f"{accuracy.mean_of_last(share):.1%}", _joined("of the last batches", detail))
    num, limits = run.get("num_held_out_pairs"), accuracy_limits(metrics)
    whole = f" of {num:,}" if isinstance(num, int) else ""
    interval = f"95% interval {limits[0]:.1%} to {limits[1]:.1%}" if limits else ""
    pairs = "pair ranked correctly" if num == 1 else "pairs ranked correctly"
    return Tile("Held-out accuracy", f"{accuracy.values[-1]:.1%}{whole}", _joined(pairs, interval, detail))


def _loss(metrics: Rows) -> Tile | None:
    held_out, train = series(metrics, "eval_loss"), series(metrics, "loss")
    if len(series(metrics, "reward")):
        return None  # a policy gradient's loss says nothing by itself
    line, whose = (held_out, "Held-out") if len(held_out) > 1 else (train, "Training")
    if not len(line):
        return None
    if len(line) == 1:
        return Tile(f"{whose} loss", f"{line.values[0]:.3f}", "one step")
    detail = "first to last evaluation" if line is held_out else "first to last steps"
    return Tile(f"{whose} loss", f"{line.mean_of_first():.3f} → {line.mean_of_last():.3f}", detail)


def _cost(run: Mapping[str, Any]) -> Tile | None:
    seconds = _seconds(run.get("started_at"), run.get("finished_at"))
    speed, memory = run.get("unique_tokens_per_second"), run.get("peak_memory_bytes")
    details = (
        f"{speed:,.0f} unique tokens/s" if speed else "",
        f"peak memory {_bytes(memory)}" if memory else "",
    )
    return None if seconds is None else Tile("Time", _duration(seconds), _joined(*details))


def _interval(limits: Mapping[str, Any], form: str) -> str:
    low, high = limits.get("low"), limits.get("high")
    return "" if low is None or high is None else f"95% interval {form.format(low)} to {form.format(high)}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _score(value: object) -> str:
    return f"{value:+.2f}" if isinstance(value, int | float) else ""


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            found += _flat(item, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _field(key, item)))
    return found


def _field(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int | float):
        return _bytes(value)
    if isinstance(value, int) and "seed" in key:
        return str(value)
    return text(value)


def _bytes(num: float) -> str:
    return f"{num / 1e9:.2f} GB" if num >= 1e9 else f"{num / 1e6:.1f} MB"


def _seconds(start: object, end: object) -> float | None:
    try:
        return (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds()
    except (ValueError, TypeError):
        return None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _moment(value: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)):%d %B %Y, %H:%M}"
    except ValueError:
        return text(value)
