"""The experiment `life`: a small model with random weights learns from text, demonstrations and preferences."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import torch

from penchant.errors import OutputError
from penchant.lab import Figure, Result, Series
from penchant.lab.corpus import VALUES
from penchant.lab.result import require
from penchant.progress import Reporter, Silent

if TYPE_CHECKING:
    from penchant.life.stages import Life
    from penchant.ranking.winrate import PairedMeans

__all__ = ["checks_of", "life"]

CLAIM = (
    "Next-token training teaches a newborn model the language and its facts, demonstrations teach it to answer, and "
    "preferences between its own answers teach it the manner that people like."
)
SHOWN = 6  # questions in the table
ANSWER_WIDTH = 56  # characters of an answer in the table
MORE = 0.25  # of the answers: there are only seven facts, with three questions each
GUESS = 1 / min(map(len, VALUES.values()))  # the best share without knowing a fact
NEAR = 0.05  # of the entropy of the grammar


def life(
    seed: int = 0,
    num_stories: int = 5000,
    sft_epochs: int = 6,
    dpo_epochs: int = 2,
    beta: float = 0.1,
    folder: str = "",
    *,
    reporter: Reporter | None = None,
) -> Result:
    """Train an untrained model on stories, on demonstrations and by DPO, with sft and dpo, and examine it each time.

    Args:
        seed: of the world, the weights, the order of the data and the sampling.
        num_stories: texts of the first stage, at least 100.
        sft_epochs: passes over the demonstrations, at least 1.
        dpo_epochs: passes over the preferences, at least 1.
        beta: of DPO, > 0.
        folder: where data, runs and models are kept; None: a folder that is removed at the end.
        reporter: receives progress; None: nobody.

    Returns:
        The Result. Figures: loss on text and on demonstrations with their entropies, rewards under DPO, and quality of
        answers after each stage. Table: answers to the same questions side by side.

    Raises:
        UserError: an option is out of range, or the folder holds something.
    """
    from penchant.life.stages import Life  # imports transformers, which takes seconds
    from penchant.models.numerics import computing, prepare_process

    for name, value, least in (
        ("num_stories", num_stories, 100),
        ("sft_epochs", sft_epochs, 1),
        ("dpo_epochs", dpo_epochs, 1),
    ):
        require(name, value, value >= least, f"at least {least}")
    require("beta", beta, 1e-6 <= beta <= 1e6, "from 1e-6 to a million")
    if folder and Path(folder).exists() and any(Path(folder).iterdir()):
        raise OutputError(f"{folder}: is not empty; choose another folder for this experiment")
    options: dict[str, object] = {
        "seed": seed,
        "num_stories": num_stories,
        "sft_epochs": sft_epochs,
        "dpo_epochs": dpo_epochs,
    }
    prepare_process()
    with computing(), tempfile.TemporaryDirectory() as scratch, _one_thread():
        found = Life(Path(folder or scratch), seed, reporter or Silent())
        found.train_on_text(num_stories)
        found.train_on_demonstrations(sft_epochs)
        found.train_on_preferences(dpo_epochs, beta)
    options |= {"beta": beta, "folder": folder}
    return Result("life", CLAIM, checks_of(found), _measured(found), _figures(found), options, _table(found))


@contextmanager
def _one_thread() -> Iterator[None]:
    """A context with one thread: small matrices are slower on several, far slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


WORDS = {"form": "in a demonstrated form", "fact": "in form and true", "cheerful": "that end cheerfully"}


def _measured(life: Life) -> dict[str, float]:
    nats, last = life.nats, life.metrics["preferences"][-1]
    above_from, above_to = _above_entropy(life)
    measured = {
        "parameters": float(life.num_parameters),
        "loss on new stories, nats a token": nats["model"],
        "loss of knowing frequencies alone": nats["frequencies"],
        "loss of knowing the grammar, its entropy": nats["grammar"],
        "loss above that entropy, share of it, 95% from": above_from,
        "loss above that entropy, share of it, 95% to": above_to,
        "preferences": float(life.num_preferences),
        "share of held-out preferences with a margin above 0": last["eval_rewards/accuracies"],
    }
    for quality, meaning in WORDS.items():
        for stage, exam in life.exams.items():
            share = exam.share(quality)
            measured[f"answers {meaning}, after {stage}"] = share.rate
            measured[f"answers {meaning}, after {stage}, 95% from"] = share.low
            measured[f"answers {meaning}, after {stage}, 95% to"] = share.high
        for before, after in pairwise(life.exams):
            low, high = _change(life, quality, before, after)
            measured[f"answers {meaning}, change by {after}, 95% from"] = low
            measured[f"answers {meaning}, change by {after}, 95% to"] = high
    return measured


