"""The weight types of GGUF files, and the rounding of weights to them."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from torch import Tensor

__all__ = ["FILE_TYPES", "PRECISION", "TYPES", "rounded", "stored"]

OF_MATRICES = {"f32": Type.F32, "f16": Type.F16, "q8_0": Type.Q8_0}
TYPES = tuple(OF_MATRICES)
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
PRECISION = {"f32": torch.float32, "f16": torch.float16, "q8_0": torch.bfloat16}
"""A dtype of the same precision: q8_0 has 127 steps up to the largest of 32 weights, bfloat16 128 from 1 to 2."""


def stored(weight: Tensor, kind: str) -> tuple[np.ndarray[Any, Any], Type]:
    """A weight as stored, with its type: vectors are float32, and f16 is used if rows are no whole q8_0 blocks.

    llama.cpp's own converter does the same.
    """
    array = np.ascontiguousarray(weight.detach().to("cpu", torch.float32).numpy())
    of = OF_MATRICES[kind] if weight.ndim > 1 else Type.F32
    if array.shape[-1] % gguf.GGML_QUANT_SIZES[of][0]:
        of = Type.F16
    with np.errstate(over="ignore"):  # values too large for f16 become infinite, which the comparison detects
        return gguf.quantize(array, of), of


def rounded(weight: Tensor, kind: str) -> Tensor:
    """The weight that a reader of the file gets, float32."""
    return torch.from_numpy(gguf.dequantize(*stored(weight, kind))).reshape(weight.shape)
