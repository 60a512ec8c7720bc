"""Prompt sets that come with Penchant, known by name wherever a prompt file is asked for."""

from importlib.resources import files
from pathlib import Path

__all__ = ["PROMPT_SETS", "prompt_file"]

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
