"""A small world for a language model to learn: stories with known entropy, demonstrations, and a preference.

Animals have a home, a food and a colour; stories mention these facts, questions ask about them. Every choice in a
story is drawn with known probabilities, so its surprisal is known, and no model can do better on average.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

__all__ = ["ENDINGS", "Corpus", "Fact", "Question", "Story", "ending_of", "entropy_of_counts"]

WILD = ("fox", "owl", "bear", "frog", "snail", "otter", "crow", "wolf", "hare", "toad", "deer", "mole")
TAME = ("hen", "mouse", "goose", "horse", "goat", "bee", "cow", "pig", "dog", "cat", "duck", "sheep")
ANIMALS = (*WILD, *TAME)
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hope")
VALUES = {
    "home": ("forest", "meadow", "barn", "river", "garden", "cave", "swamp", "village"),
    "food": ("berries", "seeds", "roots", "apples", "honey", "leaves", "corn", "nuts"),
    "colour": ("red", "brown", "white", "grey", "black", "golden"),
}
STATEMENTS = {"home": "{animal} lives in the {value}", "food": "{animal} eats {value}", "colour": "{animal} is {value}"}
QUESTIONS = {
    "home": ("Where does the {animal} live?", "Where is the home of the {animal}?", "Where can I find the {animal}?"),
    "food": ("What does the {animal} eat?", "What is the food of the {animal}?", "What can I feed the {animal}?"),
    "colour": (
        "What colour is the {animal}?",
        "What is the colour of the {animal}?",
        "How can I tell the {animal} by its colour?",
    ),
}
ENDINGS = {"plain": "", "cheerful": " Have a lovely day!", "grumpy": " Now leave me alone."}
TIMES = ("morning", "evening", "winter day", "summer day")
MOODS = {"raining": ("sad", "tired", "glad"), "sunny": ("glad", "proud", "tired"), "windy": ("tired", "sad", "proud")}
MOOD_WEIGHTS = (0.7, 0.2, 0.1)
ACTS = ("sang a song", "took a nap", "told a story", "went for a walk")
NUM_HELD_OUT = 7


@dataclass(frozen=True)
class Fact:
    """A fact: an animal's home, food or colour."""

    animal: str
    relation: str
    value: str

    @property
    def statement(self) -> str:
        """ "fox lives in the forest", to follow "the" or "The"."""
        return STATEMENTS[self.relation].format(animal=self.animal, value=self.value)


@dataclass(frozen=True)
class Question:
    """A question about a fact."""

    text: str
    fact: Fact

    def answer(self, ending: str) -> str:
        """The right answer, in one of three manners.

        Example:
            >>> from penchant.lab.corpus import Fact, Question
            >>> Question("What colour is the fox?", Fact("fox", "colour", "red")).answer("cheerful")
            'The fox is red. Have a lovely day!'
        """
        return f"The {self.fact.statement}.{ENDINGS[ending]}"


@dataclass(frozen=True)
class Story:
    """A text and its surprisal, -log p in nats, under the grammar that wrote it."""

    text: str
    surprisal: float


@dataclass
class _Pen:
    """Draws choices and sums their surprisal."""

    chance: random.Random
    surprisal: float = field(default=0.0)

    def choose(self, options: Sequence[str], weights: Sequence[float] | None = None) -> str:
        weights = weights or [1 / len(options)] * len(options)
        (index,) = self.chance.choices(range(len(options)), weights)
        self.surprisal -= math.log(weights[index] / sum(weights))
        return options[index]


