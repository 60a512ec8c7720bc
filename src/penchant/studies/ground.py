"""The ground of a study, shared by all runs: one start, one split of prompts, one pool of answers, one learned reward.

OUTPUT/ground.json records its inputs, train.jsonl and held-out.jsonl the prompts, demonstrations.jsonl and start/ the
data and result of training the start, pool.jsonl the answers, pairs.jsonl the preferences, chosen.jsonl their better
sides, reward/ the reward model. Each is made once and reused; only held-out.jsonl contains prompts that are measured
on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data import Prompt, load_demonstrations, load_pairs
from penchant.data.in_memory import row_of
from penchant.data.pair_building import Choice
from penchant.data.prompt_sets import read_prompts
from penchant.data.reading import Loaded
from penchant.data.split import split_prompts
from penchant.errors import ConfigError, DataError
from penchant.evaluation.authors import ModelAuthor
from penchant.evaluation.candidates import sample_to_file
from penchant.evaluation.judges import Scorer, open_scorer
from penchant.evaluation.pairs import pairs_from
from penchant.files import disk_errors_explained, write_atomically
from penchant.models.language_model import LanguageModel
from penchant.models.ledger import read_ledger
from penchant.models.opening import open_model
from penchant.models.requests import refuse_long_prompts
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, counted
from penchant.studies.own_data import without_held_out
from penchant.studies.remembered import code_digest, prompts_digest, remember
from penchant.studies.settings import StudyConfig
from penchant.training.other_runs import reward, sft

__all__ = ["AnyJudge", "Ground", "begun", "make_ground"]

AnyJudge = str | Scorer | Callable[..., Any]
SPLIT = 2**62
"""Seed of the split; no run uses it, as its own split of the rest would then coincide."""
OF_READING = {"data.columns": "columns", "data.format": "format"}
"""Settings for reading demonstrations that do not apply to the file written from them."""


@dataclass(frozen=True)
class Ground:
    """start: the model in memory, with the name to load it again. judge: as given, and opened.

    learned: the reward model as a judge, and its name.
    """

    folder: Path
    config: StudyConfig
    start: LanguageModel
    start_name: str
    held_out: Sequence[Prompt]
    judge_given: AnyJudge
    judge: Scorer
    learned: Scorer

    @property
    def chat_template(self) -> str | None:
        """The chat template for loading the start; a start trained here carries its own."""
        return None if self.config.demonstrations else self.config.chat_template

    @property
    def files(self) -> Mapping[str, Path]:
        """The data of each kind of training."""
        prompts = self.folder / "train.jsonl"
        return {
            "pairs": self.folder / "pairs.jsonl",
            "chosen": self.folder / "chosen.jsonl",
            "prompts": prompts,
            "own pairs": prompts,
        }

    @property
    def learned_name(self) -> str:
        return f"reward:{self.folder / 'reward'}"


def make_ground(config: StudyConfig, folder: Path, judge: AnyJudge | None, reporter: Reporter) -> Ground:
    """The ground of a study in this folder, made if missing. judge: overrides the one in the settings.

    Raises UserError.
    """
    given = judge if judge is not None else config.judge
    if given is None:
        raise ConfigError("the setting 'judge', which gives the true reward, is missing; add it, or give `judge=...`")
    scorer = open_scorer(given, device=config.device, dtype=config.dtype, reporter=reporter)
    prompts = read_prompts(config.prompts, config.max_prompts, reporter.say)
    train, held_out = split_prompts(prompts, config.held_out, seed=SPLIT)
    if not train or len(held_out) < 2:
        raise DataError(
            f"{config.prompts}: holds {len(prompts)} prompts, too few to train on some and measure on two; give more "
            "prompts"
        )
    own = _own_data(config)
    kept = {name: without_held_out(one, held_out, name, reporter.say) for name, one in own.items()}
    digests = {"prompts": prompts_digest(prompts), **{name: one.digest for name, one in own.items()}}
    remember(folder, config, scorer.name, {**digests, "judge": code_digest(scorer)})
    for name, records in {"train": train, "held-out": held_out, **kept}.items():
        _write(folder / f"{name}.jsonl", (row_of(record) or {} for record in records))
    name = _start(config, folder, reporter)
    template = None if config.demonstrations else config.chat_template
    how: dict[str, Any] = {"device": config.device, "dtype": config.dtype, "chat_template": template}
    start = open_model(name, **how, reporter=reporter)
    refuse_long_prompts(start, prompts)
    pairs = folder / "pairs.jsonl"
    if not pairs.exists():
        _sample_pairs(config, folder, start, train, scorer, reporter)
    found = load_pairs(pairs, on_bad_row="drop").records
    if not found:
        raise DataError(f"{pairs}: holds no pair that can be used; give a file of preferences, or more prompts")
    sides = ({"prompt": [m.model_dump() for m in one.prompt], "completion": one.chosen} for one in found)
    _write(folder / "chosen.jsonl", sides)
    if not _is_finished(folder / "reward"):
        settings = {"save.num_samples": 0, **config.reward_settings}
        begun_before = begun(folder / "reward")
        reward(name, pairs, output=folder / "reward", settings=settings, resume=begun_before, progress=reporter, **how)
    learned = open_scorer(f"reward:{folder / 'reward'}", device=config.device, dtype=config.dtype, reporter=reporter)
    return Ground(folder, config, start, name, held_out, given, scorer, learned)


def begun(run: Path) -> bool:
    """Whether a training run was started in this folder, so that it can be resumed."""
    return (run / "run.json").is_file()


def _is_finished(run: Path) -> bool:
    return begun(run) and read_ledger(run).get("status") == "finished"


def _own_data(config: StudyConfig) -> dict[str, Loaded[Any]]:
    """The user's data besides prompts, by setting. Raises DataError."""
    own: dict[str, Loaded[Any]] = {}
    if config.demonstrations is not None:
        given = config.demonstration_settings
        how: dict[str, Any] = {argument: given.get(name) for name, argument in OF_READING.items()}
        own["demonstrations"] = load_demonstrations(config.demonstrations, on_bad_row="drop", **how)
    if config.pairs is not None:
        own["pairs"] = load_pairs(Path(config.pairs).expanduser(), on_bad_row="drop")
    return own


