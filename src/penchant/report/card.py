"""The model card: README.md beside the weights, with the facts of the run in the Hub's format."""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from penchant.report.advice import advise
from penchant.report.counts import counts_of
from penchant.report.languages import words_in
from penchant.report.measures import measures
from penchant.report.series import Rows
from penchant.report.verdict import verdict

__all__ = ["model_card"]


def model_card(
    run: Mapping[str, Any],
    metrics: Rows,
    samples: Sequence[Mapping[str, Any]] = (),
    comparison: Mapping[str, Any] | None = None,
    *,
    repeat: str = "",
) -> str:
    """Markdown with a YAML header. repeat: Python code that reproduces the model."""
    _ = words_in("en")
    config = run.get("config") or {}
    base = _last((config.get("model") or {}).get("name") or run.get("model") or "")
    objective = str((config.get("dpo") or {}).get("objective") or run.get("command") or "training")
    found = verdict(run, metrics, comparison, _)
    tags = list(dict.fromkeys(("penchant", str(run.get("command")), objective)))
    head = {"base_model": base, "library_name": "transformers", "tags": tags}
    lines = ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()), "---", ""]
    lines += [f"# {_text(base)}, trained with {_text(objective)}", "", f"**{found.title}.** {_text(found.text)}", ""]
    lines += _table(run, metrics, samples, comparison)
    if remarks := advise(run, metrics, comparison):
        lines += ["## What to look at", "", *(f"- **{_text(r.title)}.** {_text(r.text)}" for r in remarks), ""]
    lines += ["## Training", ""]
    lines += [f"- {name}: {_text(value)}" for name, value in _facts(run, config) if value not in ("", "None")]
    if repeat:
        lines += ["", "Again:", "", "```python", repeat, "```"]
    return "\n".join(lines) + "\n"


def _table(
    run: Mapping[str, Any], metrics: Rows, samples: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any] | None
) -> list[str]:
    rows = measures(run, metrics, samples, comparison, words_in("en"))
    if not rows:
        return []
    lines = ["| measure | before | after | change or 95% interval | of |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(_text, (m.name, m.before, m.after, m.change, m.num)))} |" for m in rows]
    return [*lines, "", *(f"- {_text(m.name)}: {_text(m.beware)}" for m in rows if m.beware), ""]


def _facts(run: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    optimiser, data = config.get("optimiser") or {}, run.get("data_files") or ()
    counts = counts_of(run)
    files = ", ".join(_last(file.get("path")) for file in data if isinstance(file, Mapping))
    return [
        ("data", files),
        (counts.kind, f"{counts.train} trained on, {counts.held_out} held out"),
        ("beta", str(run.get("beta"))),
        ("weights of the base", "4-bit NF4, see quantisation.json" if _is_quantised(config) else ""),
        ("learning rate", str(optimiser.get("learning_rate"))),
        ("epochs", str(optimiser.get("epochs"))),
        ("batch size", str(optimiser.get("batch_size"))),
        ("seed", str(config.get("seed"))),
        ("weights it began with (digest)", str(run.get("model_digest"))),
        ("finished", str(run.get("finished_at"))),
        ("Penchant", str((run.get("versions") or {}).get("penchant"))),
    ]


def _is_quantised(config: Mapping[str, Any]) -> bool:
    return bool((config.get("model") or {}).get("quantisation"))


def _last(path: object) -> str:
    """The last part of a local path, as a card is public; a name on the Hub is unchanged."""
    return Path(str(path)).name if Path(str(path)).exists() else str(path)


def _text(value: object) -> str:
    """Escape a line for Markdown and HTML: names and judges are untrusted."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", escape(" ".join(str(value).split()), quote=False))
