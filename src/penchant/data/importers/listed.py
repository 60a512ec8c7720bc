"""Read lists of scored answers: each format is defined once, and read as pairs by a rule, or as votes on models."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

from pydantic import JsonValue

from penchant.data.answer_lists import AnswerList
from penchant.data.derived import gap_between
from penchant.data.files import Row
from penchant.data.importers.base import Importer, OneOrMore, converting, require_question
from penchant.data.importers.judged import all_of, compared
from penchant.data.importers.vote_fields import Vote, digest_of_parts, unit_of
from penchant.data.pairing import Pairing, choose_pairs, from_lists, pairs_of_list
from penchant.data.records import SCORES, Comparison, PreferencePair, prompt_key, response_key
from penchant.data.verdicts import CODES, BadRow

__all__ = ["comparisons_by", "pairs_by", "votes_by_score"]


def pairs_by(one: OneOrMore[AnswerList], pairing: Pairing) -> Importer[tuple[PreferencePair, ...]]:
    """The importer of the pairs that a rule chooses."""
    return converting(
        one, lambda row: from_lists(all_of(one.convert(row)), lambda found: pairs_of_list(found, pairing))
    )


def comparisons_by(one: OneOrMore[AnswerList], pairing: Pairing) -> Importer[tuple[Comparison | PreferencePair, ...]]:
    """The importer of the same pairs as comparisons, which hold the scores and the models of both answers.

    A comparison cannot hold an answer that is more than a text; such pairs stay pairs.
    """
    return converting(
        one, lambda row: from_lists(all_of(one.convert(row)), lambda found: _comparisons_of(found, pairing))
    )


def _comparisons_of(one: AnswerList, pairing: Pairing) -> Iterable[Comparison | PreferencePair]:
    require_question(one.prompt)
    models: dict[str, str | None] = {}
    for answer in one.answers:
        models.setdefault(response_key(answer.response), answer.model)
    for (high, better), (low, worse) in choose_pairs(one, pairing):
        if isinstance(better, str) and isinstance(worse, str):
            sides = models[response_key(better)], models[response_key(worse)]
            meta: dict[str, JsonValue] = dict(zip(SCORES, (high, low), strict=True))
            if one.name is not None:
                meta["name"] = one.name
            yield compared(one.prompt, (better, worse), "a", models=sides, meta=meta)
        else:
            gap = gap_between(high, low)
            yield PreferencePair(
                prompt=one.prompt, chosen=better, rejected=worse, gap=gap, name=one.name, origin=one.origin
            )


def votes_by_score(one: OneOrMore[AnswerList]) -> Importer[tuple[Vote, ...]]:
    """The importer of votes: of every two models in a list, the higher score wins and equal scores tie.

    Rows that do not name the models do not match.
    """

    def convert(row: Row) -> tuple[Vote, ...]:
        return tuple(vote for found in all_of(one.convert(row)) for vote in _votes_of(found))

    def matches(row: Row) -> bool:
        if not one.matches(row):
            return False
        try:
            return any(answer.model for found in all_of(one.convert(row)) for answer in found.answers)
        except (BadRow, ValueError):
            return True  # the error is raised when the row is converted

    return replace(converting(one, convert), matches=matches)


def _votes_of(one: AnswerList) -> Iterable[Vote]:
    judged = [answer for answer in one.answers if answer.score is not None]
    if not judged:
        raise BadRow("no_scores", CODES["no_scores"].meaning, "nothing to fix")
    if nameless := [answer for answer in judged if not answer.model]:
        reason = f"{len(nameless)} of its {len(judged)} answers name no model"
        raise BadRow("missing_field", reason, "name the model of every answer")
    prompt = digest_of_parts(prompt_key(one.prompt))
    for left, right in combinations(judged, 2):
        if left.model == right.model:
            continue
        gap = (left.score or 0.0) - (right.score or 0.0)
        sides = [(answer.model or "", response_key(answer.response)) for answer in (left, right)]
        outcome = "tie" if not gap else "left" if gap > 0 else "right"
        yield Vote(sides[0][0], sides[1][0], outcome, prompt, unit_of(prompt, sides[0], sides[1]))
