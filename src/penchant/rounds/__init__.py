"""Rounds: sample from the current model, have responses compared, train on the answers, measure, repeat.

run.py              one round in one call, which resumes an interrupted call
plan.py             the plan of a round, fixed at its start, and the rounds of a folder
settle.py           build the plan of the round to run
requirements.py     check that everything needed is available, before sampling
begin.py            split the prompts, and write down the plan
stages.py           the stages, in order
model_stages.py     stages that need the model: sample, train, answer
people.py           people's answers, through an annotation project
finished_stages.py  which stages are finished, and that their files are unchanged
summary.py          the end of a round: its figures, its lineage, its page
history.py          the gain of rounds: one in words, all as a table
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
