"""Linear layers whose weights are 4-bit numbers: the frozen base under an adapter (QLoRA, arXiv 2305.14314, section 3).

bitsandbytes quantises and multiplies. Its own layer is not used: on some CPUs it computes in bfloat16 without
gradients, so that reference and initial policy would differ; and peft merges into the rounded weights, whereas
`dequantise` gives a plain model that takes the adapter exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from penchant.errors import ConfigError, ModelError
from penchant.extras import needing
from penchant.models.building import without_fetched_code
from penchant.models.digests import QUANTISATION
from penchant.wording import shown

__all__ = [
    "NF4_BYTES",
    "Nf4Linear",
    "bitsandbytes",
    "dequantise",
    "is_quantised",
    "linears",
    "quantise",
    "says_quantised",
    "write_record",
]

BLOCK, BLOCK_OF_SCALES = 64, 256
NF4_BYTES = 1 / 2 + (1 + 4 / BLOCK_OF_SCALES) / BLOCK
"""Bytes per weight: four bits, its share of the block's 8-bit scale, and of the float32 scale of scales."""
NF4 = {
    "quant_method": "bitsandbytes",
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
}


def bitsandbytes(setting: str) -> Any:
    """Import the package, required by `setting`. Raises ConfigError if it is not installed."""
    with without_fetched_code(), needing("quantised", setting):
        import bitsandbytes
    return bitsandbytes


class Nf4Linear(nn.Linear):
    """A frozen linear layer whose weight is NF4 in blocks of 64, with their scales in 8 bits (double quantisation).

    weight: two numbers to a byte, uint8 (out, in / 2). state: bitsandbytes' scales. It computes
    `x @ dequantised().T + bias`, in the precision of x, or that of autocast.
    """

    def __init__(self, linear: nn.Linear, device: torch.device) -> None:
        nn.Module.__init__(self)  # skips allocating a dense weight
        self._bnb = bitsandbytes("model.quantisation")
        self.in_features, self.out_features = linear.in_features, linear.out_features
        packed, self.state = self._bnb.functional.quantize_4bit(
            linear.weight.detach().to(device), blocksize=BLOCK, compress_statistics=True, quant_type="nf4"
        )
        self.weight = nn.Parameter(packed.view(self.out_features, -1), requires_grad=False)
        self.register_parameter("bias", linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        bias = None if self.bias is None else self.bias.to(x.dtype)
        product: Tensor = self._bnb.matmul_4bit(x, self.weight, self.state, bias=bias)
        return product

    def dequantised(self) -> Tensor:
        """The effective weight, float32 (out, in)."""
        weight: Tensor = self._bnb.functional.dequantize_4bit(self.weight.view(-1, 1), self.state)
        return weight

    def dense(self) -> nn.Linear:
        """A plain layer that computes the same."""
        linear = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        linear.weight = nn.Parameter(self.dequantised(), requires_grad=False)
        linear.register_parameter("bias", self.bias)
        return linear

    def __deepcopy__(self, memo: dict[int, Any]) -> Nf4Linear:
        """The same layer, as it is never trained, and copies of a model share untrained parts."""
        return self


def linears(network: Any) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """The linear layers to quantise, all except the head, with their owners and names.

    Only layers of exactly that class, as other code may read the weight directly. Layers of odd width, whose rows would
    share a byte, are left out too.
    """
    heads = (network.get_output_embeddings(), getattr(network, "score", None))
    for owner in network.modules():
        for name, child in owner.named_children():
            if type(child) is nn.Linear and child.in_features % 2 == 0 and not any(child is head for head in heads):
                yield owner, name, child


def quantise(network: Any, device: torch.device) -> None:
    """Replace linear layers on the device by 4-bit ones, one after another.

    Embeddings, norms and the head stay. Raises ConfigError for a network without linear layers, or without the package.
    """
    found = list(linears(network))
    if not found:
        raise ConfigError(
            f"model.quantisation: a {type(network).__name__} has no linear layers (torch.nn.Linear) besides its head; "
            "leave it out"
        )
    while found:
        owner, name, linear = found.pop()
        setattr(owner, name, Nf4Linear(linear, device))


def dequantise(network: nn.Module) -> None:
    """Replace 4-bit layers by equivalent plain float32 layers, also under adapters."""
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, Nf4Linear):
                setattr(owner, name, child.dense())


def is_quantised(network: nn.Module) -> bool:
    """Whether any of its layers has 4-bit weights."""
    return any(isinstance(module, Nf4Linear) for module in network.modules())


def write_record(folder: Path) -> None:
    """Record beside an adapter that its base is quantised. Raises OSError."""
    (folder / QUANTISATION).write_text(json.dumps(NF4, indent=2) + "\n", encoding="utf-8")


def says_quantised(folder: Path) -> bool:
    """Whether the adapter in this folder was trained on a quantised base. Raises ModelError for another kind."""
    file = folder / QUANTISATION
    if not file.is_file():
        return False
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read as JSON ({error}); fetch the adapter again") from error
    if said != NF4:
        raise ModelError(
            f"{file}: says that the base is quantised as {shown(said)}, but only NF4 can be read; use another adapter"
        )
    return True
