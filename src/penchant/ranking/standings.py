"""The complete analysis of ballots: standings, agreement, position bias, cycles; as records and as a plain dict."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from penchant.errors import DataError
from penchant.ranking.agreement import Agreement, alpha_reading, cohen_kappa, fleiss_kappa, krippendorff_alpha
from penchant.ranking.ballots import Ballots, BothBad
from penchant.ranking.connectivity import components
from penchant.ranking.cycles import HodgeRank, hodge_rank
from penchant.ranking.elo import online_elo
from penchant.ranking.group import Group, rank_group
from penchant.ranking.method import Method
from penchant.ranking.position import Share, first_shown_share
from penchant.ranking.votes import Votes

__all__ = ["Circularity", "OnlineElo", "Standings", "standings"]

MOST_ANNOTATORS = 5
"""Cohen's kappa is for two people; beyond this many annotators there are too many pairs to read."""
MOST_ITEMS = 1000
"""The most items among which cycles are searched: the work grows with the cube of their number."""


@dataclass(frozen=True)
class OnlineElo:
    """Ratings by the online rule, with the votes in order and in reverse order."""

    ratings: Mapping[str, float]
    reversed: Mapping[str, float]
    largest_change: float


@dataclass(frozen=True)
class Circularity:
    """How much of the decided votes no single order explains; see `HodgeRank` for share and p_value, `Cycle` for z.

    worst: the three items of the most significant cycle, each preferred to the next and the last to the first; None if
    there is no cycle.
    """

    share: float | None
    p_value: float | None
    worst: tuple[str, str, str] | None
    worst_z: float | None
    reason: str = ""


