"""Begin a round: split its prompts into training and held-out ones, and write down its plan.

A prompt of an earlier round stays on its side, so no held-out prompt is ever trained on. A round that is refused before
anything is sampled is removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.errors import ConfigError, ModelError, OutputError, UserError
from penchant.files import disk_errors_explained, write_atomically
from penchant.rounds.people import name_of_tasks
from penchant.rounds.plan import Plan, Round
from penchant.rounds.summary import model_digest

if TYPE_CHECKING:
    from penchant.data import Message, Prompt

__all__ = ["begin", "withdrawn_if_refused"]

SIDES = {"train.jsonl": False, "held-out.jsonl": True}
"""The files of prompts, and whether they are held out."""


def begin(folder: Path, rounds: Sequence[Round], plan: Plan) -> Round:
    """Write a new round: its prompts, then its plan, which makes it a round. Raises UserError."""
    from penchant.data import load_prompts
    from penchant.data.prompt_sets import prompt_file

    plan = plan.model_copy(update={"tasks": None if plan.people is None else name_of_tasks(folder)})
    new = Round(len(rounds) + 1, folder / f"round-{len(rounds) + 1}", plan)
    if rounds and (found := model_digest(rounds[-1].path / "run")) != rounds[-1].digest_of("model"):
        raise ModelError(
            f"{rounds[-1].path / 'run'}: its model has the digest {found[:12]}, so it is not the one that round "
            f"{rounds[-1].number} made; restore the model as it was"
        )
    _refuse_what_is_there(new.path)
    prompts = load_prompts(prompt_file(plan.prompts), limit=plan.max_prompts).records
    sides = _split(prompts, rounds, plan)
    if not all(sides.values()):
        counts = f"{len(sides[False])} prompts are left to train on and {len(sides[True])} to measure on"
        raise ConfigError(f"{plan.prompts}: {counts}; give more prompts")
    with disk_errors_explained(folder, again="call this again", elsewhere="choose another folder"):
        new.path.mkdir(parents=True, exist_ok=True)
        for name, is_held_out in SIDES.items():
            rows = [{"id": p.id, "messages": [m.model_dump() for m in p.messages]} for p in sides[is_held_out]]
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            write_atomically(new.path / name, "".join(lines))
        write_atomically(new.path / "plan.json", json.dumps(plan.model_dump(), indent=2, ensure_ascii=False) + "\n")
    return new


@contextmanager
def withdrawn_if_refused(this: Round) -> Iterator[None]:
    """A context that removes the round if a UserError occurs before anything is sampled in a round that began here.

    Otherwise it would block the corrected call.
    """
    try:
        yield
    except UserError:
        sampled = [this.path / "samples.jsonl", this.path / ".samples.jsonl.writing"]
        if not any(file.is_file() and file.stat().st_size > 0 for file in sampled):
            for file in (*sampled, this.path / "plan.json", *(this.path / name for name in SIDES)):
                file.unlink(missing_ok=True)
            if not any(this.path.iterdir()):
                this.path.rmdir()
        raise


def _refuse_what_is_there(path: Path) -> None:
    """Raise OutputError unless the folder holds only leftovers of a call killed before plan.json."""
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file where a round should go; move it away")
    left = {*SIDES, "plan.json"}
    for found in path.iterdir() if path.exists() else ():
        if found.name not in left and found.name.removeprefix(".").removesuffix(".writing") not in left:
            raise OutputError(f"{path}: holds {found.name} but no plan.json; move it away")


@dataclass(frozen=True)
class _Asked:
    """A prompt in the form that the split expects."""

    prompt: tuple[Message, ...]
    record: Prompt


def _split(prompts: Sequence[Prompt], rounds: Sequence[Round], plan: Plan) -> dict[bool, list[Prompt]]:
    """Split the distinct prompts by whether they are held out."""
    from penchant.data import load_prompts, prompt_key, split_by_prompt

    asked: dict[str, _Asked] = {}
    for prompt in prompts:
        asked.setdefault(prompt_key(prompt.messages), _Asked(prompt.messages, prompt))
    train, held_out = split_by_prompt(list(asked.values()), plan.held_out, plan.seed)
    is_held_out = {prompt_key(one.prompt): one in held_out for one in (*train, *held_out)}
    for earlier in rounds:
        for name, side in SIDES.items():
            for prompt in load_prompts(earlier.path / name).records:
                is_held_out[prompt_key(prompt.messages)] = side
    return {side: [one.record for key, one in asked.items() if is_held_out[key] is side] for side in (False, True)}
