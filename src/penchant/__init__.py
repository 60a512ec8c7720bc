"""Penchant: turn what people prefer into a better language model.

    import penchant as pt

    model = pt.load("smollm2-135m")
    votes = pt.judge(pt.sample(model, ["How was your day?"]), judge="positivity")
    run = pt.dpo(model, votes, beta=0.1)

Everything is loaded when it is first asked for. What is not listed here lies in packages that list their own public
names: `penchant.data`, `objectives`, `ranking`, `lab`, `feedback` (asking people), `rounds`, `life`.

Errors, each one sentence that says what, where, got, and what to do:

    PenchantError
        UserError          a wrong path, option, row or model; the caller can fix it
            DataError      data, or a row of it
            ModelError     a model folder, name or file
            ConfigError    an argument or a setting
            OutputError    a folder or a disk that cannot take the result
        TrainingError      training stopped itself, as going on would have hidden a fault
        WrittenError       what was written is not what was to be written, so it was not kept
    Interrupted            Ctrl-C or SIGTERM while training; a BaseException, as KeyboardInterrupt is
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penchant.versions import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from penchant.api.endpoint import serve
    from penchant.api.folders import advise, check, compare_runs, export, lineage, open_run, plan, verify
    from penchant.api.judging import judge
    from penchant.api.loading import load
    from penchant.api.measures import compare_answers, evaluate, score
    from penchant.api.pairing import pair
    from penchant.api.ranking import rank
    from penchant.api.sampling import sample
    from penchant.data import Comparison, Demonstration, Labelled, Message, PreferencePair, Prompt
    from penchant.data.convert import Converted, convert
    from penchant.data.pair_building import Paired
    from penchant.errors import (
        ConfigError,
        DataError,
        ModelError,
        OutputError,
        PenchantError,
        TrainingError,
        UserError,
        WrittenError,
    )
    from penchant.evaluation.compared import Evaluation
    from penchant.evaluation.samples import Samples
    from penchant.evaluation.score import Scores
    from penchant.models.language_model import LanguageModel
    from penchant.objectives import PairBatch
    from penchant.online.config import RLHFConfig
    from penchant.online.rlhf import Online, rlhf
    from penchant.progress import Reporter
    from penchant.report.ranking import Ranking
    from penchant.studies.study import Frontier, Sweep, frontier, sweep
    from penchant.training.callbacks import Callback
    from penchant.training.checking import CheckReport
    from penchant.training.config import DPOConfig, RewardConfig, SFTConfig
    from penchant.training.interrupt import Interrupted
    from penchant.training.other_runs import reward, sft
    from penchant.training.run import dpo
    from penchant.training.trained import Run

_WHERE = {
    "penchant.api.endpoint": ("serve",),
    "penchant.api.folders": ("advise", "check", "compare_runs", "export", "lineage", "open_run", "plan", "verify"),
    "penchant.api.judging": ("judge",),
    "penchant.api.loading": ("load",),
    "penchant.api.measures": ("compare_answers", "evaluate", "score"),
    "penchant.api.pairing": ("pair",),
    "penchant.api.ranking": ("rank",),
    "penchant.api.sampling": ("sample",),
    "penchant.data": ("Comparison", "Demonstration", "Labelled", "Message", "PreferencePair", "Prompt"),
    "penchant.data.convert": ("Converted", "convert"),
    "penchant.data.pair_building": ("Paired",),
    "penchant.errors": (
        "ConfigError",
        "DataError",
        "ModelError",
        "OutputError",
        "PenchantError",
        "TrainingError",
        "UserError",
        "WrittenError",
    ),
    "penchant.evaluation.samples": ("Samples",),
    "penchant.evaluation.compared": ("Evaluation",),
    "penchant.evaluation.score": ("Scores",),
    "penchant.studies.study": ("Frontier", "Sweep", "frontier", "sweep"),
    "penchant.models.language_model": ("LanguageModel",),
    "penchant.objectives": ("PairBatch",),
    "penchant.progress": ("Reporter",),
    "penchant.report.ranking": ("Ranking",),
    "penchant.online.config": ("RLHFConfig",),
    "penchant.online.rlhf": ("Online", "rlhf"),
    "penchant.training.callbacks": ("Callback",),
    "penchant.training.checking": ("CheckReport",),
    "penchant.training.config": ("DPOConfig", "RewardConfig", "SFTConfig"),
    "penchant.training.interrupt": ("Interrupted",),
    "penchant.training.other_runs": ("reward", "sft"),
    "penchant.training.run": ("dpo",),
    "penchant.training.trained": ("Run",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [  # noqa: RUF022  in the order in which they are used
    "load", "sample", "judge", "pair", "check", "convert", "advise", "plan", "sft", "dpo", "reward", "rlhf", "score",
    "evaluate", "compare_answers", "frontier", "sweep", "rank", "open_run", "export", "compare_runs", "verify",
    "lineage", "serve",
    "Run", "Samples", "Paired", "Scores", "Evaluation", "Frontier", "Sweep", "Ranking", "CheckReport", "Converted",
    "LanguageModel", "Online", "Callback", "Reporter", "DPOConfig", "SFTConfig", "RewardConfig", "RLHFConfig",
    "PairBatch", "Comparison", "Demonstration", "Labelled", "Message", "PreferencePair", "Prompt",
    "PenchantError", "UserError", "DataError", "ModelError", "ConfigError", "OutputError", "TrainingError",
    "WrittenError", "Interrupted",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'penchant' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
