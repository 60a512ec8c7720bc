"""comparison.json is read as it was written, and what is of another type in it is refused by its name."""

import json
from dataclasses import asdict

import pytest

from penchant.errors import DataError, OutputError
from penchant.ranking.winrate import PairedMeans, WinRate
from penchant.report.comparison import read_comparison
from penchant.report.evaluations import read_evaluations
from penchant.statistics import Estimate

RATE = asdict(WinRate(0.6, 0.4, 0.8, 20))
ESTIMATE = asdict(Estimate(0.5, None, None, 4, 4, "few"))
BUCKET = {"start": 0.0, "end": 1.0, "mean": 0.5, "share": RATE}
WHOLE = {
    "judge": "positivity",
    "num_prompts": 20,
    "mean_before": 0.1,
    "mean_after": 0.2,
    "difference": {"mean": 0.1, "low": None, "high": None},
    "win_rate": {"rate": 0.6, "low": 0.4, "high": 0.8, "wins": 12, "losses": 8, "ties": 0},
    "decided": RATE,
    "length_controlled": ESTIMATE,
    "style_controlled": ESTIMATE,
    "kl": {"mean": 1.0, "low": 0.5, "high": 1.5},
    "kl_exact": None,
    "changes": [{"name": "tokens", "means": asdict(PairedMeans(3.0, 4.0, 1.0, None, None, 20, 20))}],
    "accuracy": {
        "accuracy": RATE,
        "by_length": {"longer": RATE},
        "by_margin": [BUCKET],
        "calibration": {"curve": [BUCKET], "brier": ESTIMATE, "ece": ESTIMATE},
        "parts": {"Ties": ESTIMATE},
    },
    "pairs": [{"prompt": "a", "before": "b", "after": "c\udce9", "won": 1, "score_before": 0.1, "score_after": None}],
}


def written(run, comparison):
    (run / "comparison.json").write_text(json.dumps(comparison))
    return run


def test_a_comparison_is_given_as_it_is_also_where_less_was_measured(tmp_path):
    assert read_comparison(tmp_path) is None
    assert read_comparison(written(tmp_path, WHOLE)) == WHOLE
    for name in WHOLE:
        less = {key: value for key, value in WHOLE.items() if key != name}
        assert read_comparison(written(tmp_path, less)) == less


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"win_rate": 5}, "'win_rate' is 5, where an object belongs"),
        ({"win_rate": {"low": 0.1, "high": 0.2}}, "'win_rate.rate' is missing"),
        ({"win_rate": WHOLE["win_rate"] | {"wins": "12"}}, "'win_rate.wins' is '12', where a whole number belongs"),
        ({"pairs": None}, "'pairs' is None, where a list belongs"),
        ({"pairs": ["a"]}, "'pairs[0]' is 'a', where an object belongs"),
        ({"changes": [{"name": "tokens", "means": []}]}, r"'changes[0].means' is [], where an object belongs"),
        ({"num_prompts": -1}, "'num_prompts' is -1, which must be at least 0"),
        ({"kl": {"mean": "low"}}, "'kl.mean' is 'low', where a number belongs"),
        ({"accuracy": []}, "'accuracy' is [], where an object belongs"),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(tmp_path, changed, said):
    with pytest.raises(OutputError) as refused:
        read_comparison(written(tmp_path, WHOLE | changed))
    mend = "evaluate the run again by `penchant.evaluate`, or remove it"
    assert str(refused.value) == f"{tmp_path}/comparison.json: damaged ({said}); {mend}"
    if "win_rate" not in said:
        with pytest.raises(DataError) as refused:
            read_evaluations(written(tmp_path, [WHOLE, WHOLE | changed]) / "comparison.json")
        assert f"damaged (evaluation 2: {said})" in str(refused.value)
