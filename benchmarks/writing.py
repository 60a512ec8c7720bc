"""What folding an adapter and rounding the weights do to log-probs, and what reading a written model back takes.

    python benchmarks/writing.py --model smollm2-135m

The adapter is of rank 16 on every linear layer, with random weights. The figures in docs/provenance.md are from here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from common import table
from penchant.models import adapters
from penchant.models.load import load_model
from penchant.models.merging import merge_adapter, round_weights
from penchant.models.numerics import choose_numerics
from penchant.models.saving import require_written, save_model
from penchant.models.written import Probe


def main() -> None:
    parser = argparse.ArgumentParser(description="What folding and rounding do to log-probs.")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", help="'plain', or a Jinja template's text")
    options = parser.parse_args()
    model = load_model(options.model, choose_numerics("cpu", "float32"), chat_template=options.chat_template)
    adapters.attach(model, 16, 32.0, (), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.01)
    before = Probe.of(model.network)
    merge_adapter(model)
    after = before.again(model.network)
    rows = [("fold, float32", f"{before.gap(after):.1e}", f"{before.tolerance():.1e}")]
    weights = {name: weight.clone() for name, weight in model.network.state_dict().items()}
    for dtype in (torch.float16, torch.bfloat16):
        round_weights(model.network, dtype)
        gap = after.gap(after.again(model.network))
        rows.append((f"round to {str(dtype).removeprefix('torch.')}", f"{gap:.1e}", f"{after.tolerance(dtype):.1e}"))
        model.network.load_state_dict(weights)
    print(table(("what", "largest change, nats", "tolerance, nats"), rows))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        save_model(model, folder)
        begin = time.perf_counter()
        require_written(model.network, folder, folder)
        print(f"\nread back and compared in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