def _start(config: StudyConfig, folder: Path, reporter: Reporter) -> str:
    """The name of the start, which is trained on demonstrations if there are any."""
    if config.demonstrations is None:
        return config.model
    run = folder / "start"
    settings = {name: value for name, value in config.demonstration_settings.items() if name not in OF_READING}
    if not _is_finished(run):
        sft(
            config.model,
            folder / "demonstrations.jsonl",
            output=run,
            settings={"save.num_samples": 0, **settings},
            resume=begun(run),
            progress=reporter,
            chat_template=config.chat_template,
            device=config.device,
            dtype=config.dtype,
        )
    return str(run)


def _sample_pairs(
    config: StudyConfig,
    folder: Path,
    start: LanguageModel,
    prompts: Sequence[Prompt],
    judge: Scorer,
    reporter: Reporter,
) -> None:
    pool, choice = folder / "pool.jsonl", Choice(config.pool.rule, config.pool.min_gap)
    sample_to_file(
        ModelAuthor(start, SamplingParams(config.pool.temperature, max_new_tokens=config.max_new_tokens)),
        prompts,
        pool,
        num_responses=config.pool.num_responses,
        resume=pool.exists(),
        on_progress=counted(reporter, "sampling"),
    )
    built = pairs_from([pool], choice, judge, output=folder / "pairs.jsonl")
    for line in built.in_words():
        reporter.say(line)


def _write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file if it does not exist."""
    if not file.exists():
        with disk_errors_explained(file, again="run it again"):
            write_atomically(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
