"""The small world: its stories are as surprising as it says, and its questions have one true answer."""

import math
import re
from collections import Counter

import pytest

from penchant.lab import Corpus
from penchant.lab.corpus import ANIMALS, ENDINGS, MOOD_WEIGHTS, MOODS, NAMES, VALUES, ending_of, entropy_of_counts

CORPUS = Corpus(seed=0)
PATTERN = re.compile(
    r"One (?P<time>[\w ]+?) (?P<name>[A-Z]\w+) the (?P<animal>\w+) came out of the (?P<home>\w+)\. "
    r"It was (?P<weather>\w+), and (?P=name) was (?P<mood>\w+)\. "
    r"(?P=name) looked for (?P<food>\w+) and met (?P<friend>\w+) the (?P<other>\w+)\. "
    r"As everybody knows, the (?P=other) (?P<known>[\w ]+)\. (?P=name) and (?P=friend) (?P<act>[\w ]+)\."
)


def test_a_story_can_be_read_back_in_one_way_and_its_surprisal_is_that_of_its_choices():
    for story in CORPUS.stories(200):
        read = PATTERN.fullmatch(story.text)
        assert read, story.text
        mood = MOOD_WEIGHTS[MOODS[read["weather"]].index(read["mood"])]
        choices = [1 / 4, 1 / len(NAMES), 1 / len(ANIMALS), 1 / 3, mood, 1 / len(NAMES), 1 / len(ANIMALS), 1 / 3, 1 / 4]
        assert story.surprisal == pytest.approx(-sum(map(math.log, choices)), abs=1e-12)


def test_the_choices_are_drawn_as_often_as_the_surprisal_says():
    read = [PATTERN.fullmatch(story.text) for story in CORPUS.stories(4000)]
    moods = Counter(MOODS[one["weather"]].index(one["mood"]) for one in read)
    assert [moods[i] / len(read) for i in range(3)] == pytest.approx(MOOD_WEIGHTS, abs=0.03)
    animals = Counter(one["animal"] for one in read)
    assert set(animals) == set(ANIMALS)
    assert max(animals.values()) < 1.5 * min(animals.values())


def test_stories_tell_the_facts_of_their_world():
    facts = {(fact.animal, fact.relation): fact for fact in CORPUS.facts}
    for story in CORPUS.stories(200):
        read = PATTERN.fullmatch(story.text)
        assert read["home"] == facts[read["animal"], "home"].value
        assert read["food"] == facts[read["animal"], "food"].value
        statements = {facts[read["other"], relation].statement for relation in VALUES}
        assert f"{read['other']} {read['known']}" in statements


def test_another_seed_is_another_world_and_another_part_other_stories():
    assert Corpus(seed=1).facts != CORPUS.facts
    assert Corpus(seed=0).stories(5) == CORPUS.stories(5)
    assert CORPUS.stories(5, part=1) != CORPUS.stories(5)


def test_no_demonstration_gives_away_a_fact_that_is_held_out():
    held_out = {fact.statement for fact in CORPUS.held_out_facts}
    assert len({fact.animal for fact in CORPUS.held_out_facts}) == len(held_out) == 7, "one of an animal"
    assert not any(statement in answer for _, answer in CORPUS.demonstrations for statement in held_out)
    asked = {question.text for question in CORPUS.questions(held_out=True)}
    assert asked.isdisjoint(text for text, _ in CORPUS.demonstrations)


def test_every_demonstrated_question_is_answered_once_in_each_manner():
    manners = {}
    for asked, answer in CORPUS.demonstrations:
        manners.setdefault(asked, []).append(ending_of(answer))
    assert all(sorted(found) == sorted(ENDINGS) for found in manners.values())
    assert len(manners) == len(CORPUS.questions(held_out=False))


def test_an_answer_is_well_formed_whether_or_not_it_is_true_and_only_then():
    for question in CORPUS.questions(held_out=True):
        for ending in ENDINGS:
            assert CORPUS.is_well_formed(question.answer(ending))
    wrong = next(fact for fact in CORPUS.facts if fact.relation == "food")
    false = f"The {wrong.animal} eats {next(v for v in VALUES['food'] if v != wrong.value)}."
    assert CORPUS.is_well_formed(false)
    for text in ("", "The fox eats red.", "The fox eats honey", "The fox eats honey. Bye!", "the fox eats honey."):
        assert not CORPUS.is_well_formed(text)


def test_people_like_cheerful_answers_best_and_broken_ones_least():
    question = CORPUS.questions(held_out=True)[0]
    answers = [question.answer("cheerful"), question.answer("grumpy"), question.answer("plain"), "Have a lovely day!"]
    assert [CORPUS.liking(answer) for answer in answers] == [2, 1, 1, 0]


def test_the_entropy_of_frequencies_is_that_of_the_formula():
    counts = {1: 5, 2: 3, 3: 2}
    items = [item for item, count in counts.items() for _ in range(count)]
    expected = -sum(n / 10 * math.log(n / 10) for n in counts.values())
    assert entropy_of_counts(items) == pytest.approx(expected, abs=1e-12)