def checks_of(life: Life) -> dict[str, bool]:
    """The checks of the claim, each about an interval, as single numbers vary between lives."""
    nats, (_, above_to) = life.nats, _above_entropy(life)
    answers_from, _ = _change(life, "form", "text", "demonstrations")
    cheer_from, _ = _change(life, "cheerful", "demonstrations", "preferences")
    form_from, _ = _change(life, "form", "demonstrations", "preferences")
    return {
        "the loss on new stories is far below that of knowing frequencies alone": nats["grammar"] * (1 + above_to)
        < nats["frequencies"] / 4,
        f"it is within {NEAR:.0%} of the entropy of the grammar": above_to < NEAR,
        "it is not below that entropy, which no model can beat": above_to > 0,
        f"demonstrations bring {MORE:.0%} of its answers or more into the form shown": answers_from > MORE,
        "its answers are true more often than guesses are, though none of these facts was demonstrated": life.exams[
            "demonstrations"
        ]
        .share("fact")
        .low
        > GUESS,
        "after preferences more answers are cheerful": cheer_from > 0,
        "preferences bring more cheer than they cost form, beyond both intervals": cheer_from > -form_from,
    }


def _above_entropy(life: Life) -> tuple[float, float]:
    """The relative excess of the loss over the entropy, with a 95% interval over stories."""
    low, high = _limits(life.excess)
    return low / life.excess.before, high / life.excess.before


def _change(life: Life, quality: str, before: str, after: str) -> tuple[float, float]:
    """The change of a share of answers, with a 95% interval over facts."""
    return _limits(life.exams[after].change(quality, life.exams[before]))


def _limits(found: PairedMeans) -> tuple[float, float]:
    assert found.low is not None, "there are many stories, and some facts"
    assert found.high is not None
    return found.low, found.high


def _figures(life: Life) -> tuple[Figure, ...]:
    return _loss_on_text(life), _loss_on_demonstrations(life), _rewards(life), _answers(life)


def _curve(life: Life, stage: str, key: str, label: str) -> Series:
    rows = [row for row in life.metrics[stage] if row.get(key) is not None]
    return Series.of(label, [row["step"] for row in rows], [row[key] for row in rows])


def _level(curve: Series, label: str, height: float) -> Series:
    return Series.of(label, [curve.x[0], curve.x[-1]], [height] * 2, dash="level")


def _loss_on_text(life: Life) -> Figure:
    nats, curve = life.nats, _curve(life, "text", "loss", "training loss")
    lines = (
        curve,
        _level(curve, "frequencies alone", nats["frequencies"]),
        _level(curve, "the grammar", nats["grammar"]),
    )
    title = (
        f"Next-token training takes the loss from {curve.y[0]:.1f} to {nats['model']:.3f} nats a token on new stories; "
        f"the entropy of the language is {nats['grammar']:.3f}"
    )
    return Figure(title, "optimiser steps", "loss, nats a token", lines, y_scale="log")


def _loss_on_demonstrations(life: Life) -> Figure:
    curve = _curve(life, "demonstrations", "loss", "training loss")
    level = _level(curve, "choice of three manners", life.nats["manner"])
    title = "Fine-tuning on demonstrations: soon the manner of an answer is all that is left to guess"
    return Figure(title, "optimiser steps", "loss, nats a token of the answer", (curve, level), y_scale="log")


def _rewards(life: Life) -> Figure:
    curves = [_curve(life, "preferences", f"rewards/{side}", side) for side in ("chosen", "rejected", "margins")]
    title = "DPO pulls the rewards of cheerful and other answers apart"
    return Figure(title, "optimiser steps", "reward, beta x change in log-prob", tuple(curves))


def _answers(life: Life) -> Figure:
    from penchant.life.exam import QUALITIES

    names = {"form": "has the form", "fact": "is true", "cheerful": "is cheerful"}
    stages = [f"after {stage}" for stage in life.exams]
    bars = []
    for quality in QUALITIES:
        shares = [exam.share(quality) for exam in life.exams.values()]
        low, high = [share.low for share in shares], [share.high for share in shares]
        bars.append(Series.of(names[quality], stages, [share.rate for share in shares], low=low, high=high))
    title = "Demonstrations teach it to answer, preferences in which manner (95% intervals over facts)"
    return Figure(title, "stage", "share of answers to new questions", tuple(bars), y_range=(0.0, 1.05))


def _table(life: Life) -> tuple[dict[str, str], ...]:
    questions = life.exams["text"].questions
    chosen = range(0, len(questions), max(1, len(questions) // SHOWN))
    return tuple(
        {"question": questions[i].text}
        | {f"after {stage}": shorten(exam.answers[i][0], ANSWER_WIDTH) for stage, exam in life.exams.items()}
        for i in list(chosen)[:SHOWN]
    )
