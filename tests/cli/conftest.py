"""Runs the command as its entry point does, in this process, and returns what a user would see."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from penchant.cli import main as module

APP = module.app


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def penchant(tmp_path_factory) -> Iterator[Callable[..., Result]]:
    """`penchant("dpo", "--data", path)` with a cache of its own and no settings from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PENCHANT_")]:
            patch.delenv(name)
        patch.setenv("PENCHANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "120")
        yield invoke


@cache
def program() -> Callable[..., object]:
    """The commands with their hundreds of options, made once: a tenth of a second that a process pays once as well."""
    return get_command(APP)


def invoke(*arguments: str | Path) -> Result:
    """Run the command with these arguments."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["penchant", *map(str, arguments)])
        if module.app is APP:
            patch.setattr(module, "app", program())
        try:
            module.main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
        finally:
            torch.set_flush_denormal(False)  # the command's process has it for itself; other tests need subnormals
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def make_run(stories260k, tmp_path_factory) -> Callable[..., Path]:
    """`make_run(lora=True)`: a finished run folder whose policy is the story model, moved a little; no training."""

    def make(*, lora: bool) -> Path:
        from penchant.models import adapters
        from penchant.models.digests import weights_digest
        from penchant.models.load import load_model
        from penchant.models.numerics import choose_numerics
        from penchant.models.saving import save_model

        model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain", share=False)
        if lora:
            adapters.attach(model, 4, 8.0, (), seed=0)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
        folder = tmp_path_factory.mktemp("runs") / "run"
        save_model(model, folder / "model")
        config = {
            "model": {"name": str(stories260k), "reference": None},
            "data": {"max_length": 256},
            "dpo": {"objective": "dpo", "beta": 0.2},
        }
        ledger = {"command": "dpo", "config": config, "reference_digest": weights_digest(stories260k)}
        (folder / "run.json").write_text(json.dumps(ledger), encoding="utf-8")
        return folder

    made: dict[bool, Path] = {}
    return lambda *, lora: made[lora] if lora in made else made.setdefault(lora, make(lora=lora))
