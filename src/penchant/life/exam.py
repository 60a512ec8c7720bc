"""Measure a small model at a stage of its life: its surprisal on stories, and the quality of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from penchant.data import Message
from penchant.evaluation.pair_scores import sequence_logprobs
from penchant.lab import Corpus
from penchant.lab.corpus import ENDINGS, Fact, Question, Story, ending_of
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams
from penchant.ranking.winrate import PairedMeans, WinRate, paired_means, win_rate_of
from penchant.tokens import TokenSequence

__all__ = ["LONGEST_ANSWER", "QUALITIES", "Exam", "examine", "load_on_cpu", "surprisal_of_stories"]

QUALITIES = ("form", "fact", "cheerful")
"""Qualities of an answer: well-formed as in a demonstration, true, and cheerful at the end."""
LONGEST_ANSWER = 24  # tokens


@dataclass(frozen=True)
class Exam:
    """Answers to questions without demonstrations, `num_answers` to each, sampled at temperature 1."""

    corpus: Corpus
    questions: tuple[Question, ...]
    answers: tuple[tuple[str, ...], ...]

    def share(self, quality: str) -> WinRate:
        """The share of answers that have a quality, with a 95% interval.

        It is clustered by fact, as a model that knows a fact gives many right answers about it.
        """
        return win_rate_of(self._passed(quality), self._facts)

    def change(self, quality: str, before: Exam) -> PairedMeans:
        """The change of that share since another exam with the same questions, with a 95% interval by fact.

        It uses Student's t, as a fact has many answers with any share; Tango's if all facts are equal, so that their
        correlation is unknown.
        """
        both = before._passed(quality), self._passed(quality)
        found = paired_means(*both, self._facts, are_shares=False)
        return paired_means(*both, self._facts, are_shares=True) if found.low is None else found

    @property
    def _facts(self) -> list[Fact]:
        return [question.fact for question, answers in self._asked for _ in answers]

    def _passed(self, quality: str) -> list[float]:
        judges: dict[str, Callable[[Question, str], bool]] = {
            "form": lambda question, answer: self.corpus.is_well_formed(answer),
            "fact": lambda question, answer: answer in {question.answer(ending) for ending in ENDINGS},
            "cheerful": lambda question, answer: ending_of(answer) == "cheerful",
        }
        return [float(judges[quality](question, answer)) for question, answers in self._asked for answer in answers]

    @property
    def _asked(self) -> list[tuple[Question, tuple[str, ...]]]:
        return list(zip(self.questions, self.answers, strict=True))


def load_on_cpu(folder: Path) -> LanguageModel:
    """Load a model of this life on the CPU, where a small model is as fast as anywhere."""
    return load_model(str(folder), choose_numerics("cpu", "float32"))


def examine(model: LanguageModel, corpus: Corpus, num_answers: int, seed: int) -> Exam:
    """Ask every question about a fact without demonstrations."""
    questions = corpus.questions(held_out=True)
    requests = [
        Request(tuple(model.encoder.encode_prompt([Message(role="user", content=question.text)])), key=question.text)
        for question in questions
    ]
    params = SamplingParams(temperature=1.0, max_new_tokens=LONGEST_ANSWER, seed=seed)
    found = {
        responses[0].key: tuple(model.encoder.decode(response.token_ids) for response in responses)
        for responses in generate(model, requests, params, num_responses=num_answers)
    }
    return Exam(corpus, tuple(questions), tuple(found[question.text] for question in questions))


def surprisal_of_stories(model: LanguageModel, stories: Sequence[Story]) -> tuple[list[float], int]:
    """-log p of each story under the model, in nats, and the total number of predicted tokens."""
    ids = [model.encoder.encode_document(story.text) for story in stories]
    sequences = [(TokenSequence.of(document[:1], document[1:]),) for document in ids]
    return (-sequence_logprobs(model, sequences)).tolist(), sum(len(document) - 1 for document in ids)
