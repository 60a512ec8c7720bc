"""The beta that rewards of a run are shown with comes from its record, and nothing that a record names is run."""

import sys

import pytest

from penchant.evaluation.pair_scores import beta_of


@pytest.mark.parametrize(
    ("ledger", "beta"),
    [
        ({"config": {"dpo": {"objective": "dpo", "beta": 0.3}}}, 0.3),
        ({"config": {"dpo": {"objective": "simpo", "beta": None}}}, 2.0),
        ({"config": {"dpo": {"objective": "orpo"}}}, 1.0),
        ({"config": {"dpo": {"objective": "orpo"}}, "beta": 0.2}, 0.2),
        ({"config": {"sft": {}}}, 0.1),
        ({}, 0.1),
    ],
    ids=str,
)
def test_beta_is_that_of_the_settings_or_of_the_objective(ledger, beta):
    assert beta_of(ledger) == beta


def test_an_objective_from_outside_is_not_imported_because_a_record_names_it(tmp_path, monkeypatch):
    (tmp_path / "named_in_a_record.py").write_text("raise SystemExit('it was run')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    ledger = {"config": {"dpo": {"objective": "named_in_a_record:loss", "beta": None}}, "beta": 0.25}
    assert beta_of(ledger) == 0.25
    assert "named_in_a_record" not in sys.modules
