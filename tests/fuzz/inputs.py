"""What must hold whatever a fuzzer's bytes become, a file of data or a configuration.

A file is loaded, or refused with one sentence; nothing else is raised. What was loaded adds up: the rows kept and the
rows rejected are the rows of the file, and every record comes of a row that was kept.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.made import EXAMPLES_FOR, WRITERS, Choices, spoilt

from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.data.files import scan_rows
from penchant.data.verdicts import CODES
from penchant.errors import UserError
from penchant.training.config import DPOConfig, SFTConfig
from penchant.training.settings import build_config, known_keys
from penchant.wording import MAX_MESSAGE

__all__ = ["KINDS", "check"]

LOADERS: Mapping[str, Callable[..., Any]] = {
    "pairs": load_pairs,
    "labelled": load_labelled,
    "demonstrations": load_demonstrations,
    "prompts": load_prompts,
    "votes": load_votes,
}
SNIPPETS = [
    *("1", "0", "-1", "0.1", "1e-320", "1e400", ".inf", ".nan", "null", "~", "true", "dpo", "[]", "{}", "[1, [2]]"),
    *("&a [*a]", "2020-13-45", "2020-01-01", "9" * 5000, "!!int x", "!!binary =", "!!timestamp x", "'", "- a", "*a"),
    *('"\\ud800"', "<<: *a", "{rank: 4}", "{a: 1, a: 2}", "kto", "file.jsonl", "\x07", "\ufeff", "? a", "%YAML 1.1"),
    *("--- a", "|\n  a", "0x10", "1:30"),
]
KEYS = sorted({*known_keys(DPOConfig), *known_keys(SFTConfig)})


KINDS = (*WRITERS, "configuration")
"""What inputs become: a file with this ending, gzipped at times, or settings."""
FOLDER = Path(tempfile.mkdtemp(prefix="penchant-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


def check(kind: str, data: bytes) -> str:
    """Load what the bytes become; returns "loaded" or "refused". Raises AssertionError, or whatever should not be."""
    choices = Choices(data)
    try:
        if kind == "configuration":
            _configure(choices)
        else:
            _load(kind, choices)
    except UserError as error:
        said = str(error)
        said.encode()
        assert said == " ".join(said.splitlines()), "an error is one line"
        assert 0 < len(said) < 11 * MAX_MESSAGE, "an error is bounded"
        return "refused"
    return "loaded"


def _load(kind: str, choices: Choices) -> None:
    name, is_raw, is_gzipped = choices.of(list(LOADERS)), choices.below(4) == 3, choices.below(8) == 7
    if choices.below(8):
        choices.examples = EXAMPLES_FOR[name]
    content = choices.rest() if is_raw else WRITERS[kind](choices)
    if is_gzipped and kind != ".parquet":
        content = gzip.compress(content, compresslevel=1, mtime=0)
    path = FOLDER / f"input{kind}{'.gz' if is_gzipped and kind != '.parquet' else ''}"
    path.write_bytes(spoilt(content, choices))
    try:
        loaded = LOADERS[name](path, on_bad_row="drop")
        num_rows = sum(1 for _ in scan_rows(path, txt="lines" if name == "prompts" else "documents"))
    finally:
        path.unlink()
    _check_sums(name, loaded, num_rows)


def _check_sums(name: str, loaded: Any, num_rows: int) -> None:
    counts = loaded.verdict_counts
    assert sum(counts.values()) == num_rows, f"{counts} of {num_rows} rows"
    kept = sum(num for code, num in counts.items() if CODES[code].severity in ("keep", "warning"))
    records = loaded.records
    if name == "labelled":
        assert len(records) in (kept, 2 * kept), f"{len(records)} records of {kept} rows: pairs are taken apart"
    elif name == "prompts":
        assert 0 < len(records) <= kept
    elif name != "votes":  # of which a row may hold several
        rows = {str(record.origin) for record in records}  # one of several answers makes several records
        assert len(rows) == kept <= len(records), f"{len(records)} records of {kept} rows"
    problems = [str(problem) for problem in loaded.problems]
    assert len(problems) >= num_rows - counts.get("keep", 0)
    "".join(problems).encode()
    assert all(len(problem) < 11 * MAX_MESSAGE for problem in problems)


def _configure(choices: Choices) -> None:
    schema = choices.of((DPOConfig, SFTConfig))
    usual = _flat(schema(data={"files": ("rows.jsonl",)}, output="run").model_dump(mode="json"))
    settings = [f"{name}={_text(name, usual, choices)}" for name in _some_keys(choices, usual, 3)]
    if choices.below(4) == 3:
        content = choices.rest()
    else:
        lines = [_setting(name, usual, choices) for name in _some_keys(choices, usual, 6)]
        content = "".join(lines).encode("utf-8", "surrogatepass")
    file = FOLDER / "config.yaml"
    file.write_bytes(spoilt(content, choices))
    flags = {"output": "run", "data.files": ("rows.jsonl",)}
    config = build_config(schema, file=file, settings=settings, flags=flags, environment={})
    again = build_config(schema, settings=_flat(config.model_dump(mode="json")), environment={})
    assert again == config, "what config.yaml would hold is read as the same settings"


def _some_keys(choices: Choices, usual: Mapping[str, Any], most: int) -> list[str]:
    return list({choices.of(KEYS if choices.below(8) == 7 else list(usual)): None for _ in range(choices.below(most))})


def _text(name: str, usual: Mapping[str, Any], choices: Choices) -> str:
    return choices.of(SNIPPETS) if choices.below(2) else json.dumps(usual.get(name))


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _setting(name: str, usual: Mapping[str, Any], choices: Choices) -> str:
    """A line for one setting; sections are written as such at times, and then repeat themselves."""
    anchor = choices.of(("", "", "", "&a ", "*a #"))
    *sections, last = name.split(".") if choices.below(4) == 3 else [name]
    lines = [f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections)]
    return "".join(lines) + f"{'  ' * len(sections)}{last}: {anchor}{_text(name, usual, choices)}\n"
