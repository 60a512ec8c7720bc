"""Tensors that lie in slices on several ranks come back from their files bit for bit, whoever reads them."""

import pytest
import torch
from torch import nn

from penchant import ranks
from penchant.models.sharded import are_sharded, whole
from penchant.models.slices import are_whole, names_in_slices, read_slices, write_together


class Odd(nn.Module):
    """Rows that do not divide by the ranks, fewer rows than there are, and no rows at all."""

    def __init__(self, seed):
        super().__init__()
        own = torch.Generator().manual_seed(seed)  # ranks are threads, which share the global one
        self.five, self.one = (
            nn.Parameter(torch.randn(5, 3, generator=own)),
            nn.Parameter(torch.randn(1, generator=own)),
        )
        self.scalar = nn.Parameter(torch.randn((), generator=own), requires_grad=False)

    def tensors(self):
        return dict(self.named_parameters())


def cut(seed):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    module = Odd(seed)
    return fully_shard(module, mesh=init_device_mesh("cpu", (ranks.size(),)), ignored_params={module.scalar})


def written(in_ranks, folder, size):
    """The names of the files in which so many ranks wrote the module of seed 0."""

    def work(rank):
        tensors = cut(0).tensors()
        assert are_sharded(tensors.values())
        return write_together(folder if rank == 0 else None, {"weights": tensors})

    folder.mkdir()
    told = in_ranks(size, work)
    assert all(one == told[0] for one in told), told
    return set(told[0])


def test_slices_are_read_by_any_number_of_ranks_whoever_wrote_them(in_ranks, tmp_path):
    expected = {name: tensor.detach() for name, tensor in Odd(0).tensors().items()}
    for size in (2, 3):
        names = written(in_ranks, tmp_path / f"by-{size}", size)
        assert names == {f"weights-0000{i + 1}-of-0000{size}.safetensors" for i in range(size)}
        assert are_whole("weights", names)
        assert not are_whole("weights", sorted(names)[1:])
    (tmp_path / "by-1").mkdir()
    assert set(write_together(tmp_path / "by-1", {"weights": expected})) == {"weights.safetensors"}

    for folder in sorted(tmp_path.iterdir()):
        assert names_in_slices(folder, "weights") == set(expected)
        assert names_in_slices(folder, "optimiser") == set()
        alone = Odd(1).tensors()
        read_slices(alone, folder, "weights")
        for size in (2, 3):

            def work(_, folder=folder):
                tensors = cut(1).tensors()
                read_slices(tensors, folder, "weights")
                with ranks.all_together():
                    return {name: whole(tensor) for name, tensor in tensors.items()}

            for found in (alone, *in_ranks(size, work)):
                assert isinstance(found, dict), found
                assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_rank_writes_what_it_holds_and_nothing_else(in_ranks, tmp_path):
    from safetensors.torch import load_file

    written(in_ranks, tmp_path / "slices", 2)
    first, second = (load_file(file) for file in sorted((tmp_path / "slices").iterdir()))
    assert {name: list(tensor.shape) for name, tensor in first.items()} == {"five": [3, 3], "one": [1], "scalar": []}
    assert {name: list(tensor.shape) for name, tensor in second.items()} == {"five": [2, 3]}


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_pytorch_reads_the_files_too(in_ranks, tmp_path):
    checkpoint = pytest.importorskip("torch.distributed.checkpoint")
    storage = pytest.importorskip("torch.distributed.checkpoint.hf_storage")
    written(in_ranks, tmp_path / "slices", 3)
    expected = Odd(0).tensors()
    found = {name: torch.zeros_like(tensor) for name, tensor in expected.items()}
    reader = storage.HuggingFaceStorageReader(str(tmp_path / "slices"))
    checkpoint.load(found, storage_reader=reader, no_dist=True)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
