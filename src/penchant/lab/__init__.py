"""An exact world in float64: every response is listed, so every claim about DPO can be checked numerically.

world.py        prompts, responses, reference, reward and preferences
tree.py         the same for token sequences: a path's probability is a product of conditionals
exact.py        the KL-regularised objective, its optimum, and IPO's, by summation
population.py   the expected loss of any objective over all pairs and answers
answers.py      finitely many answers, and when they determine a policy
completions.py  a tree of a language model's completions, and the probability of a path
corpus.py       stories of known entropy, demonstrations, and a preference, to train a small model on
games.py        games between players of known rating, and Elo's online rule
optimise.py     Newton, L-BFGS, gradient descent
policy_gradients.py   the mean of a policy gradient over all possible samples, and the exact gradient
expected_steps.py   the same for PPO, also on old responses, and for online DPO's pairs
learning.py     RLOO, GRPO, PPO, best-of-n and online DPO from samples, where the optimum is known
routes.py       from preferences to a policy: DPO and related objectives, the true reward, a fitted reward
result.py       the result of an experiment
experiments/    the claims, one file each
"""

from penchant.lab.answers import ask, empirical_world, has_finite_optimum
from penchant.lab.completions import Completion, grow, layout, path_log_prob, readable
from penchant.lab.corpus import Corpus
from penchant.lab.exact import (
    expected_reward,
    ipo_optimum,
    kl_divergence,
    log_partition,
    optimal_policy,
    recovered_reward,
    regularised_reward,
)
from penchant.lab.expected_steps import PPOStep, exact_values, expected_pair_gradient, expected_ppo_gradient
from penchant.lab.experiments import EXPERIMENTS
from penchant.lab.experiments.cycles import cyclic_share
from penchant.lab.games import Games, falling_k, play, ratings_over_games
from penchant.lab.learning import METHODS, Problem, learn
from penchant.lab.optimise import Solution, descend, lbfgs, newton, stable_step
from penchant.lab.policy_gradients import Recipe, exact_gradient, expected_gradient
from penchant.lab.population import from_reference, objective_loss, ordered_pairs, population_loss
from penchant.lab.result import Figure, Result, Series, TreeFigure
from penchant.lab.routes import PolicyFit, RewardFit, fit_objective, fit_reward, fit_rlhf, log_softmax_policy
from penchant.lab.tree import TokenTree
from penchant.lab.world import World, bradley_terry

__all__ = [
    "EXPERIMENTS",
    "METHODS",
    "Completion",
    "Corpus",
    "Figure",
    "Games",
    "PPOStep",
    "PolicyFit",
    "Problem",
    "Recipe",
    "Result",
    "RewardFit",
    "Series",
    "Solution",
    "TokenTree",
    "TreeFigure",
    "World",
    "ask",
    "bradley_terry",
    "cyclic_share",
    "descend",
    "empirical_world",
    "exact_gradient",
    "exact_values",
    "expected_gradient",
    "expected_pair_gradient",
    "expected_ppo_gradient",
    "expected_reward",
    "falling_k",
    "fit_objective",
    "fit_reward",
    "fit_rlhf",
    "from_reference",
    "grow",
    "has_finite_optimum",
    "ipo_optimum",
    "kl_divergence",
    "layout",
    "lbfgs",
    "learn",
    "log_partition",
    "log_softmax_policy",
    "newton",
    "objective_loss",
    "optimal_policy",
    "ordered_pairs",
    "path_log_prob",
    "play",
    "population_loss",
    "ratings_over_games",
    "readable",
    "recovered_reward",
    "regularised_reward",
    "stable_step",
]
