"""Preference objectives as pure functions on tensors: no files, no configuration, no device moves.

batch.py      PairBatch: the inputs of every pairwise objective
pairwise.py   DPO and conservative DPO
ipo.py        the two IPOs
margin.py, lengths.py, onesided.py, divergences.py, referencefree.py, coupled.py   the others, grouped by their inputs
remembering.py  objectives with running statistics over earlier batches
auxiliary.py  the SFT term, and mixtures of weighted terms
advantages.py, policy_gradient.py, kl_estimators.py   reinforcement learning: rewards to advantages to a loss
estimators.py   advantage estimators by name
labelled.py   KTO and BCO, which read single responses labelled good or bad
token_level.py   TDPO, which reads the whole distribution at every token
token_weights.py, weighting.py   weights of tokens within a response, and of pairs
band.py       the disentanglement band: a bound on the ratio of the two sides' gradients
objective.py  a row of the table: function, parameters and source; each row is defined below its function
parameters.py  the parameters of a row: read from a signature, completed with defaults
outside.py    objectives from outside Penchant
table.py      all rows, by name
registry.py   look up an objective, set its parameters, refuse data that it would not read
reward_model.py  the losses of reward models
rewards.py    implicit rewards, the preference they predict, and a pair's credit in an accuracy
sequence.py   token log-probs to response log-probs
"""

from penchant.objectives.advantages import (
    generalised_advantages,
    grpo_advantages,
    rloo_advantages,
    shaped_rewards,
    token_rewards,
    whitened,
)
from penchant.objectives.auxiliary import mixture, sft
from penchant.objectives.band import in_band
from penchant.objectives.batch import PairBatch, PairFunction
from penchant.objectives.coupled import aot, aot_unpaired
from penchant.objectives.divergences import chi_po, dpo_alpha, dpo_forward_kl, dpo_js
from penchant.objectives.estimators import ESTIMATORS, Estimator, as_estimator, bind_estimator, get_estimator
from penchant.objectives.ipo import ipo_mean, ipo_sum
from penchant.objectives.kl_estimators import KL_ESTIMATORS, adapted_coefficient, k1, k2, k3
from penchant.objectives.labelled import LabelledBatch, LabelledFunction, bco, kto, mean_kl, reward_shift
from penchant.objectives.lengths import dpo_norm, r_dpo
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.margin import discopop, exo_pair, hinge, robust
from penchant.objectives.objective import BETA, LabelledObjective, Memory, Objective, Paper, Parameter
from penchant.objectives.onesided import apo_down, apo_zero, bco_pair, dpo_shift, dpop, nca_pair, sppo_hard
from penchant.objectives.outside import as_objective
from penchant.objectives.pairwise import cdpo, dpo
from penchant.objectives.policy_gradient import Aggregation, PolicyLoss, Ratio, policy_loss, token_weight, value_loss
from penchant.objectives.referencefree import cpo, orpo, simper, simpo, unlikelihood
from penchant.objectives.registry import bind, bind_token_weights, get_objective, refuse_unread, resolve_objective
from penchant.objectives.remembering import Remembering, alpha_dpo, beta_dpo
from penchant.objectives.reward_model import bradley_terry_loss, centring
from penchant.objectives.rewards import implicit_rewards, preference_credit, preference_probability
from penchant.objectives.sequence import sum_by_response
from penchant.objectives.table import LABELLED_OBJECTIVES, OBJECTIVES, TRL_NAMES, row_in_table
from penchant.objectives.token_level import tdpo1, tdpo2
from penchant.objectives.token_weights import decaying, desensitised
from penchant.objectives.weighting import wpo_weight

__all__ = [
    "BETA",
    "ESTIMATORS",
    "KL_ESTIMATORS",
    "LABELLED_OBJECTIVES",
    "OBJECTIVES",
    "TRL_NAMES",
    "Aggregation",
    "Estimator",
    "LabelledBatch",
    "LabelledFunction",
    "LabelledObjective",
    "Memory",
    "Objective",
    "PairBatch",
    "PairFunction",
    "Paper",
    "Parameter",
    "PolicyLoss",
    "Ratio",
    "Remembering",
    "adapted_coefficient",
    "alpha_dpo",
    "aot",
    "aot_unpaired",
    "apo_down",
    "apo_zero",
    "as_estimator",
    "as_objective",
    "bco",
    "bco_pair",
    "beta_dpo",
    "bind",
    "bind_estimator",
    "bind_token_weights",
    "bradley_terry_loss",
    "cdpo",
    "centring",
    "chi_po",
    "cpo",
    "decaying",
    "desensitised",
    "discopop",
    "dpo",
    "dpo_alpha",
    "dpo_forward_kl",
    "dpo_js",
    "dpo_norm",
    "dpo_shift",
    "dpop",
    "exo_pair",
    "generalised_advantages",
    "get_estimator",
    "get_objective",
    "grpo_advantages",
    "hinge",
    "implicit_rewards",
    "in_band",
    "ipo_mean",
    "ipo_sum",
    "k1",
    "k2",
    "k3",
    "kto",
    "mean_kl",
    "mixture",
    "nca_pair",
    "orpo",
    "policy_loss",
    "preference_credit",
    "preference_cross_entropy",
    "preference_probability",
    "r_dpo",
    "refuse_unread",
    "resolve_objective",
    "reward_shift",
    "rloo_advantages",
    "robust",
    "row_in_table",
    "sft",
    "shaped_rewards",
    "simper",
    "simpo",
    "sppo_hard",
    "sum_by_response",
    "tdpo1",
    "tdpo2",
    "token_rewards",
    "token_weight",
    "unlikelihood",
    "value_loss",
    "whitened",
    "wpo_weight",
]
