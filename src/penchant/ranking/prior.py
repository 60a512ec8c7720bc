"""Priors that keep abilities finite if the votes alone do not: phantom votes, or a normal distribution.

Shapes: I items.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
from scipy.special import expit

from penchant.errors import ConfigError
from penchant.ranking.connectivity import components, unrankable
from penchant.ranking.elo import ELO_PER_NAT
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Gaussian", "Penalty", "PhantomVotes", "Prior", "as_prior", "prior_notes", "prior_of"]


class Penalty(NamedTuple):
    """Log-density up to a constant, its gradient (I,), and minus its second derivatives (I,); items are independent."""

    value: float
    gradient_I: FloatArray
    information_I: FloatArray


@dataclass(frozen=True)
class PhantomVotes:
    """Half a win and half a loss for each item against an opponent of ability zero.

    Example:
        >>> PhantomVotes().penalty(np.zeros(1)).information_I  # one even vote
        array([0.25])
    """

    note = "Every item has half a phantom win and half a phantom loss, which draw abilities together."

    def penalty(self, ability_I: FloatArray) -> Penalty:
        """log sigma(theta) / 2 + log sigma(-theta) / 2 for each item.

        Example:
            >>> PhantomVotes().penalty(np.zeros(1)).gradient_I
            array([0.])
        """
        win_I, lose_I = expit(ability_I), expit(-ability_I)
        value = -np.logaddexp(ability_I / 2, -ability_I / 2).sum()
        return Penalty(float(value), (lose_I - win_I) / 2, win_I * lose_I)


@dataclass(frozen=True)
class Gaussian:
    """A normal prior on abilities, which is ridge regression.

    For other leaderboards: a logistic regression without intercept on log-10 strengths, L2 penalty C = 1, every
    battle counted twice, as in the arena code of FastChat, is `Gaussian(2**0.5 * math.log(10))`.

    Args:
        deviation: standard deviation in natural-log units, from 1e-6 to 1e6, so that its square is representable.

    Raises:
        ConfigError: a deviation out of range.

    Example:
        >>> Gaussian(2.0).penalty(np.array([1.0])).gradient_I
        array([-0.25])
    """

    deviation: float

    def __post_init__(self) -> None:
        if not 1e-6 <= self.deviation <= 1e6:
            raise ConfigError(f"The deviation of the prior must be from 1e-6 to 1e6; got {self.deviation}.")

    @property
    def note(self) -> str:
        """The caveat for readers of the abilities."""
        return f"Abilities are drawn together by a normal prior of standard deviation {self.deviation:.4g}."

    def penalty(self, ability_I: FloatArray) -> Penalty:
        """-theta^2 / (2 deviation^2) for each item.

        Example:
            >>> Gaussian(2.0).penalty(np.array([1.0])).value
            -0.125
        """
        scaled_I = ability_I / self.deviation**2
        return Penalty(float(-ability_I @ scaled_I / 2), -scaled_I, np.full(len(ability_I), self.deviation**-2))


Prior = PhantomVotes | Gaussian


def as_prior(prior: bool | Prior) -> Prior | None:
    """Convert True to phantom votes, and False to no prior.

    Raises:
        ConfigError: any other value that is not a prior.

    Example:
        >>> as_prior(True)
        PhantomVotes()
    """
    if isinstance(prior, PhantomVotes | Gaussian):
        return prior
    if not isinstance(prior, bool):
        raise ConfigError(f"The prior must be True (phantom votes), False or Gaussian(deviation); got {prior!r}.")
    return PhantomVotes() if prior else None


def prior_of(text: str) -> Literal["auto", "none", "phantom"] | Gaussian:
    """Parse a prior: a word, or the standard deviation of a normal prior in Elo points.

    Raises:
        ConfigError: it is neither.

    Example:
        >>> from penchant.ranking.prior import prior_of
        >>> prior_of("phantom"), round(prior_of("400").deviation, 3)
        ('phantom', 2.303)
    """
    if text in ("auto", "none", "phantom"):
        return cast(Literal["auto", "none", "phantom"], text)
    try:
        return Gaussian(float(text) / ELO_PER_NAT)
    except (ValueError, ConfigError):
        known = "auto, none, phantom or a standard deviation in Elo points above 0"
        raise ConfigError(f"prior must be {known}, got '{text}'") from None


def prior_notes(votes: Votes, prior: Prior | None) -> list[str]:
    """Caveats on abilities that a prior shrinks, naming those that rest on it alone.

    Example:
        >>> prior_notes(Votes.from_counts([("a", "b", 2, 1, 0)]), None)
        []
    """
    if prior is None:
        return []
    notes = [prior.note]
    adrift = [item for problem in unrankable(votes) for item in problem.items]
    if adrift:
        notes.append(f"The prior alone keeps these items finite or in place: {', '.join(dict.fromkeys(adrift))}.")
    num_groups = len(components(votes))
    if num_groups > 1:
        notes.append(f"No vote compares the {num_groups} groups of items; between groups the prior alone speaks.")
    return notes
