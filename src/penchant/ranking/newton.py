"""Newton's method for the concave likelihoods of paired comparisons; not settling is an error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from penchant.errors import DataError
from penchant.ranking.votes import FloatArray

__all__ = ["Likelihood", "maximise"]

MAX_STEPS = 50


class Likelihood(NamedTuple):
    """Log-likelihood in nats, its gradient (P,), and the information (P, P), minus its Hessian."""

    value: float
    gradient_P: FloatArray
    information_PP: FloatArray


def maximise(likelihood: Callable[[FloatArray], Likelihood], num_parameters: int) -> tuple[FloatArray, Likelihood]:
    """The parameters (P,) at which a concave function is largest, and the function there.

    Starts at zero. A step that lowers the value is halved until it does not. Done when no parameter moves by more than
    1e-8; as the last step of Newton squares the error, what remains is rounding.

    Raises:
        DataError: still moving after 50 steps, because a parameter can grow for ever.

    Example:
        >>> from penchant.ranking.newton import Likelihood, maximise
        >>> point, _ = maximise(lambda x: Likelihood(-((x[0] - 3) ** 2), -2 * (x - 3), np.array([[2.0]])), 1)
        >>> point
        array([3.])
    """
    point_P = np.zeros(num_parameters)
    here = likelihood(point_P)
    for _ in range(MAX_STEPS):
        step_P = np.linalg.solve(here.information_PP, here.gradient_P)
        there = likelihood(point_P + step_P)
        while there.value < here.value - 1e-12 * abs(here.value):
            step_P = step_P / 2
            there = likelihood(point_P + step_P)
        point_P, here = point_P + step_P, there
        if abs(step_P).max() < 1e-8:
            return point_P, here
    raise DataError(
        f"The fit did not settle in {MAX_STEPS} steps: some ability or coefficient can grow for ever because it "
        f"decides every vote (a side that always wins, a covariate without exception, ties in one direction only); "
        f"collect votes that go the other way, leave out the coefficient, or add phantom votes (prior=True)."
    )
