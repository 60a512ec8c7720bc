"""The result of a fit: the ranking, differences with intervals, and the number of votes still missing.

Shapes: I items, K coefficients (position, covariates, log_nu), P = I + K parameters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from penchant.errors import ConfigError, DataError
from penchant.ranking.elo import to_elo
from penchant.ranking.quantiles import two_sided_quantile
from penchant.ranking.votes import FloatArray

__all__ = ["Fit", "Interval", "position_of"]


@dataclass(frozen=True)
class Interval:
    """A point estimate and its confidence limits."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Fit:
    """Abilities in natural-log units with mean zero; only differences are meaningful.

    Attributes:
        items: I names.
        ability_I: abilities theta.
        coefficients: position, covariates and log_nu, each in log-odds for one unit of the covariate.
        covariance_PP: of abilities (around their mean) and coefficients; the intervals come from it.
        model_covariance_PP: the same, assuming a correct model and independent votes.
        log_likelihood: in nats, without the prior.
        nu: tie parameter of Davidson's model; 0 in Bradley-Terry's, where a tie is half a win for each side.
        notes: caveats in sentences, such as phantom votes or few clusters.
        degrees: degrees of freedom of the intervals, which use Student's t: the fewest clusters of any kind, less one;
            inf, the normal distribution, without clusters.

    Example:
        >>> from penchant.ranking import Votes, fit_bradley_terry
        >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 75, 25, 0)]))
        >>> fit.order, round(fit.difference("a", "b").estimate, 4), round(fit.elo["a"] - fit.elo["b"], 1)
        (('a', 'b'), 1.0986, 190.8)
    """

    items: tuple[str, ...]
    ability_I: FloatArray
    coefficients: Mapping[str, float]
    covariance_PP: FloatArray
    model_covariance_PP: FloatArray
    log_likelihood: float
    nu: float
    notes: tuple[str, ...]
    degrees: float = math.inf

    @property
    def abilities(self) -> dict[str, float]:
        """Ability of each item, in natural-log units."""
        return dict(zip(self.items, self.ability_I.tolist(), strict=True))

    @property
    def elo(self) -> dict[str, float]:
        """Ability of each item in Elo points: 1000 + 400 / ln 10 * theta."""
        return dict(zip(self.items, to_elo(self.ability_I).tolist(), strict=True))

    @property
    def order(self) -> tuple[str, ...]:
        """Items from best to worst."""
        return tuple(self.items[i] for i in np.argsort(-self.ability_I, kind="stable"))

    def ability(self, item: str, confidence: float = 0.95) -> Interval:
        """theta_item relative to the mean of all items, with confidence limits, natural-log units.

        Two such intervals may overlap although the difference is significant: see `difference`.

        Raises:
            ConfigError: an unknown item, or a confidence outside (0, 1).

        Example:
            >>> from penchant.ranking import Votes, fit_bradley_terry
            >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 75, 25, 0)]), covariance="model")
            >>> round(fit.ability("a").low, 3)  # half of ln 3 - 1.96 sqrt(1 / 75 + 1 / 25)
            0.323
        """
        i = position_of(item, self.items)
        return self._interval(self.ability_I[i], self.covariance_PP[i, i], confidence)

    def difference(self, item: str, other: str, confidence: float = 0.95) -> Interval:
        """theta_item - theta_other with confidence limits, natural-log units (times `ELO_PER_NAT`: Elo points).

        The interval of a difference is not the sum of two intervals around an anchor: abilities are correlated.

        Raises:
            ConfigError: an unknown item, the same item twice, or a confidence outside (0, 1).
            DataError: the votes show no variance in this difference, so the sandwich has zero width.

        Example:
            >>> from penchant.ranking import Votes, fit_bradley_terry
            >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 75, 25, 0)]), covariance="model")
            >>> round(fit.difference("a", "b").low, 3)  # ln 3 - 1.96 sqrt(1 / 75 + 1 / 25)
            0.646
        """
        i, j = self._pair(item, other)
        variance = self._variance(item, other)
        return self._interval(self.ability_I[i] - self.ability_I[j], variance, confidence)

    def win_probability(self, item: str, other: str, confidence: float = 0.95) -> Interval:
        """1 / (1 + exp(-difference)), on neutral ground: position and covariates at zero.

        Bradley-Terry: the expected score, wins plus half the ties. Davidson: the probability of a win when one of the
        two wins; `davidson_probabilities` gives win, tie and loss.

        Raises:
            ConfigError: as `difference`.

        Example:
            >>> from penchant.ranking import Votes, fit_bradley_terry
            >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 75, 25, 0)]))
            >>> round(fit.win_probability("a", "b").estimate, 6)
            0.75
        """
        limits = self.difference(item, other, confidence)
        return Interval(*(float(expit(value)) for value in (limits.estimate, limits.low, limits.high)))

    def coefficient(self, name: str, confidence: float = 0.95) -> Interval:
        """A coefficient (position, a covariate, log_nu) with confidence limits.

        Raises:
            ConfigError: the fit has no such coefficient, or a confidence outside (0, 1).

        Example:
            >>> from penchant.ranking import Votes, fit_bradley_terry
            >>> votes = Votes.from_counts([("a", "b", 6, 4, 0), ("b", "a", 6, 4, 0)])
            >>> round(fit_bradley_terry(votes, position=True).coefficient("position").estimate, 4)  # ln (6 / 4)
            0.4055
        """
        if name not in self.coefficients:
            raise ConfigError(f"The fit has no coefficient {name!r}; it has {', '.join(self.coefficients) or 'none'}.")
        k = len(self.items) + list(self.coefficients).index(name)
        return self._interval(self.coefficients[name], self.covariance_PP[k, k], confidence)

    def votes_to_separate(self, item: str, other: str, confidence: float = 0.95) -> float:
        """The number of further votes between two items after which their interval would exclude zero.

        A direct vote has information p (1 - p) about the difference, divided by d, the ratio of the observed variance
        of such votes to the model's (ties make d smaller, clusters larger); so, with V the current variance and z the
        quantile of the interval, n = d ((z / difference)^2 - 1 / V) / (p (1 - p)). With Davidson's ties,
        1/4 (1 - P(tie)) - (P(win) - P(loss))^2 / 4 replaces p (1 - p).
        It assumes that the difference is as estimated: half of such plans fall short.

        Returns:
            A whole number; 0 if the two are already separated, inf if the estimates are equal.

        Raises:
            ConfigError: as `difference`.

        Example:
            >>> from penchant.ranking import Votes, fit_bradley_terry
            >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 11, 9, 0)]), covariance="model")
            >>> fit.votes_to_separate("a", "b")
            366.0
        """
        i, j = self._pair(item, other)
        difference = float(self.ability_I[i] - self.ability_I[j])
        z = two_sided_quantile(confidence, self.degrees)
        if difference == 0:
            return math.inf
        variance = self._variance(item, other)
        design_effect = variance / _contrast(self.model_covariance_PP, i, j)
        missing = design_effect * ((z / difference) ** 2 - 1 / variance) / _information(difference, self.nu)
        return float(max(math.ceil(missing), 0))

    def _interval(self, estimate: float, variance: float, confidence: float) -> Interval:
        reach = two_sided_quantile(confidence, self.degrees) * math.sqrt(variance)
        return Interval(float(estimate), float(estimate - reach), float(estimate + reach))

    def _pair(self, item: str, other: str) -> tuple[int, int]:
        i, j = position_of(item, self.items), position_of(other, self.items)
        if i == j:
            raise ConfigError(f"A difference needs two items; got {item!r} twice.")
        return i, j

    def _variance(self, item: str, other: str) -> float:
        i, j = self._pair(item, other)
        variance = _contrast(self.covariance_PP, i, j)
        if variance < 1e-9 * _contrast(self.model_covariance_PP, i, j):
            raise DataError(
                f"The votes on {item!r} and {other!r} show no spread to make an interval from (nothing but ties, or "
                f"too few clusters); use covariance='model', or cluster by less."
            )
        return variance


def position_of(item: str, items: tuple[str, ...]) -> int:
    """The index of an item among the items of a fit.

    Raises:
        ConfigError: the item is unknown.

    Example:
        >>> position_of("b", ("a", "b"))
        1
    """
    if item not in items:
        raise ConfigError(f"The fit has no item {item!r}; it has {', '.join(items)}.")
    return items.index(item)


def _contrast(covariance_PP: FloatArray, i: int, j: int) -> float:
    """The variance of parameter i minus parameter j."""
    return float(covariance_PP[i, i] + covariance_PP[j, j] - 2 * covariance_PP[i, j])


def _information(difference: float, nu: float) -> float:
    """The information of one vote about the difference, nu known; p (1 - p) if nu = 0."""
    up, down = math.exp(difference / 2), math.exp(-difference / 2)
    total = up + down + nu
    return (up + down) / total / 4 - ((up - down) / total / 2) ** 2
