"""Judges: people, or models and functions that stand in for them, behind one protocol.

protocol.py            what a judge is, and its judgement of one comparison
function.py            a function that scores or prefers; positivity, the built-in one
implicit_reward.py     the implicit reward of a trained run
reward_model.py        a reward model
scoring.py             the scores of many answers by any judge that gives scores
endpoint.py            a language model behind an endpoint, asked in both orders
people.py              people, asked through an annotation project
chat_completions.py    one request to an OpenAI-compatible endpoint
concurrent_calls.py    several requests at once
options.py             choose the judge: `open_judge`
judging.py             comparisons in, answered comparisons out, in memory or to a file
lines.py               answers as lines of a file
counts.py              counts of a judge's answers
agreement.py           agreement with people
"""

from penchant.evaluation.judges.counts import Tally, tally
from penchant.evaluation.judges.function import JUDGES, FunctionJudge, PreferenceFunctionJudge, positivity, prefer
from penchant.evaluation.judges.judging import judge_comparisons, judge_to_file, read_comparisons
from penchant.evaluation.judges.options import JudgeOptions, open_any, open_judge, open_scorer
from penchant.evaluation.judges.people import PeopleJudge
from penchant.evaluation.judges.protocol import Judge, Judgement, Scorer, decide
from penchant.evaluation.judges.scoring import ManyScorer, scores_of

__all__ = [
    "JUDGES",
    "FunctionJudge",
    "Judge",
    "JudgeOptions",
    "Judgement",
    "ManyScorer",
    "PeopleJudge",
    "PreferenceFunctionJudge",
    "Scorer",
    "Tally",
    "decide",
    "judge_comparisons",
    "judge_to_file",
    "open_any",
    "open_judge",
    "open_scorer",
    "positivity",
    "prefer",
    "read_comparisons",
    "scores_of",
    "tally",
]
