"""Bootstrap intervals: refit on clusters of votes drawn with replacement; the point estimate is that of all votes.

Shapes: V votes, B draws, P parameters, G clusters.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.errors import ConfigError, DataError
from penchant.ranking.fit import Fit, Interval, position_of
from penchant.ranking.quantiles import expanded_tail
from penchant.ranking.sandwich import cluster_labels
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Bootstrap", "bootstrap"]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The fit of all votes, and the abilities and coefficients (B, P) of B resamples of clusters.

    Limits are percentiles, widened where clusters are few: see `expanded_tail`.

    Example:
        >>> from functools import partial
        >>> from penchant.ranking import Votes, bootstrap, fit_bradley_terry
        >>> votes = Votes.from_counts([("a", "b", 30, 20, 0), ("b", "a", 25, 25, 0)])
        >>> fit_votes = partial(fit_bradley_terry, covariance="model", position=True)
        >>> draws = bootstrap(votes, fit_votes, num_resamples=50)
        >>> draws.draws_BP.shape
        (50, 3)
    """

    fit: Fit
    draws_BP: FloatArray
    num_clusters: float = math.inf

    def ability(self, item: str, confidence: float = 0.95) -> Interval:
        """theta_item relative to the mean, with percentiles of the resamples as limits.

        Example:
            >>> from penchant.ranking import Fit
            >>> fit = Fit(("a", "b"), np.array([0.5, -0.5]), {}, np.eye(2), np.eye(2), 0.0, 0.0, ())
            >>> Bootstrap(fit, np.array([[0.0, 0.0], [1.0, -1.0]])).ability("a", 0.5)
            Interval(estimate=0.5, low=0.25, high=0.75)
        """
        i = position_of(item, self.fit.items)
        return self._percentiles(float(self.fit.ability_I[i]), self.draws_BP[:, i], confidence)

    def difference(self, item: str, other: str, confidence: float = 0.95) -> Interval:
        """theta_item - theta_other of the fit, with percentiles of the resamples as limits.

        Example:
            >>> from penchant.ranking import Fit
            >>> fit = Fit(("a", "b"), np.array([0.5, -0.5]), {}, np.eye(2), np.eye(2), 0.0, 0.0, ())
            >>> Bootstrap(fit, np.array([[0.0, 0.0], [1.0, -1.0]])).difference("a", "b", 0.5)
            Interval(estimate=1.0, low=0.5, high=1.5)
        """
        estimate = self.fit.difference(item, other).estimate
        i, j = self.fit.items.index(item), self.fit.items.index(other)
        return self._percentiles(estimate, self.draws_BP[:, i] - self.draws_BP[:, j], confidence)

    def votes_to_separate(self, item: str, other: str, confidence: float = 0.95) -> float:
        """`Fit.votes_to_separate` with the covariance of the resamples.

        Example:
            >>> from functools import partial
            >>> from penchant.ranking import Votes, bootstrap, fit_bradley_terry
            >>> votes = Votes.from_counts([("a", "b", 90, 10, 0)])
            >>> bootstrap(votes, partial(fit_bradley_terry, covariance="model")).votes_to_separate("a", "b")
            0.0
        """
        covariance_PP = np.cov(self.draws_BP, rowvar=False)
        return replace(self.fit, covariance_PP=covariance_PP).votes_to_separate(item, other, confidence)

    def coefficient(self, name: str, confidence: float = 0.95) -> Interval:
        """A coefficient of the fit, with percentiles of the resamples as limits.

        Example:
            >>> from penchant.ranking import Fit
            >>> fit = Fit(("a", "b"), np.array([0.5, -0.5]), {"position": 0.2}, np.eye(3), np.eye(3), 0.0, 0.0, ())
            >>> Bootstrap(fit, np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 1.0]])).coefficient("position", 0.5)
            Interval(estimate=0.2, low=0.25, high=0.75)
        """
        estimate = self.fit.coefficient(name).estimate
        column = len(self.fit.items) + list(self.fit.coefficients).index(name)
        return self._percentiles(estimate, self.draws_BP[:, column], confidence)

    def _percentiles(self, estimate: float, draws_B: FloatArray, confidence: float) -> Interval:
        tail = expanded_tail(confidence, self.num_clusters)
        low, high = np.quantile(draws_B, [tail, 1 - tail])
        return Interval(estimate, float(low), float(high))


def bootstrap(
    votes: Votes,
    fit: Callable[[Votes], Fit],
    *,
    clusters: Sequence[str] | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """Fit all votes, and refit B resamples in which clusters are drawn with replacement.

    With one kind of cluster, whole clusters are drawn, as many as there are. With two or more (prompt and annotator),
    each kind is drawn independently and a vote's weight is the product of its clusters' counts, which errs on the wide
    side. Without clusters, single votes are drawn.

    Args:
        votes: V votes.
        fit: how to fit; pass `partial(fit_bradley_terry, covariance="model")` to skip the sandwich of every resample.
        clusters: names in `votes.clusters`; None means all, () none.
        num_resamples: B.
        seed: seed of numpy's generator; the same seed gives the same draws.

    Raises:
        ConfigError: an unknown cluster, or fewer than two resamples.
        DataError: the fit of a resample is not finite: leaving it out would make the interval too narrow.

    Example:
        >>> from functools import partial
        >>> from penchant.ranking import Votes, bootstrap, fit_bradley_terry
        >>> votes = Votes.from_counts([("a", "b", 75, 25, 0)])
        >>> draws = bootstrap(votes, partial(fit_bradley_terry, covariance="model"), num_resamples=200)
        >>> limits = draws.difference("a", "b")
        >>> round(limits.estimate, 4), limits.low < limits.estimate < limits.high
        (1.0986, True)

    Reference:
        A. B. Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1(2), 2007.
    """
    names = tuple(votes.clusters if clusters is None else clusters)
    if not set(names) <= set(votes.clusters):
        raise ConfigError(f"Clusters must be names out of {sorted(votes.clusters)}; got {list(names)}.")
    if num_resamples < 2:
        raise ConfigError(f"A bootstrap needs at least two resamples; got {num_resamples}.")
    point = fit(votes)
    counts = votes.weight_V > 0
    ways = [cluster_labels(votes, [name])[0] for name in names] or [np.arange(len(votes))]
    drawable = [np.unique(label_V[counts]) for label_V in ways]
    rng = np.random.default_rng(seed)
    draws, failures = [], []
    for _ in range(num_resamples):
        weight_V = votes.weight_V
        for label_V, labels_G in zip(ways, drawable, strict=True):
            times = np.bincount(rng.choice(labels_G, size=len(labels_G)), minlength=int(label_V.max()) + 1)
            weight_V = weight_V * times[label_V]
        try:
            drawn = fit(votes.reweighted(weight_V))
        except DataError as error:
            failures.append(str(error))
            continue
        draws.append(np.concatenate([drawn.ability_I, list(drawn.coefficients.values())]))
    if failures:
        raise DataError(
            f"{len(failures)} of {num_resamples} resamples have no finite fit, so the limits are open; use the "
            f"sandwich or prior=True. The first says: {failures[0]}"
        )
    return Bootstrap(point, np.stack(draws), min(map(len, drawable)))
