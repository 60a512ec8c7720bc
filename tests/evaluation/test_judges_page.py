"""docs/judges.md says of each kind of judge what it costs, as the judge itself does; its example runs."""

import re
from pathlib import Path

from penchant.evaluation.judges import FunctionJudge, PeopleJudge, PreferenceFunctionJudge
from penchant.evaluation.judges.endpoint import EndpointJudge
from penchant.evaluation.judges.implicit_reward import RewardJudge
from penchant.evaluation.judges.reward_model import RewardModelJudge

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
KINDS = {
    "people": PeopleJudge,
    "a function that scores": FunctionJudge,
    "a function that prefers": PreferenceFunctionJudge,
    "the reward of a trained run": RewardJudge,
    "a [reward model](reward.md)": RewardModelJudge,
    "a language model": EndpointJudge,
}


def test_the_page_names_the_price_of_every_judge():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("|")]
    assert {row[0]: row[2] for row in rows[2:]} == {name: judge.price for name, judge in KINDS.items()}


def test_the_example_in_python_runs():
    examples = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    assert examples
    for example in examples:
        exec(compile(example, "docs/judges.md", "exec"), {"__name__": "example"})
