"""Train a point in its folder with the public training functions; an interrupted point is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from penchant.errors import ConfigError
from penchant.online.rlhf import Online, rlhf
from penchant.progress import Reporter
from penchant.reading import read_text
from penchant.strict_yaml import line_of
from penchant.studies.ground import Ground, begun
from penchant.studies.points import Point
from penchant.studies.settings import StudyConfig
from penchant.training.config import DPOConfig, RewardConfig, SFTConfig
from penchant.training.objective import choose_objective
from penchant.training.other_runs import sft
from penchant.training.run import dpo
from penchant.training.settings import build_config
from penchant.training.trained import Run

__all__ = ["check_points", "held_out_accuracy", "train_point"]


def check_points(points: Sequence[Point], config: StudyConfig, where: str) -> None:
    """Raise ConfigError for a setting that the training of a point, of the start or of the reward model would refuse,
    before anything is computed.
    """
    trainings: list[tuple[str, type[BaseModel], Mapping[str, Any]]] = [
        ("demonstration_settings", SFTConfig, config.demonstration_settings),
        ("reward_settings", RewardConfig, config.reward_settings),
        *((f"{point.curve} at {point.place}", point.how.schema, _settings(point, config)) for point in points),
    ]
    for name, schema, settings in trainings:
        try:
            checked = build_config(schema, settings=settings)
            if isinstance(checked, DPOConfig):
                choose_objective(checked)
        except ConfigError as error:
            raise ConfigError(f"{_place(where, config, str(error))}: {name}: {error}") from error


def _place(where: str, config: StudyConfig, message: str) -> str:
    """The file and line of the setting that a message names, if the file contains it."""
    file = Path(where)
    text = read_text(file) if file.is_file() else ""
    for path, settings in config.all_settings().items():
        for key in settings:
            if f"'{key}'" in message and (line := line_of(text, (*path, key))):
                return f"{where}:{line}"
    return where


def train_point(point: Point, ground: Ground, reporter: Reporter) -> Run:
    """The finished run of a point. Raises UserError, TrainingError and Interrupted."""
    config, output = ground.config, ground.folder / point.name
    how: dict[str, Any] = {
        "output": output,
        "settings": _settings(point, config),
        "resume": begun(output),
        "progress": reporter,
        "seed": point.seed,
        "chat_template": ground.chat_template,
        "device": config.device,
        "dtype": config.dtype,
    }
    data = ground.files[point.how.trains_on]
    judge = ground.judge_given if point.scores == "judge" else ground.learned_name
    if point.how.trains_on == "pairs":
        return dpo(ground.start_name, data, **how)
    if point.how.trains_on == "chosen":
        return sft(ground.start_name, data, **how)
    if point.how.trains_on == "own pairs":
        return dpo(ground.start_name, data, online=Online(judge), **how)  # type: ignore[arg-type]  # a scorer prefers by its scores
    return rlhf(ground.start_name, data, judge=judge, **how)


def held_out_accuracy(run: Run) -> dict[str, Any]:
    """The last evaluation's accuracy, limits and number of pairs; empty if nothing was held out."""
    name = "eval_rewards/accuracies"
    last = next((row for row in reversed(list(run.metrics)) if name in row), None)
    if last is None:
        return {}
    num = sum(last.get(f"{name}/chosen_{length}_num", 0) for length in ("longer", "as_long", "shorter"))
    low, high = last.get(f"{name}_low"), last.get(f"{name}_high")
    return {"accuracy": last[name], "accuracy_low": low, "accuracy_high": high, "num_pairs": int(num)}


def _settings(point: Point, config: StudyConfig) -> Mapping[str, Any]:
    """Default settings, overridden by the study's, overridden by those that define the method."""
    usual: dict[str, Any] = {"save.num_samples": 0}
    if point.how.samples:
        usual |= {"data.held_out": 0.0, "sampling.max_new_tokens": config.max_new_tokens}
    return {**usual, **point.settings, **point.how.fixed}
