"""Many processes that are one run: which of them this is, and what all of them say together.

torchrun starts the processes, torch.distributed carries what they say. Every rank takes the same way through the run
and meets the others in `gather`, which all that is said here is made of; alone, each of these functions is the
identity. A rank that fails says so where the others next meet, so that all end with its one sentence. What is told is
JSON, never pickle. PyTorch is imported where there are several.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from penchant import errors
from penchant.errors import ConfigError, PenchantError, TrainingError
from penchant.meeting import meet
from penchant.process import num_processes
from penchant.wording import reason_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "add_up",
    "all_together",
    "by_itself",
    "collect",
    "concatenate",
    "dealt",
    "first",
    "first_goes_ahead",
    "gather",
    "is_first",
    "joined",
    "pooled",
    "rank",
    "require_same",
    "share",
    "size",
    "telling",
    "when_others_work",
    "work_together",
]

T = TypeVar("T")
U = TypeVar("U")
PATIENCE = timedelta(hours=12)
"""That a rank waits for another at most: one may ask a judge for hours. Who has ended is noticed at once."""
SECONDS_BETWEEN_MEETINGS = 1.0
INTERRUPTIONS = ("KeyboardInterrupt", "Interrupted")
"""By their names, as they are told."""
_ALONE: ContextVar[bool] = ContextVar("works by itself", default=False)
VALUE, FAILED, WORK = 0, 1, 2
"""What a rank says when all meet: something, that it has failed, or that it does work in which all must take part."""
_OF_RANK: ContextVar[Callable[[str], None] | None] = ContextVar("takes part when others work", default=None)
_IN_WORK: ContextVar[bool] = ContextVar("what was said last is that all work", default=False)


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes that torchrun started are ranks of one run; what ends one of them ends all.

    Does nothing in a process that is alone, or joined already. Raises ConfigError where they do not find each other.
    """
    if num_processes() == 1 or _are_joined():
        yield
        return
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    store, own, num = meet(PATIENCE)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=own, world_size=num, timeout=PATIENCE)
    try:
        with telling():
            yield
    finally:
        dist.destroy_process_group()


@contextmanager
def telling() -> Iterator[None]:
    """What is raised inside is told to the other ranks, where they next meet.

    Not what is raised in work in which all take part: who fails there ends, and the others notice.
    """
    try:
        yield
    except BaseException as error:
        if _IN_WORK.get():  # the others are in the midst of a sum, and hear only that this one has ended
            if _is_broken_connection(error):
                raise _another_has_ended(error) from error
        elif not _known_to_all(error):
            _tell_of(error)
        raise


def _are_joined() -> bool:
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and bool(distributed.is_initialized())


def rank() -> int:
    """Which rank this process is, from 0."""
    return int(sys.modules["torch.distributed"].get_rank()) if _are_joined() and not _ALONE.get() else 0


def size() -> int:
    """How many ranks there are; 1 for a process that is alone, or works by itself."""
    return int(sys.modules["torch.distributed"].get_world_size()) if _are_joined() and not _ALONE.get() else 1


@contextmanager
def by_itself() -> Iterator[None]:
    """Inside, this rank is as one that is alone: what it does there, the others do not do beside it."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def is_first() -> bool:
    """Whether this rank is the one that writes, prints and decides by the clock."""
    return rank() == 0


def gather(value: T) -> list[T]:
    """The value of every rank, in order; of values that JSON can hold. Raises what another rank has failed with."""
    if size() == 1:
        return [value]
    while True:
        kinds, texts = _exchange(json.dumps(value))
        if WORK not in kinds:
            return [json.loads(text) for text in texts]
        take_part = _OF_RANK.get()
        assert take_part is not None, "all ranks say how they take part before one of them works"
        take_part(json.loads(texts[kinds.index(WORK)]))


def when_others_work(helper: Callable[[str], None]) -> None:
    """Let this rank take part by `helper`, which is told what, where another works and this one waits in `gather`."""
    _OF_RANK.set(helper)


def work_together(what: str) -> None:
    """Say that this rank does `what` now; all that wait take part, and all others must do the same.

    Also inside `first` and `share`, where the others wait, or work too.
    """
    before = _ALONE.set(False)
    try:
        kinds, texts = _exchange(json.dumps(what), WORK)
    finally:
        _ALONE.reset(before)
    assert {text for kind, text in zip(kinds, texts, strict=True) if kind == WORK} == {json.dumps(what)}


def first(find: Callable[[], T]) -> T:
    """What the first rank finds; the others wait and are told."""
    found = None
    if is_first():
        with by_itself():
            found = find()
    return gather(found)[0]  # type: ignore[return-value]


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """What is inside is done by the first rank before the others, who then find what it fetched or cached."""
    if not is_first():
        gather(None)
    yield
    if is_first():
        gather(None)


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all ranks, which is the same bits on each."""
    if size() > 1:
        import torch.distributed as dist

        with all_together():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()


@contextmanager
def all_together() -> Iterator[None]:
    """Inside, every rank does the same sums over all; they meet before, so that none fails instead."""
    gather(None)
    with _broken_connections_explained():
        yield


