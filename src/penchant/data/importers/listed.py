"""Lists of scored answers: a format of them is written once, and read as pairs by a rule, or as votes on its models."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

from penchant.data.answer_lists import AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import Importer, OneOrMore, converting
from penchant.data.importers.judged import all_of
from penchant.data.importers.vote_fields import Vote, digest_of_parts, unit_of
from penchant.data.pairing import Pairing, pairs_from_lists
from penchant.data.records import PreferencePair, prompt_key, response_key
from penchant.data.verdicts import CODES, BadRow

__all__ = ["pairs_by", "votes_by_score"]


def pairs_by(one: OneOrMore[AnswerList], pairing: Pairing) -> Importer[tuple[PreferencePair, ...]]:
    """The importer of the pairs that a rule makes."""
    return converting(one, lambda row: pairs_from_lists(all_of(one.convert(row)), pairing))


def votes_by_score(one: OneOrMore[AnswerList]) -> Importer[tuple[Vote, ...]]:
    """The importer of votes: of every two models of a list the one of the higher score wins, equal scores are a tie.

    A row of which nobody names the models is none of it.
    """

    def convert(row: Row) -> tuple[Vote, ...]:
        return tuple(vote for found in all_of(one.convert(row)) for vote in _votes_of(found))

    def matches(row: Row) -> bool:
        if not one.matches(row):
            return False
        try:
            return any(answer.model for found in all_of(one.convert(row)) for answer in found.answers)
        except (BadRow, ValueError):
            return True  # which is said where it is read

    return replace(converting(one, convert), matches=matches)


def _votes_of(one: AnswerList) -> Iterable[Vote]:
    judged = [answer for answer in one.answers if answer.score is not None]
    if not judged:
        raise BadRow("no_scores", CODES["no_scores"].meaning, "nothing to mend")
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
