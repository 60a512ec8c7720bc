"""The options of ratings and intervals, and their effect on given votes."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from penchant.errors import ConfigError
from penchant.ranking.bradley_terry import fit_bradley_terry
from penchant.ranking.davidson import fit_davidson
from penchant.ranking.fit import Fit
from penchant.ranking.prior import Gaussian, PhantomVotes, Prior
from penchant.ranking.quantiles import refuse_confidence
from penchant.ranking.votes import Votes

__all__ = ["Method"]

FEWEST_CLUSTERS = 10
"""The fewest clusters of a kind from which an interval is computed."""


@dataclass(frozen=True)
class Method:
    """The options of a ranking.

    Attributes:
        ties: "half" (Bradley-Terry, a tie is half a win for each side) or "davidson".
        intervals: "sandwich", or "bootstrap" with num_bootstrap resamples drawn from seed.
        cluster: what votes are clustered by: "none", "prompt", "annotator" or "both"; "auto" takes those recorded in
            ten clusters or more, if one kind has as many clusters as there are parameters.
        prior: "none", "phantom", or `Gaussian(deviation)`; "auto" adds phantom votes if the votes alone do not rank
            every item.
        level: confidence level of the intervals.

    Raises:
        ConfigError: an invalid word, a level outside (0, 1), or fewer than two resamples.

    Example:
        >>> Method(ties="davidson").prior
        'auto'
    """

    ties: Literal["half", "davidson"] = "half"
    intervals: Literal["sandwich", "bootstrap"] = "sandwich"
    num_bootstrap: int = 1000
    seed: int = 0
    cluster: Literal["auto", "none", "prompt", "annotator", "both"] = "auto"
    prior: Literal["auto", "none", "phantom"] | Gaussian = "auto"
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Method).items():
            value, words = getattr(self, name), _words(kind)
            if words and value not in words and not (name == "prior" and isinstance(value, Gaussian)):
                raise ConfigError(f"{name} must be one of {', '.join(words)}; got {value!r}.")
        refuse_confidence(self.level)
        if self.num_bootstrap < 2:
            raise ConfigError(f"num_bootstrap must be at least 2; got {self.num_bootstrap}.")

    def prior_for(self, rankable: bool) -> Prior | None:
        """The prior for votes that do, or do not, rank every item on their own.

        Example:
            >>> Method().prior_for(rankable=True), Method().prior_for(rankable=False)
            (None, PhantomVotes())
        """
        if isinstance(self.prior, Gaussian):
            return self.prior
        return PhantomVotes() if self.prior == "phantom" or (self.prior == "auto" and not rankable) else None

    def model_for(self, votes: Votes, prior: Prior | None) -> tuple[partial[Fit], int, tuple[str, ...]]:
        """How to fit the votes, the number of parameters, and notes.

        Example:
            >>> votes = Votes.from_counts([("a", "b", 2, 1, 1)])
            >>> fit_votes, num_parameters, notes = Method(ties="davidson").model_for(votes, None)
            >>> fit_votes(votes).nu > 0, num_parameters, notes
            (True, 3, ())
        """
        tied = self.ties == "davidson" and bool((votes.outcome_V == 0).any())
        notes = ("No vote is a tie, so Davidson's model is Bradley-Terry's.",)
        fit_votes = partial(fit_davidson if tied else fit_bradley_terry, prior=prior or False)
        return fit_votes, len(votes.items) + tied, notes if self.ties == "davidson" and not tied else ()

    def clusters_for(self, votes: Votes, num_parameters: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the clusters to use, and notes on why recorded ones are not used.

        Example:
            >>> Method(cluster="both").clusters_for(Votes.from_counts([("a", "b", 2, 1, 1)]), 2)
            (('prompt', 'annotator'), ())
        """
        if self.cluster != "auto":
            named = {"none": (), "both": ("prompt", "annotator")}
            return named.get(self.cluster, (self.cluster,)), ()
        counts = {name: len(np.unique(label_V)) for name, label_V in votes.clusters.items()}
        used = {name: num for name, num in counts.items() if num >= FEWEST_CLUSTERS}
        if max(used.values(), default=0) < num_parameters:
            used = {}
        return tuple(used), tuple(
            f"Votes are not clustered by {name}: {num} recorded, too few for {len(votes.items)} items, so the "
            f"intervals do not hold beyond {'this one' if num == 1 else 'these'}."
            for name, num in counts.items()
            if name not in used
        )


def _words(kind: Any) -> tuple[str, ...]:
    """The words of a Literal, or of the Literal in a union."""
    return tuple(word for part in get_args(kind) for word in ([part] if isinstance(part, str) else get_args(part)))
