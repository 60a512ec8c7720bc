"""Rounds: sample from the current model, have the responses compared, train on the answers, measure, and repeat.

run.py              one round in one call, which goes on with what an earlier call left
plan.py             the plan of a round, fixed when it begins, and the rounds of a folder
settle.py           the plan of the round that a call is about
requirements.py     what a round needs is there, before anything is sampled
begin.py            the prompts are split, and the plan is written down
stages.py           the stages, in order
model_stages.py     those that need the model: sample, train, answer
people.py           people's answers, through an annotation project
finished_stages.py  which stages are finished, and that nothing of them was changed
summary.py          the end of a round: its figures, its lineage, its page
history.py          what rounds gained: one in words, all as a table
"""

from penchant.rounds.history import in_words, table_of, table_of_folder
from penchant.rounds.plan import Plan, Round, RoundSettings, find_rounds
from penchant.rounds.run import RoundInterrupted, RoundResult, run_round
from penchant.rounds.stages import Waiting

__all__ = [
    "Plan",
    "Round",
    "RoundInterrupted",
    "RoundResult",
    "RoundSettings",
    "Waiting",
    "find_rounds",
    "in_words",
    "run_round",
    "table_of",
    "table_of_folder",
]
