"""An exact world in float64: every response is listed, so every claim about DPO can be checked to the last digit.

world.py        prompts, responses, reference, reward and preferences
tree.py         the same for token sequences: a path's probability is a product of conditionals
exact.py        the KL-regularised objective, its optimum, and IPO's, by summation
population.py   the loss of any objective over all pairs and answers
answers.py      a few answers instead of all, and when they settle a policy
optimise.py     Newton, L-BFGS, gradient descent
routes.py       preferences to policy: by DPO and its kin, by the true reward, by a fitted reward
result.py       what an experiment returns
experiments/    the claims, one file each
"""

from penchant.lab.answers import ask, empirical_world, has_finite_optimum
from penchant.lab.exact import (
    expected_reward,
    ipo_optimum,
    kl_divergence,
    log_partition,
    optimal_policy,
    recovered_reward,
    regularised_reward,
)
from penchant.lab.experiments import EXPERIMENTS
from penchant.lab.experiments.cycles import cyclic_share
from penchant.lab.optimise import Solution, descend, lbfgs, newton, stable_step
from penchant.lab.population import from_reference, objective_loss, ordered_pairs, population_loss
from penchant.lab.result import Figure, Result, Series
from penchant.lab.routes import PolicyFit, RewardFit, fit_objective, fit_reward, fit_rlhf, log_softmax_policy
from penchant.lab.tree import TokenTree
from penchant.lab.world import World, bradley_terry

__all__ = [
    "EXPERIMENTS",
    "Figure",
    "PolicyFit",
    "Result",
    "RewardFit",
    "Series",
    "Solution",
    "TokenTree",
    "World",
    "ask",
    "bradley_terry",
    "cyclic_share",
    "descend",
    "empirical_world",
    "expected_reward",
    "fit_objective",
    "fit_reward",
    "fit_rlhf",
    "from_reference",
    "has_finite_optimum",
    "ipo_optimum",
    "kl_divergence",
    "lbfgs",
    "log_partition",
    "log_softmax_policy",
    "newton",
    "objective_loss",
    "optimal_policy",
    "ordered_pairs",
    "population_loss",
    "recovered_reward",
    "regularised_reward",
    "stable_step",
]
