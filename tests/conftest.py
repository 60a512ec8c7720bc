"""Fixtures every room's tests use."""

from pathlib import Path

import pytest
import torch

NUM_THREADS = torch.get_num_threads()
torch.set_num_threads(1)  # tiny matrices are slower on several threads; module fixtures must not differ from tests


@pytest.fixture(autouse=True)
def _all_threads_for_the_real_model(request):
    """Slow tests take what there is."""
    torch.set_num_threads(NUM_THREADS if request.node.get_closest_marker("slow") else 1)


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
