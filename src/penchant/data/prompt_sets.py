"""Prompt sets included in Penchant, usable by name wherever a prompt file is."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from penchant.data.given import Data
from penchant.data.load import load_prompts
from penchant.data.records import Prompt

__all__ = ["PROMPT_SETS", "prompt_file", "read_prompts"]

PROMPT_SETS = {
    "everyday-train": "245 everyday questions and small writing tasks, to sample and train on",
    "everyday-test": "55 more of the same kind, on the same 18 topics, to measure on",
}


def prompt_file(name: str) -> Path:
    """The file behind `name`: a prompt set's, unless a file of that name exists."""
    path = Path(name)
    if name in PROMPT_SETS and not path.exists():
        return Path(str(files("penchant").joinpath("assets", f"{name}.jsonl")))
    return path


def read_prompts(prompts: Data, limit: int | None, say: Callable[[str], None], **how: Any) -> Sequence[Prompt]:
    """The prompts of a file, a named set, or rows; reports what is left out. how: see `load_prompts`."""
    loaded = load_prompts(prompt_file(prompts) if isinstance(prompts, str) else prompts, limit=limit, **how)
    for line in loaded.remarks():
        say(line)
    if repeated := sum(loaded.verdict_counts.values()) - len(loaded.records):
        say(f"prompts that repeat an earlier one: {repeated}, left out")
    return loaded.records