def concatenate(own: Tensor) -> tuple[Tensor, slice]:
    """The tensors of all ranks, one after another, and where this rank's own lies in them; of numbers, (N,)."""
    if size() == 1:
        return own, slice(None)
    parts = gather(own.tolist())
    begin = sum(map(len, parts[: rank()]))
    return own.new_tensor([number for part in parts for number in part]), slice(begin, begin + len(own))


def dealt(items: Sequence[T]) -> Sequence[T]:
    """Those of the items that fall to this rank, dealt out in turn."""
    return items if size() == 1 else [items[i] for i in range(rank(), len(items), size())]


def collect(own: Sequence[T]) -> list[T]:
    """What all ranks made of the items they were dealt, in the order that these had."""
    parts = gather(list(own))
    return [parts[i % size()][i // size()] for i in range(sum(map(len, parts)))]


def share(items: Sequence[T], work: Callable[[Sequence[T]], Iterable[U]]) -> list[U]:
    """What `work` makes of the items, one of each and in order; each rank works by itself on those it is dealt.

    Of values that JSON can hold. Where that of an item depends on those beside it, deal out what stays together.
    """
    if size() == 1:
        return list(work(items))
    own = dealt(items)
    with by_itself():
        made = list(work(own))
    assert len(made) == len(own), "one of each"
    return collect(made)


def pooled(own: Iterable[T]) -> Iterator[T]:
    """What the iterables of all ranks give, on every rank alike, about as it comes; of values that JSON can hold.

    They meet every second or so, and then work on; one whose iterable is at its end waits for the others.
    """
    if size() == 1:
        yield from own
        return
    parts, open_ended = iter(own), True
    while open_ended:
        found, own_goes_on = _for_a_while(parts)
        for values in gather(found):
            yield from values
        open_ended = any(gather(own_goes_on))


def _for_a_while(parts: Iterator[T]) -> tuple[list[T], bool]:
    """What comes until the next meeting, and whether there may be more."""
    found: list[T] = []
    end = time.monotonic() + SECONDS_BETWEEN_MEETINGS
    with by_itself():
        for one in parts:
            found.append(one)
            if time.monotonic() > end:
                return found, True
    return found, False


def require_same(facts: Mapping[str, Any]) -> None:
    """Raise ConfigError where a rank computes from something else than the first; facts: what it is, by its name."""
    every = gather(dict(facts))
    for number, found in enumerate(every):
        if other := [name for name in found if found[name] != every[0].get(name)]:
            raise ConfigError(
                f"process {number + 1} of {size()} has {', '.join(other)} other than the first has; all processes of "
                "a run need the same files"
            )


def _known_to_all(error: BaseException) -> bool:
    """Whether the others need not be told: they told it, or this is how a command ends that is done."""
    if isinstance(error, SystemExit):
        return not error.code
    return getattr(error, "everywhere", False) or getattr(error, "at_once", False)


def _tell_of(error: BaseException) -> None:
    """Let the other ranks end with this error, if they are still there."""
    text = json.dumps([type(error).__name__, str(error) or type(error).__name__])
    with suppress(PenchantError):  # where they are gone
        _exchange(text, FAILED)


def _exchange(text: str, kind: int = VALUE) -> tuple[list[int], list[str]]:
    """Of which kind every rank says something, and what. Raises the error of the first that failed, on the others."""
    import torch
    import torch.distributed as dist

    own = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    with _signals_waiting(), _broken_connections_explained():
        heads = [torch.empty(2, dtype=torch.int64) for _ in range(size())]
        dist.all_gather(heads, torch.tensor([kind, len(own)]))
        longest = max(int(length) for _, length in heads)
        padded = [torch.empty(longest, dtype=torch.uint8) for _ in range(size())]
        dist.all_gather(padded, torch.nn.functional.pad(own, (0, longest - len(own))))
    texts = [bytes(one[: int(head[1])].tolist()).decode() for one, head in zip(padded, heads, strict=True)]
    kinds = [int(head[0]) for head in heads]
    _IN_WORK.set(WORK in kinds)
    if kind != FAILED and FAILED in kinds:
        raise _error_of(kinds.index(FAILED), *json.loads(texts[kinds.index(FAILED)]))
    return kinds, texts


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM wait: a rank that left in the midst of an exchange would be misunderstood."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, lambda number, _frame: heard.append(number)) for number in numbers]
    except ValueError:  # not the main thread, which alone hears them
        yield
        return
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for late in heard[:1]:
            signal.raise_signal(late)


def _error_of(number: int, kind: str, text: str) -> BaseException:
    """What another rank failed with, as this one raises it."""
    if kind in INTERRUPTIONS:
        return _Stopped()
    known = getattr(errors, kind, None)
    error = known(text) if known else TrainingError(f"process {number + 1} of {size()} failed: {kind}: {text}")
    error.everywhere = True
    assert isinstance(error, PenchantError)
    return error


class _Stopped(KeyboardInterrupt):
    """Another rank was interrupted, and so this one is."""

    everywhere = True


@contextmanager
def _broken_connections_explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise _another_has_ended(error) from error


def _is_broken_connection(error: BaseException) -> bool:
    """Whether this is how gloo or NCCL say that another process is gone."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "Connection"))


def _another_has_ended(error: BaseException) -> TrainingError:
    ended = TrainingError(f"another process of the run has ended, so all do ({reason_of(error)})")
    ended.everywhere = True
    return ended