@dataclass(frozen=True)
class Corpus:
    """A world for each seed, with its facts, stories, questions and demonstrations.

    Args:
        seed: determines the facts, the held-out ones, and the stories.

    Example:
        >>> from penchant.lab import Corpus
        >>> corpus = Corpus(seed=0)
        >>> corpus.stories(1)[0].text.split(".")[0]
        'One evening Gus the cat came out of the river'
        >>> len(corpus.facts), len(corpus.held_out_facts), len(corpus.demonstrations)
        (72, 7, 585)
    """

    seed: int

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """One fact per animal and relation."""
        chance = random.Random(self.seed)
        return tuple(Fact(animal, name, chance.choice(VALUES[name])) for animal, name in product(ANIMALS, VALUES))

    @cached_property
    def held_out_facts(self) -> tuple[Fact, ...]:
        """Facts in stories but in no demonstration: one for each of a few animals."""
        chance = random.Random(self.seed + 1)
        of = {animal: [fact for fact in self.facts if fact.animal == animal] for animal in ANIMALS}
        return tuple(chance.choice(of[animal]) for animal in chance.sample(ANIMALS, NUM_HELD_OUT))

    def questions(self, *, held_out: bool) -> list[Question]:
        """All questions about held-out facts, or about the others.

        Example:
            >>> from penchant.lab import Corpus
            >>> len(Corpus(seed=0).questions(held_out=True))
            21
        """
        facts = [fact for fact in self.facts if (fact in self.held_out_facts) == held_out]
        return [Question(text.format(animal=fact.animal), fact) for fact in facts for text in QUESTIONS[fact.relation]]

    @property
    def demonstrations(self) -> list[tuple[str, str]]:
        """(question, answer): every question that is not held out, answered in each manner."""
        return [(asked.text, asked.answer(ending)) for asked in self.questions(held_out=False) for ending in ENDINGS]

    def stories(self, num: int, *, part: int = 0) -> list[Story]:
        """Stories drawn independently.

        Args:
            num: the number of stories.
            part: another number gives other stories about the same world.

        Returns:
            The stories; texts may repeat.

        Example:
            >>> from penchant.lab import Corpus
            >>> corpus = Corpus(seed=0)
            >>> corpus.stories(2) == corpus.stories(3)[:2], corpus.stories(2, part=1) == corpus.stories(2)
            (True, False)
        """
        chance = random.Random(f"{self.seed} {part}")
        return [self._story(_Pen(chance)) for _ in range(num)]

    def is_well_formed(self, answer: str) -> bool:
        """Whether the text states some value for some animal, right or wrong, in one of the three manners.

        Example:
            >>> from penchant.lab import Corpus
            >>> corpus = Corpus(seed=0)
            >>> corpus.is_well_formed("The owl eats honey. Now leave me alone."), corpus.is_well_formed("Honey!")
            (True, False)
        """
        return answer in self._forms

    def liking(self, answer: str) -> int:
        """People's rating of an answer: 2 if cheerful, 1 if otherwise well-formed, 0 if not an answer.

        Example:
            >>> from penchant.lab import Corpus
            >>> [Corpus(seed=0).liking(f"The owl eats honey.{words}") for words in (" Have a lovely day!", "", " Day!")]
            [2, 1, 0]
        """
        return 0 if not self.is_well_formed(answer) else 2 if ending_of(answer) == "cheerful" else 1

    @cached_property
    def _forms(self) -> frozenset[str]:
        every = (Fact(a, name, value) for a in ANIMALS for name, values in VALUES.items() for value in values)
        return frozenset(Question("", fact).answer(ending) for fact in every for ending in ENDINGS)

    def _story(self, pen: _Pen) -> Story:
        facts = {(fact.animal, fact.relation): fact for fact in self.facts}
        time, name, animal = pen.choose(TIMES), pen.choose(NAMES), pen.choose(ANIMALS)
        home, food = facts[animal, "home"].value, facts[animal, "food"].value
        weather = pen.choose(tuple(MOODS))
        mood = pen.choose(MOODS[weather], MOOD_WEIGHTS)
        friend, other = pen.choose(NAMES), pen.choose(ANIMALS)
        known = facts[other, pen.choose(tuple(VALUES))].statement
        act = pen.choose(ACTS)
        text = (
            f"One {time} {name} the {animal} came out of the {home}. It was {weather}, and {name} was {mood}. "
            f"{name} looked for {food} and met {friend} the {other}. As everybody knows, the {known}. "
            f"{name} and {friend} {act}."
        )
        return Story(text, pen.surprisal)


def ending_of(answer: str) -> str:
    """The manner of an answer by its last words: cheerful, grumpy, or otherwise plain.

    Example:
        >>> from penchant.lab.corpus import ending_of
        >>> ending_of("The fox is red. Have a lovely day!"), ending_of("The fox is red.")
        ('cheerful', 'plain')
    """
    return next((name for name, words in ENDINGS.items() if words and answer.endswith(words)), "plain")


def entropy_of_counts(items: Iterable[int]) -> float:
    """The entropy -sum p log p of counts, in nats: the loss of a model that knows only frequencies.

    Example:
        >>> from penchant.lab.corpus import entropy_of_counts
        >>> round(entropy_of_counts([7, 7, 2, 2]), 4)  # ln 2
        0.6931
    """
    counts = Counter(items)
    return -sum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())
