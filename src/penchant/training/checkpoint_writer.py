"""Checkpoints written during training: copied at the end of a step, written by a thread, complete or absent.

Ranks communicate only in the training thread, never in the writing one. Each rank writes its own shards; the checkpoint
gets its name between two later steps, once all ranks have written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from penchant import ranks
from penchant.files.whole import sync_file, write_atomically
from penchant.models.devices import free_memory, held_bytes
from penchant.models.numerics import process_peak_bytes
from penchant.models.sharded import are_sharded, own_slice
from penchant.models.slices import Fingerprint, write_slices
from penchant.training.background import Background
from penchant.training.checkpoint import Content, complete, new_checkpoint, save_checkpoint, tensors_of

__all__ = ["CheckpointWriter", "wait_for_writers"]

T = TypeVar("T")

SHARE_OF_FREE = 0.5
"""The share of the free memory that a copy may take; the rest is for training and other programs."""
PATIENCE_SECONDS = 60.0
"""How long the first rank of a failed run waits for the shards of the others, from when they last grew."""
_LIVE: WeakKeyDictionary[Background[Any], Path] = WeakKeyDictionary()
"""The folder that each piece of writing in this process is for, while it is going on or kept."""


def wait_for_writers(folder: Path) -> None:
    """Wait until no thread of this process writes a checkpoint into the folder.

    After a second Ctrl-C a notebook's process lives on, and so does the thread that writes.
    """
    for writing, place in list(_LIVE.items()):
        if place == folder.resolve():
            writing.wait()


def _writing_behind(folder: Path, work: Callable[[], T]) -> Background[T]:
    begun = Background(work)
    _LIVE[begun] = folder.resolve()
    return begun


def _free_at_peak() -> float:
    """The free memory when the process holds as much as it ever did, as it will again in the next step.

    Between two steps there are no activations, and on a CPU their memory has gone back to the system.
    """
    return free_memory() - max(0.0, process_peak_bytes() - held_bytes())


class CheckpointWriter:
    """Writes the checkpoints of one run, at most one at a time.

    Every rank has one, and all call its methods at the same points of the run. Only the first rank writes a replicated
    model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writing: Background[Path] | _InSlices | None = None

    def begin(
        self,
        step: int,
        parameters: Mapping[str, torch.nn.Parameter],
        optimiser: torch.optim.Optimizer,
        state: Mapping[str, Any],
        task: Mapping[str, Tensor],
        *,
        keep: int,
    ) -> None:
        """Start writing the checkpoint of this step; later steps do not change it. keep: how many stay on disk.

        Waits for the previous one first. If the free memory is too small for a copy, returns only once this one is
        written. Raises OSError, also for the previous one.
        """
        self.settle()
        in_slices = are_sharded(parameters.values())
        if not in_slices and not ranks.is_first():
            return
        held = (*tensors_of(parameters, optimiser), *task.values())
        has_room = sum(own_slice(tensor).nbytes for tensor in held) <= SHARE_OF_FREE * _free_at_peak()
        with nullcontext() if in_slices else ranks.by_itself():
            content = Content.of(step, parameters, optimiser, state, task, copied=has_room)
        if in_slices:
            self._writing = _InSlices(self.folder, content, keep)
        else:
            self._writing = _writing_behind(self.folder, partial(save_checkpoint, self.folder, content, keep=keep))
        if not has_room:
            self._writing.wait()

    def settle(self, *, wait: bool = True) -> None:
        """Finish the checkpoint being written, if any. Raises OSError if it could not be written.

        wait: whether to wait for it; otherwise it is finished only if all ranks have written.
        """
        if self._writing is not None and (wait or self._writing.is_done()):
            writing, self._writing = self._writing, None
            writing.finish()

    def let_go(self) -> None:
        """Wait for what this rank is writing, without raising its exception: for a run that has failed.

        The other ranks can no longer be asked, so a sharded checkpoint is completed only if their files appear; they
        are waited for as long as they grow.
        """
        writing, self._writing = self._writing, None
        if isinstance(writing, _InSlices):
            writing.finish_unasked()
        elif writing is not None:
            writing.wait()


class _InSlices:
    """A checkpoint of which every rank writes its own part; all ranks must construct and finish it together."""

    def __init__(self, folder: Path, content: Content, keep: int) -> None:
        self._content, self._open = content, ExitStack()

        def begun() -> str | None:
            place = self._open.enter_context(new_checkpoint(folder, content.step, keep=keep))
            return None if place is None else str(place)

        told = ranks.first(begun)
        self._place = None if told is None else Path(told)
        self._parts = [f"part-{number + 1}-of-{ranks.size()}.json" for number in range(ranks.size())]
        self._own_part = self._parts[ranks.rank()]
        self._own = _writing_behind(folder, self._write)

    def is_done(self) -> bool:
        return all(ranks.gather(self._own.is_done()))

    def wait(self) -> None:
        self._own.wait()

    def finish(self) -> None:
        with self._open:
            self._complete(ranks.gather(self._own.finish()))

    def finish_unasked(self) -> None:
        """Complete it if all parts are on disk, or else remove it; only the first rank acts."""
        self._own.wait()
        if self._place is None or not ranks.is_first():
            return
        parts, most, end = [self._place / name for name in self._parts], -1, 0.0
        with suppress(Exception), self._open:  # the run has an error of its own
            while not all(part.is_file() for part in parts):
                if (size := _size_of(self._place)) > most:
                    most, end = size, time.monotonic() + PATIENCE_SECONDS
                if time.monotonic() > end:
                    raise _GivenUp
                time.sleep(0.05)
            self._complete([json.loads(part.read_text(encoding="utf-8")) for part in parts])

    def _complete(self, written: Sequence[Mapping[str, Fingerprint]]) -> None:
        if self._place is not None and ranks.is_first():
            for name in self._parts:
                (self._place / name).unlink(missing_ok=True)
            complete(self._place, self._content, {name: mark for part in written for name, mark in part.items()})

    def _write(self) -> dict[str, Fingerprint]:
        if self._place is None:  # already saved
            return {}
        written = write_slices(self._place, self._content.slices)
        for name in written:
            sync_file(self._place / name)
        write_atomically(self._place / self._own_part, json.dumps(written))
        return written


def _size_of(folder: Path) -> int:
    """The bytes of the files in a folder, which others rename meanwhile."""
    size = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


class _GivenUp(Exception):
    """Raised to remove a checkpoint that cannot be completed."""
