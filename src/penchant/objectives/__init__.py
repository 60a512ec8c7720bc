"""Preference objectives as pure functions on tensors: no files, no configuration, no device moves.

batch.py      PairBatch: what every objective is computed from
pairwise.py   the preference losses, one function each
auxiliary.py  the SFT term, and mixtures of weighted terms
registry.py   the table of objectives and its readers
rewards.py    implicit rewards and the preference they predict
sequence.py   token log-probs to response log-probs
"""

from penchant.objectives.auxiliary import mixture, sft
from penchant.objectives.batch import PairBatch, PairFunction
from penchant.objectives.pairwise import cdpo, dpo, ipo_mean, ipo_sum
from penchant.objectives.registry import OBJECTIVES, Objective, Paper, bind, get_objective, refuse_unread
from penchant.objectives.rewards import implicit_rewards, preference_probability
from penchant.objectives.sequence import sum_by_response

__all__ = [
    "OBJECTIVES",
    "Objective",
    "PairBatch",
    "PairFunction",
    "Paper",
    "bind",
    "cdpo",
    "dpo",
    "get_objective",
    "implicit_rewards",
    "ipo_mean",
    "ipo_sum",
    "mixture",
    "preference_probability",
    "refuse_unread",
    "sft",
    "sum_by_response",
]
