"""The three stages of a life: standard training on generated data, with an exam after each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penchant.data import Comparison, Message, Prompt, read_rows
from penchant.errors import ConfigError
from penchant.evaluation.authors import ModelAuthor
from penchant.evaluation.candidates import sample_to_file
from penchant.evaluation.judges import FunctionJudge, prefer
from penchant.files import write_atomically
from penchant.lab import Corpus
from penchant.lab.corpus import entropy_of_counts
from penchant.life.exam import LONGEST_ANSWER, Exam, examine, load_on_cpu, surprisal_of_stories
from penchant.life.untrained import write_untrained_model
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter
from penchant.ranking.winrate import PairedMeans, paired_means
from penchant.training.config import (
    DataConfig,
    DPOConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimiserConfig,
    SaveConfig,
    SFTConfig,
)
from penchant.training.run import run

__all__ = ["STAGES", "Life"]

STAGES = ("text", "demonstrations", "preferences")
NUM_TEST_STORIES = 400
NUM_ANSWERS = 8  # to each question of an exam
NUM_CANDIDATES = 3  # answers to each question, compared two by two


class Life:
    """One life of a model: the world it learns about, and the model's exam after each stage.

    root holds newborn/ (the untrained model), text.jsonl, demonstrations.jsonl, votes.jsonl, and a run folder for each
    stage. The methods are the stages, in their order.
    """

    def __init__(self, root: Path, seed: int, reporter: Reporter) -> None:
        self.root, self.seed, self.reporter, self.corpus = root, seed, reporter, Corpus(seed)
        self.exams: dict[str, Exam] = {}
        self.metrics: dict[str, list[dict[str, Any]]] = {}
        self.nats: dict[str, float] = {}
        self.excess: PairedMeans
        self.num_parameters = self.num_preferences = 0

    def train_on_text(self, num_stories: int) -> None:
        """Next-token training on stories, from random weights."""
        texts = [story.text for story in self.corpus.stories(num_stories)]
        spoken = [*texts, *(line for pair in self.corpus.demonstrations for line in pair)]
        self.num_parameters = write_untrained_model(self.root / "newborn", spoken, self.seed)
        data = self._write("text.jsonl", ({"text": text} for text in texts))
        optimiser = OptimiserConfig(learning_rate=4e-3, schedule="cosine", warmup_ratio=0.05, beta2=0.98)
        self._train("text", SFTConfig, self.root / "newborn", data, optimiser)
        self._measure_surprisal(texts)

    def train_on_demonstrations(self, epochs: int) -> None:
        """Supervised fine-tuning on questions with their answers, in every manner equally often."""
        rows = (
            {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
            for asked, answer in self.corpus.demonstrations
        )
        data = self._write("demonstrations.jsonl", rows)
        optimiser = OptimiserConfig(learning_rate=1e-3, beta2=0.98, epochs=epochs)
        self._train("demonstrations", SFTConfig, self.root / "text", data, optimiser)

    def train_on_preferences(self, epochs: int, beta: float) -> None:
        """DPO on its own answers, with cheerful ones preferred.

        Raises ConfigError if hardly any answer is preferred to another.
        """
        data = self._collect_preferences()
        optimiser = OptimiserConfig(learning_rate=5e-5, beta2=0.98, epochs=epochs)
        objective = ObjectiveConfig(beta=beta)
        self._train("preferences", DPOConfig, self.root / "demonstrations", data, optimiser, dpo=objective)

    def _train(self, stage: str, schema: Any, model: Path, data: Path, optimiser: Any, **more: Any) -> None:
        config = schema(
            output=str(self.root / stage),
            seed=self.seed,
            model=ModelConfig(name=str(model), device="cpu", dtype="float32"),
            data=DataConfig(files=(str(data),), held_out=0.04, max_length=128),
            optimiser=optimiser,
            save=SaveConfig(num_samples=0),
            **more,
        )
        self.reporter.say(f"stage {STAGES.index(stage) + 1} of {len(STAGES)}: {stage}")
        trained = run(config, self.reporter)
        self.metrics[stage] = trained.metrics
        self.exams[stage] = examine(load_on_cpu(self.root / stage / "model"), self.corpus, NUM_ANSWERS, self.seed)

    def _measure_surprisal(self, texts: list[str]) -> None:
        """Nats per token on new stories: of the model, of token frequencies, and of the grammar itself."""
        model = load_on_cpu(self.root / "text")
        stories = self.corpus.stories(NUM_TEST_STORIES, part=1)
        surprisals, num_tokens = surprisal_of_stories(model, stories)
        self.excess = paired_means([story.surprisal for story in stories], surprisals)
        self.nats = {
            "model": sum(surprisals) / num_tokens,
            "frequencies": entropy_of_counts(i for text in texts for i in model.encoder.encode_document(text)[1:]),
            "grammar": sum(story.surprisal for story in stories) / num_tokens,
            "manner": math.log(3) / self._answer_length(model),
        }

    def _answer_length(self, model: LanguageModel) -> float:
        """Mean number of tokens of a demonstrated answer."""
        lengths = [
            len(model.encoder.encode_response([Message(role="user", content=asked)], answer))
            for asked, answer in self.corpus.demonstrations
        ]
        return sum(lengths) / len(lengths)

    def _collect_preferences(self) -> Path:
        """Sample answers from the model, and compare them pairwise by their liking."""
        asked = [question.text for question in self.corpus.questions(held_out=False)]
        prompts = [Prompt(messages=(Message(role="user", content=text),), id=text) for text in asked]
        params = SamplingParams(temperature=1.0, max_new_tokens=LONGEST_ANSWER, seed=self.seed)
        samples = self.root / "samples.jsonl"
        sample_to_file(
            ModelAuthor(load_on_cpu(self.root / "demonstrations" / "model"), params),
            prompts,
            samples,
            num_responses=NUM_CANDIDATES,
            on_progress=lambda done, total: self.reporter.progress("sampling", done, total, {}),
        )
        judge = FunctionJudge("liking", lambda _, answer: self.corpus.liking(answer))
        compared = [Comparison.model_validate(row) for _, row in read_rows(samples)]
        answered = [
            one.model_copy(update={"outcome": prefer(judge, one.prompt[-1].content, one.a.text, one.b.text)})
            for one in compared
        ]
        self.num_preferences = sum(one.outcome != "tie" for one in answered)
        if self.num_preferences < 2:
            raise ConfigError(
                f"{self.root}: the model does not answer well enough for people to prefer one answer to another "
                f"({self.num_preferences} of {len(answered)}); raise num_stories or sft_epochs"
            )
        return self._write("votes.jsonl", (one.model_dump(mode="json", exclude_none=True) for one in answered))

    def _write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        path = self.root / name
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        return path
