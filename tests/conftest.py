"""Fixtures every room's tests use."""

import gc
import os
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("steady", deadline=None)  # how long an example takes decides nothing
settings.load_profile("steady")
NUM_THREADS = torch.get_num_threads()
torch.set_num_threads(1)  # tiny matrices are slower on several threads; module fixtures must not differ from tests


CACHE = os.environ.get("PENCHANT_CACHE")
NOT_RUN: dict[str, int] = {}
STAYING: set[str] = set()
"""Modules that no test wrote; there are thousands, so each is looked at once."""


@pytest.fixture(autouse=True)
def _denormals_stay_what_they_are():
    """A command has its process for itself and flushes them; in this process other tests, and hypothesis, need them."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _modules_of_a_test_go_with_it(tmp_path_factory):
    """What a test wrote and imported, such as a judge of its own, another test would find again under its name."""
    path, before = sys.path.copy(), _newest_module()
    yield
    sys.path[:] = path
    if _newest_module() == before:  # most tests import nothing, and to look through all takes longer than many run
        return
    written = str(tmp_path_factory.getbasetemp())
    for name in sys.modules.keys() - STAYING:  # a fixture of a whole file may have imported it before this one
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(written):
            del sys.modules[name]
        else:
            STAYING.add(name)


def _newest_module():
    """What changes with every import: how many modules there are, and the last of them."""
    return len(sys.modules), next(reversed(sys.modules))


@pytest.fixture(autouse=True)
def _the_real_model_has_what_there_is(request, monkeypatch):
    """Slow tests take all threads and the user's own cache, whatever another has set; slow(threads=1) is only long."""
    slow = request.node.get_closest_marker("slow")
    torch.set_num_threads(slow.kwargs.get("threads", NUM_THREADS) if slow else 1)
    if slow is None or slow.kwargs:
        return
    if CACHE is None:
        monkeypatch.delenv("PENCHANT_CACHE", raising=False)
    else:
        monkeypatch.setenv("PENCHANT_CACHE", CACHE)


def pytest_runtest_setup(item):
    """What only a GPU computes is not tried elsewhere; docs/gpu.md says what that is."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a GPU, and PyTorch sees none through CUDA")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Files with long tests come first, so that no worker has one left when the others are done."""
    with_long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in with_long)


def pytest_collection_finish():
    """What importing made stays, so the collector need not look at these millions of objects again and again."""
    gc.freeze()


def pytest_deselected(items):
    """Every worker collects all tests; the first to say how many it left out is believed."""
    NOT_RUN.setdefault("asked to leave out", len(items))


def pytest_sessionfinish(session):
    """A worker tells the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_run"] = NOT_RUN


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Of a worker that ends."""
    NOT_RUN.update(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_terminal_summary(terminalreporter):
    """Skipped tests as a count for each reason, not a line each; and how many were left out by -m or -k."""
    reasons = Counter(
        str(report.longrepr[-1]).removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped")
    )
    if num := NOT_RUN.get("asked to leave out"):
        marks = terminalreporter.config.getoption("markexpr")
        reasons[f"left out by {f'-m {marks!r}' if marks else 'what was asked for'}; `make test-all` runs them"] = num
    if reasons:
        terminalreporter.section("skipped")
        for reason, number in reasons.most_common():
            terminalreporter.line(f"{number:>5}  {reason}")


@pytest.fixture
def add_package(tmp_path, monkeypatch):
    """Installs a tiny package for the test: its metadata with entry points, and its modules, on Python's path."""
    modules = set(sys.modules)

    def add(name: str, entry_points: dict[str, dict[str, str]], **sources: str) -> Path:
        site = tmp_path / f"site-{name}"
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = [
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in row.items()) for group, row in entry_points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))
        for module, source in sources.items():
            (site / f"{module}.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(site)
        return site

    yield add
    for module in set(sys.modules) - modules:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and a real tiny model beside the checkout; tests that need them skip where they are absent."""
    root = Path(__file__).resolve().parents[1]
    if root.name == "mutants" and (root.parent / "pyproject.toml").is_file():  # the copy that `make mutation` tests
        root = root.parent
    path = root.parent / "shared"
    if not path.is_dir():
        pytest.skip("needs the folder ../shared with real data, which is not part of the project")
    return path


@pytest.fixture(scope="session")
def stories260k(shared: Path) -> Path:
    """A real 260K-parameter story model (Llama architecture), small enough for end-to-end tests in milliseconds."""
    return shared / "models" / "stories260k"


@pytest.fixture(scope="session")
def in_ranks():
    """`in_ranks(3, work)`: what `work(rank)` returns on each of three ranks, or the exception that it raises there.

    The ranks are threads of this process, each of which torch.distributed takes for a rank of its own.
    """
    return _in_ranks


def _in_ranks(size, work):
    import torch.distributed as dist
    from torch.testing._internal.distributed.multi_threaded_pg import _install_threaded_pg, _uninstall_threaded_pg

    from penchant import ranks

    results = [None] * size
    store = dist.HashStore()

    def run(rank):
        torch.set_num_threads(1)  # each thread has its own number
        dist.init_process_group("threaded", rank=rank, world_size=size, store=store)
        try:
            with ranks.telling():
                results[rank] = work(rank)
        except BaseException as error:
            results[rank] = error
        finally:
            dist.destroy_process_group()

    torch._C._distributed_c10d._set_thread_isolation_mode(True)
    _install_threaded_pg()
    try:
        threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=300)
            assert not thread.is_alive(), "a rank waits for others, or takes five minutes"
    finally:
        _uninstall_threaded_pg()
        torch._C._distributed_c10d._set_thread_isolation_mode(False)
    return results
