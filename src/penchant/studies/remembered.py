"""Record the inputs of a study's ground in ground.json: settings, and digests of files and code."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from penchant.data import Prompt
from penchant.data.records import prompt_key
from penchant.errors import OutputError
from penchant.evaluation.judges import FunctionJudge, Scorer
from penchant.files import disk_errors_explained, write_atomically
from penchant.studies.settings import StudyConfig
from penchant.wording import shown

__all__ = ["code_digest", "prompts_digest", "remember"]

OF_POINTS = {"seeds", "settings", "device", "dtype", "methods", "matched_kl", "method", "scores", "grid", "kl_budget"}
"""Settings that affect only points or their presentation, not the ground."""


def remember(folder: Path, config: StudyConfig, judge: str, digests: Mapping[str, str | None]) -> None:
    """Record the inputs of the ground. Raises OutputError if the folder's ground has other inputs.

    digests: by the setting whose content they describe; a reward model's name contains its digest.
    """
    file = folder / "ground.json"
    made_of = {**config.model_dump(mode="json", exclude=OF_POINTS), "judge": judge, "digests": dict(digests)}
    if not file.is_file():
        with disk_errors_explained(folder):
            write_atomically(file, json.dumps(made_of, indent=2, ensure_ascii=False) + "\n")
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    fixed = "the runs of one study must share it, so choose another `output=...`"
    if changed := next((key for key in made_of if key != "digests" and made_of[key] != before.get(key)), None):
        raise OutputError(
            f"{folder}: this study began with {changed} = {shown(before.get(changed))}, not {shown(made_of[changed])}; "
            f"{fixed}"
        )
    known = before.get("digests", {})
    if edited := next((key for key, digest in digests.items() if digest != known.get(key)), None):
        what = f"the code of the judge {judge}" if edited == "judge" else f"what {edited} = {made_of[edited]!r} holds"
        raise OutputError(f"{folder}: {what} has changed since this study began; {fixed}, or undo the change")


def prompts_digest(prompts: Iterable[Prompt]) -> str:
    """The sha256 of the prompts and their ids, in order."""
    keys = [[prompt.id, prompt_key(prompt.messages)] for prompt in prompts]
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()


def code_digest(judge: Scorer) -> str | None:
    """The sha256 of the source of a judge that is user code; None for built-in judges, or without source.

    For code in the running script or notebook, only the function's own lines, as the rest may be settings.
    """
    code: Any = judge.function if isinstance(judge, FunctionJudge) else judge
    while isinstance(code, partial):
        code = code.func
    code = inspect.unwrap(code) if inspect.isroutine(code) or inspect.isclass(code) else type(code)
    module = inspect.getmodule(code)
    if module is None or module.__name__.partition(".")[0] == "penchant":
        return None
    try:
        return hashlib.sha256(inspect.getsource(code if module.__name__ == "__main__" else module).encode()).hexdigest()
    except (OSError, TypeError):  # built-in or interactive code
        return None
