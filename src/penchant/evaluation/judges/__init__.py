"""Whatever answers comparisons, people or what stands in for them, behind one protocol.

protocol.py            what a judge is, and what it says of one comparison
orders.py              what prefers one of two, asked in both orders
function.py            a function that scores or prefers; positivity, the one that comes with Penchant
reward.py              the reward that a trained run holds
reward_model.py        a reward model
scoring.py             the scores of many answers by any judge that gives scores
endpoint.py            a language model behind an endpoint
people.py              people, asked through an annotation project
chat_completions.py    one question to an OpenAI-compatible endpoint
concurrent_calls.py    several questions at once
options.py             which judge it is: `open_judge`
judging.py             comparisons in, answered comparisons out, in memory or to a file
lines.py               answers as lines of a file
counts.py              what a judge answered, counted
agreement.py           how far it agrees with people
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
