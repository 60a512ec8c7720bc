"""The experiments of the lab: each a function from a few options to a Result, fast and reproducible.

optimum.py       three routes to the same policy
identities.py    the derivation of DPO, line by line
cycles.py        preferences that no reward explains
overfitting.py   a certain preference
finite_data.py   preferences that only look certain, and remedies
displacement.py  the chosen response becomes less likely
temperature.py   the effect of T on a distribution
frontier.py      reward against KL
policy_gradients.py   which policy gradients are unbiased, by enumeration
reinforcement.py      RLOO, GRPO, PPO, online DPO and best-of-n compared with the known optimum
elo.py           Elo's formula and its online rule, compared with Bradley-Terry
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from penchant.lab.experiments.cycles import cycles
from penchant.lab.experiments.displacement import displacement
from penchant.lab.experiments.elo import elo
from penchant.lab.experiments.finite_data import finite_data
from penchant.lab.experiments.frontier import frontier
from penchant.lab.experiments.identities import identities
from penchant.lab.experiments.optimum import optimum
from penchant.lab.experiments.overfitting import overfitting
from penchant.lab.experiments.policy_gradients import policy_gradients
from penchant.lab.experiments.reinforcement import reinforcement
from penchant.lab.experiments.temperature import temperature
from penchant.lab.result import Result

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: Mapping[str, Callable[..., Result]] = MappingProxyType(
    {
        "elo": elo,
        "temperature": temperature,
        "identities": identities,
        "optimum": optimum,
        "frontier": frontier,
        "policy_gradients": policy_gradients,
        "reinforcement": reinforcement,
        "cycles": cycles,
        "overfitting": overfitting,
        "finite_data": finite_data,
        "displacement": displacement,
    }
)
