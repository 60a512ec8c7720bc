"""Fixtures every room's tests use."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread_for_tiny_models(request):
    """Tiny matrices are slower on several threads than on one; tests with the real model take all there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if request.node.get_closest_marker("slow") else 1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and a real tiny model beside the checkout; tests that need them skip where they are absent."""
    path = Path(__file__).resolve().parents[1] / ".." / "shared"
    if not path.is_dir():
        pytest.skip("needs the folder ../shared with real data, which is not part of the project")
    return path.resolve()


@pytest.fixture(scope="session")
def stories260k(shared: Path) -> Path:
    """A real 260K-parameter story model (Llama architecture), small enough for end-to-end tests in milliseconds."""
    return shared / "models" / "stories260k"
