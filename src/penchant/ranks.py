"""Communication between the processes (ranks) of one run.

torchrun starts the processes, torch.distributed connects them. All ranks take the same path through the run and
synchronise in `gather`, on which all communication here is built; for a single process, each function is the identity.
A failing rank reports its error at the next synchronisation, so that all end with its one sentence. Messages are JSON,
never pickle. PyTorch is imported only with several processes.
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
"""The most time a rank waits for another: one may ask a judge for hours. Ended processes are noticed at once."""
SECONDS_BETWEEN_MEETINGS = 1.0
INTERRUPTIONS = ("KeyboardInterrupt", "Interrupted")
"""Error classes by name, for transmission."""
_ALONE: ContextVar[bool] = ContextVar("works by itself", default=False)
VALUE, FAILED, WORK = 0, 1, 2
"""Kinds of messages: a value, a failure, or work in which all must take part."""
_OF_RANK: ContextVar[Callable[[str], None] | None] = ContextVar("takes part when others work", default=None)
_IN_WORK: ContextVar[bool] = ContextVar("what was said last is that all work", default=False)


@contextmanager
def joined() -> Iterator[None]:
    """A context in which the processes started by torchrun are ranks of one run; an error in one ends all.

    No effect for a single process, or if already joined. Raises ConfigError if they cannot connect.
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
    """A context that reports errors to the other ranks at their next synchronisation.

    Errors in collective work are not reported: the failing rank ends, and the others notice.
    """
    try:
        yield
    except BaseException as error:
        if _IN_WORK.get():  # the others are inside a collective, and only notice that this one has ended
            if _is_broken_connection(error):
                raise _another_has_ended(error) from error
        elif not _known_to_all(error):
            _tell_of(error)
        raise


def _are_joined() -> bool:
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and bool(distributed.is_initialized())


def rank() -> int:
    """The rank of this process, from 0."""
    return int(sys.modules["torch.distributed"].get_rank()) if _are_joined() and not _ALONE.get() else 0


def size() -> int:
    """The number of ranks; 1 for a single process, or inside `by_itself`."""
    return int(sys.modules["torch.distributed"].get_world_size()) if _are_joined() and not _ALONE.get() else 1


@contextmanager
def by_itself() -> Iterator[None]:
    """A context in which this rank acts as a single process, without the others."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def is_first() -> bool:
    """Whether this is the first rank, which writes, prints and makes time-based decisions."""
    return rank() == 0


def gather(value: T) -> list[T]:
    """Return the JSON values of all ranks, in order. Raises another rank's error."""
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
    """Let this rank take part, by `helper(what)`, in another's collective work while it waits in `gather`."""
    _OF_RANK.set(helper)


def work_together(what: str) -> None:
    """Announce that this rank does `what` now; waiting ranks take part, and all others must do the same.

    It may be used inside `first` and `share`, where the others wait or work too.
    """
    before = _ALONE.set(False)
    try:
        kinds, texts = _exchange(json.dumps(what), WORK)
    finally:
        _ALONE.reset(before)
    assert {text for kind, text in zip(kinds, texts, strict=True) if kind == WORK} == {json.dumps(what)}


def first(find: Callable[[], T]) -> T:
    """Run on the first rank only, and return its result on all."""
    found = None
    if is_first():
        with by_itself():
            found = find()
    return gather(found)[0]  # type: ignore[return-value]


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """A context that the first rank runs before the others, which then find its downloads and caches."""
    if not is_first():
        gather(None)
    yield
    if is_first():
        gather(None)


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all ranks, bit-identical on each."""
    if size() > 1:
        import torch.distributed as dist

        with all_together():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()


@contextmanager
def all_together() -> Iterator[None]:
    """A context for the same collectives on every rank; they synchronise first, in case one failed."""
    gather(None)
    with _broken_connections_explained():
        yield


def concatenate(own: Tensor) -> tuple[Tensor, slice]:
    """The concatenated tensors of all ranks, (N,), and the offset of this rank's own."""
    if size() == 1:
        return own, slice(None)
    parts = gather(own.tolist())
    begin = sum(map(len, parts[: rank()]))
    return own.new_tensor([number for part in parts for number in part]), slice(begin, begin + len(own))


