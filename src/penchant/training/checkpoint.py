"""Atomic checkpoints: written to a temporary folder, synced, listed in a manifest, then renamed into place.

A checkpoint is a folder `step-N` with `weights.safetensors` (the trained parameters), `optimiser.safetensors`,
`task.safetensors` (further state of the task), `state.json` and `manifest.json` (size and sha256 of the others). For a
sharded model every rank writes its own, `weights-00001-of-00002.safetensors` and so on, into the folder that the first
rank creates and renames. Never pickle. `checkpoint_writer.py` decides which rank writes, and when.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from penchant.files import remove_scratch, replacing_folder
from penchant.models.sharded import are_sharded
from penchant.models.slices import (
    Fingerprint,
    Slices,
    are_whole,
    fingerprint,
    names_in_slices,
    on_cpu,
    own_slices,
    read_slices,
    write_slices,
)

__all__ = [
    "Checkpoint",
    "Content",
    "checkpoint_faults",
    "complete",
    "new_checkpoint",
    "newest_checkpoint",
    "restore",
    "save_checkpoint",
    "tensors_of",
]


STEP = re.compile(r"step-[0-9]{1,18}")
IN_SLICES = ("weights", "optimiser")
WRITTEN = {"task.safetensors", "state.json"}
CONSTANT = {"qmap1", "qmap2"}
"""The lookup table of 8-bit moments, shared by all parameters; it exists before anything is read."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint. state: the loop's state."""

    folder: Path
    state: dict[str, Any]


@dataclass(frozen=True)
class Content:
    """One rank's part of the checkpoint of a step.

    slices: weights and moments. task: tensors of the task besides the weights, such as a moving reference; often none.
    state: the loop's state, as JSON.
    """

    step: int
    slices: Sequence[Slices]
    task: Mapping[str, Tensor]
    state: str

    @classmethod
    def of(
        cls,
        step: int,
        parameters: Mapping[str, torch.nn.Parameter],
        optimiser: torch.optim.Optimizer,
        state: Mapping[str, Any],
        task: Mapping[str, Tensor],
        *,
        copied: bool = False,
    ) -> Content:
        """The current content. copied: whether it is a copy on the CPU; otherwise later steps may change it.

        Of a sharded model the task's tensors are always copied, as they are written only once all ranks have met.
        """
        copies_task = copied or are_sharded(parameters.values())
        parts = {"weights": parameters, "optimiser": _optimiser_tensors(parameters, optimiser)}
        return cls(
            step,
            own_slices(parts, copied=copied),
            {name: tensor.detach().to("cpu", copy=True) for name, tensor in task.items()} if copies_task else task,
            json.dumps({"step": step, **state}, indent=2),
        )


def tensors_of(parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """The weights and moments that a checkpoint keeps."""
    return [*parameters.values(), *_optimiser_tensors(parameters, optimiser).values()]


def save_checkpoint(folder: Path, content: Content, *, keep: int) -> Path:
    """Write `folder/step-N` and remove all but the `keep` newest. Raises OSError when the disk is full.

    For a single writer. Ranks that each hold shards fill a `new_checkpoint` and `complete` it.
    """
    with new_checkpoint(folder, content.step, keep=keep) as scratch:
        if scratch is not None:
            complete(scratch, content, write_slices(scratch, content.slices))
    return folder / f"step-{content.step}"


@contextmanager
def new_checkpoint(folder: Path, step: int, *, keep: int) -> Iterator[Path | None]:
    """A folder to fill; at the end it becomes `folder/step-N`, and all but the `keep` newest are removed.

    None if that step is already saved, as its content is the same. An interrupted write leaves only a folder starting
    with a dot, which is never read and is removed later. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_scratch(folder)
    target = folder / f"step-{step}"
    if target.exists() and not _fault(target):
        yield None
        return
    with replacing_folder(target) as scratch:
        yield scratch
    found = _by_step(folder)
    newest = found.index(target)  # later checkpoints were damaged, or this run would have started there
    for stale in (*found[:newest], *found[newest + keep :]):
        shutil.rmtree(stale)


def complete(scratch: Path, content: Content, slices: Mapping[str, Fingerprint]) -> None:
    """Add the task's tensors, the state and the manifest to the written slices. Raises OSError."""
    save_file(on_cpu(content.task), scratch / "task.safetensors")
    (scratch / "state.json").write_text(content.state, encoding="utf-8")
    manifest = {**slices, **{name: fingerprint(scratch / name) for name in WRITTEN}}
    (scratch / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")


def checkpoint_faults(folder: Path) -> dict[str, str]:
    """The fault of each checkpoint in the folder, by name, newest first; "" if it verifies."""
    return {checkpoint.name: _fault(checkpoint) for checkpoint in _by_step(folder)}


def newest_checkpoint(folder: Path, say: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
    """The newest checkpoint that verifies; reports each one skipped. None if there is none."""
    for candidate in _by_step(folder):
        fault = _fault(candidate)
        if not fault:
            return Checkpoint(candidate, json.loads((candidate / "state.json").read_text(encoding="utf-8")))
        say(f"skipped checkpoint {candidate.name}: {fault}")
    return None


def _fault(checkpoint: Path) -> str:
    """The fault of a checkpoint folder, or "" if it verifies."""
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text(encoding="utf-8"))
        damaged = [name for name, expected in manifest.items() if fingerprint(checkpoint / name) != expected]
    except (OSError, ValueError, AttributeError) as error:
        return f"it is incomplete ({error})"
    if damaged or not set(manifest) >= WRITTEN or not all(are_whole(stem, manifest) for stem in IN_SLICES):
        return f"{', '.join(damaged) or 'its manifest'} is damaged"
    return ""


def restore(
    checkpoint: Checkpoint, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Load a checkpoint's tensors into the parameters and the optimiser, bit for bit; returns the task's."""
    assert names_in_slices(checkpoint.folder, "weights") == set(parameters), "exactly the trained parameters"
    read_slices(parameters, checkpoint.folder, "weights")
    moments: dict[str, Tensor] = {}
    counts: dict[tuple[torch.nn.Parameter, str], Tensor] = {}
    for key in names_in_slices(checkpoint.folder, "optimiser"):
        name, slot = key.rsplit("/", 1)
        parameter = parameters[name]
        kept = optimiser.state[parameter].get(slot)
        if isinstance(kept, Tensor):  # 8-bit moments have their own shape and dtype
            moments[key] = kept
        elif isinstance(kept, int):
            moments[key] = counts[parameter, slot] = torch.zeros((), dtype=torch.int64)
        elif slot == "step":
            device = parameter.device if optimiser.defaults.get("fused") else "cpu"
            moments[key] = torch.zeros((), device=device)
        else:
            moments[key] = torch.zeros_like(parameter, requires_grad=False)
        optimiser.state[parameter][slot] = moments[key]
    read_slices(moments, checkpoint.folder, "optimiser")
    for (parameter, slot), count in counts.items():
        optimiser.state[parameter][slot] = int(count)
    of_the_task: dict[str, Tensor] = load_file(checkpoint.folder / "task.safetensors")
    return of_the_task


def _optimiser_tensors(
    parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    return {
        f"{name}/{slot}": torch.as_tensor(value).detach()
        for name, parameter in parameters.items()
        for slot, value in optimiser.state.get(parameter, {}).items()
        if slot not in CONSTANT
    }


def _by_step(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    found = [p for p in folder.glob("step-*") if p.is_dir() and STEP.fullmatch(p.name)]
    return sorted(found, key=lambda p: int(p.name.removeprefix("step-")), reverse=True)