@dataclass(frozen=True)
class Standings:
    """The complete result of ranking ballots.

    Attributes:
        groups: tables of items that votes connect, the largest first; no votes compare two groups.
        only_both_bad: items with both_bad answers only.
        num_votes: answers used for the ranking. num_both_bad: both_bad answers, whether used (as ties) or not.
        agreement: Krippendorff's alpha over units that two named people answered, with an interpretation.
        kappas: Cohen's for every two annotators if there are at most five, and Fleiss' if every unit has the same
            number of answers.
        first_shown: the share won by the side shown first.
        circularity: cyclic preferences.
        online: online Elo, if requested.
        notes: caveats in sentences; each group has further ones.
    """

    groups: tuple[Group, ...]
    only_both_bad: tuple[str, ...]
    num_votes: int
    num_both_bad: int
    level: float
    agreement: Agreement
    reading: str
    kappas: Mapping[str, Agreement]
    first_shown: Share
    circularity: Circularity
    online: OnlineElo | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists, numbers, texts and None, for JSON or a web page.

        Example:
            >>> from penchant.ranking import Ballots, standings
            >>> plain = standings(Ballots(["a", "b"], ["b", "a"], ["left", "left"])).as_dict()
            >>> plain["num_votes"], plain["groups"][0]["standings"][0]["votes"]
            (2, 2)
        """
        plain = asdict(self)
        for group, records in zip(self.groups, plain["groups"], strict=True):
            for standing, record in zip(group.standings, records["standings"], strict=True):
                record["votes"] = standing.votes
        return plain


def standings(
    ballots: Ballots, method: Method | None = None, *, both_bad: BothBad = "apart", elo: bool = False
) -> Standings:
    """Rank the items of each connected group, and measure how far the ranking can be trusted.

    Args:
        ballots: what people answered.
        method: how to fit and compute intervals; None means the defaults of `Method`.
        both_bad: "apart" (not a vote) or "tie".
        elo: whether to compute online Elo as well.

    Raises:
        ConfigError: an invalid both_bad, or clusters that are not recorded.
        DataError: nothing to rank, no finite fit, or too few clusters of the requested kind.

    Example:
        >>> from penchant.ranking import Ballots, standings
        >>> found = standings(Ballots(["a"] * 4 + ["b"], ["b"] * 4 + ["a"], ["left"] * 5))
        >>> [(s.rank, s.item, s.wins, s.losses) for s in found.groups[0].standings]
        [(1, 'a', 4, 1), (2, 'b', 1, 4)]
        >>> found.agreement.value, found.agreement.reason
        (None, 'the votes do not say which of them judged the same two responses')
    """
    method = method or Method()
    votes = ballots.votes(both_bad)
    met = ballots.both_bad_of()
    grouped = components(votes)
    groups = tuple(rank_group(votes.among(items), method, met) for items in grouped)
    if not any(group.standings for group in groups):
        reasons = "; ".join(problem.reason for group in groups for problem in group.problems[:2])
        raise DataError(f"No item can be ranked without a prior: {reasons}. Collect more votes, or use phantom votes.")
    answers = ballots.answers()
    agreement = _agreement(ballots, answers)
    return Standings(
        groups=groups,
        only_both_bad=tuple(item for item in met if item not in votes.items),
        num_votes=len(votes),
        num_both_bad=ballots.count("both_bad"),
        level=method.level,
        agreement=agreement,
        reading="" if agreement.value is None else alpha_reading(agreement.value),
        kappas=_kappas(answers),
        first_shown=first_shown_share(ballots, method.level),
        circularity=_circularity(votes),
        online=_online(votes) if elo else None,
        notes=tuple(_notes(ballots, grouped, both_bad)),
    )


def _agreement(ballots: Ballots, answers: list[dict[Hashable, str]]) -> Agreement:
    if ballots.unit is None or not any(unit is not None for unit in ballots.unit):
        return Agreement(None, 0, 0, "the votes do not say which of them judged the same two responses")
    if not answers:
        return Agreement(None, 0, 0, "the votes do not say who gave them, so two may be one person's")
    found = krippendorff_alpha([list(unit.values()) for unit in answers])
    if found.num_units == 0:
        return Agreement(None, 0, 0, "nobody judged two responses that somebody else judged too")
    return found


def _kappas(answers: list[dict[Hashable, str]]) -> dict[str, Agreement]:
    shared = [unit for unit in answers if len(unit) > 1]
    people = list(dict.fromkeys(person for unit in shared for person in unit))
    found = {}
    if len(people) <= MOST_ANNOTATORS:
        for first, second in combinations(people, 2):
            both = [(unit[first], unit[second]) for unit in shared if first in unit and second in unit]
            if both:
                found[f"Cohen's kappa, {first} and {second}"] = cohen_kappa(*zip(*both, strict=True))
    if len({len(unit) for unit in shared}) == 1:
        found["Fleiss' kappa"] = fleiss_kappa([list(unit.values()) for unit in shared])
    return found


def _circularity(votes: Votes) -> Circularity:
    if len(votes.items) > MOST_ITEMS:
        return Circularity(None, None, None, None, f"not looked for among more than {MOST_ITEMS:,} items")
    split: HodgeRank = hodge_rank(votes, num_cycles=1)
    if split.p_value is None:
        return Circularity(None, None, None, None, "no items were compared in a circle")
    worst = split.cycles[0] if split.cycles else None
    return Circularity(split.cyclic_share, split.p_value, worst.items if worst else None, worst.z if worst else None)


def _online(votes: Votes) -> OnlineElo:
    backwards = Votes(votes.items, votes.left_V[::-1], votes.right_V[::-1], votes.outcome_V[::-1], votes.weight_V[::-1])
    there, back = online_elo(votes), online_elo(backwards)
    return OnlineElo(there, back, max(abs(there[item] - back[item]) for item in there))


def _notes(ballots: Ballots, grouped: list[tuple[str, ...]], both_bad: BothBad) -> list[str]:
    notes = []
    if len(grouped) > 1:
        sizes = ", ".join([*(str(len(items)) for items in grouped[:10]), *(["..."] if len(grouped) > 10 else [])])
        notes.append(
            f"The items form {len(grouped):,} groups ({sizes} items) that never met, so each has a table of its own, "
            f"and no vote says how the groups compare."
        )
    if num := ballots.count("both_bad"):
        what = "count as ties, as asked" if both_bad == "tie" else "rank nothing and are counted apart"
        notes.append(f"{num:,} of {len(ballots):,} answers say that both are bad; they {what}.")
    for name, unsaid, apart in (
        ("annotator", "who gave them", "they are no part of the agreement between people, and "),
        ("prompt", "which prompt they are about", ""),
    ):
        if 0 < (num := ballots.num_without(name)) < len(ballots):
            notes.append(
                f"{num:,} of {len(ballots):,} answers do not say {unsaid}: {apart}no votes are clustered by {name}."
            )
    return notes