def dealt(items: Sequence[T]) -> Sequence[T]:
    """This rank's share of the items, dealt round-robin."""
    return items if size() == 1 else [items[i] for i in range(rank(), len(items), size())]


def collect(own: Sequence[T]) -> list[T]:
    """Collect all ranks' results for dealt items, in the original order."""
    parts = gather(list(own))
    return [parts[i % size()][i // size()] for i in range(sum(map(len, parts)))]


def share(items: Sequence[T], work: Callable[[Sequence[T]], Iterable[U]]) -> list[U]:
    """The results of `work` on all items, in order; each rank works independently on its share.

    Results must be JSON values. If an item's result depends on others, deal out groups instead.
    """
    if size() == 1:
        return list(work(items))
    own = dealt(items)
    with by_itself():
        made = list(work(own))
    assert len(made) == len(own), "one of each"
    return collect(made)


def pooled(own: Iterable[T]) -> Iterator[T]:
    """Merge the iterables of all ranks, identically on every rank, roughly as values arrive; JSON values only.

    They synchronise about every second; a rank whose iterable has ended waits for the others.
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
    """The values until the next synchronisation, and whether there may be more."""
    found: list[T] = []
    end = time.monotonic() + SECONDS_BETWEEN_MEETINGS
    with by_itself():
        for one in parts:
            found.append(one)
            if time.monotonic() > end:
                return found, True
    return found, False


def require_same(facts: Mapping[str, Any]) -> None:
    """Raise ConfigError if a rank's inputs differ from the first's; facts: the inputs, by name."""
    every = gather(dict(facts))
    for number, found in enumerate(every):
        if other := [name for name in found if found[name] != every[0].get(name)]:
            raise ConfigError(
                f"process {number + 1} of {size()} and the first process have different inputs ({', '.join(other)}); "
                "give all processes of a run the same files"
            )


def _known_to_all(error: BaseException) -> bool:
    """Whether an error need not be reported: it came from the others, or is a normal exit."""
    if isinstance(error, SystemExit):
        return not error.code
    return getattr(error, "everywhere", False) or getattr(error, "at_once", False)


def _tell_of(error: BaseException) -> None:
    """Report this error to the other ranks, if they are still running."""
    text = json.dumps([type(error).__name__, str(error) or type(error).__name__])
    with suppress(PenchantError):  # if they are gone
        _exchange(text, FAILED)


def _exchange(text: str, kind: int = VALUE) -> tuple[list[int], list[str]]:
    """Exchange every rank's message kind and value. Raises the first failed rank's error on the others."""
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
    """A context that delays Ctrl-C and SIGTERM, so that no rank leaves in the middle of an exchange."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, lambda number, _frame: heard.append(number)) for number in numbers]
    except ValueError:  # signals are handled only in the main thread
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
    """Another rank's error, as raised by this one."""
    if kind in INTERRUPTIONS:
        return _Stopped()
    known = getattr(errors, kind, None)
    error = known(text) if known else TrainingError(f"process {number + 1} of {size()} failed: {kind}: {text}")
    error.everywhere = True
    assert isinstance(error, PenchantError)
    return error


class _Stopped(KeyboardInterrupt):
    """Another rank was interrupted, so this one is too."""

    everywhere = True


@contextmanager
def _broken_connections_explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise _another_has_ended(error) from error


def _is_broken_connection(error: BaseException) -> bool:
    """Whether this is an error of gloo or NCCL for a lost process."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "Connection"))


def _another_has_ended(error: BaseException) -> TrainingError:
    ended = TrainingError(
        f"another process of the run has ended, so this one ends too ({reason_of(error)}); its own output says why"
    )
    ended.everywhere = True
    return ended
