"""What a study shows: how much was measured, what intervals speak of, and which KL is not the exact one."""

from dataclasses import replace

import pytest

from penchant.studies.curves import curves_of
from penchant.studies.tables_and_figures import as_plain, figures, places_table, sizes


@pytest.fixture
def start(measured):
    return measured(0.0, 0.0, seed=9)


@pytest.fixture
def shown(point, start):
    """`shown(one, another)`: the parts of a curve with these seeds, and the curve."""

    def of(*found):
        curves = curves_of([point(seed=i) for i in range(len(found))], found, start)
        return places_table(curves, start), curves

    return of


def test_the_table_begins_with_the_start_and_says_of_how_much_it_speaks(shown, measured, start):
    (table, line), curves = shown(measured(1, 1))
    at_start, row = (dict(zip(table.columns, cells, strict=True)) for cells in table.rows)
    assert (at_start["method"], at_start["KL"], at_start["gain"], at_start["win rate over the start"]) == (
        "start", "0", "-", "-",
    )  # fmt: skip
    assert at_start["true reward"].split("(")[1].startswith("-0.0")
    assert row["accuracy"] == "-"
    assert line == (
        "30 held-out prompts, 2 answers to each, 1 seed of training for each strength. Intervals are 95%, over "
        "prompts; they do not include what another seed of training would give"
    )
    assert sizes(curves, start) == {"prompts": 30, "responses": 2, "seeds": 1}


def test_with_several_seeds_it_says_that_intervals_include_them(shown, measured):
    (_, line), _ = shown(measured(1, 1), measured(1, 2))
    assert "2 seeds of training" in line
    assert line.endswith("over prompts and seeds of training")


def test_an_accuracy_has_its_limits_and_the_number_of_pairs(shown, measured):
    held_out = {"accuracy": 0.6, "accuracy_low": 0.5, "accuracy_high": 0.7, "num_pairs": 40}
    (table, _), curves = shown(replace(measured(1, 1), **held_out))
    assert table.rows[1][-1] == "60.0% (50.0% to 70.0%), 40 pairs"
    other = {"accuracy": 0.8, "accuracy_low": 0.6, "accuracy_high": 0.9, "num_pairs": 30}
    (table, _), curves = shown(replace(measured(1, 1), **held_out), replace(measured(1, 1), **other))
    assert table.rows[1][-1] == "70.0%, 30 pairs"
    assert as_plain(curves["dpo"][0])["num_pairs"] == 30


def test_tokens_have_an_interval(shown, measured):
    (table, _), _ = shown(replace(measured(1, 1), tokens=(5, 7) * 15 + (6, 10) * 15))
    mean, limits = table.rows[1][-2].split(" ", 1)
    assert mean == "7.0"
    assert limits.startswith("(6.")


def test_a_kl_that_is_not_exact_is_called_so_in_table_json_and_figure(shown, measured, start):
    (table, _), exact = shown(measured(1, 1))
    assert "plain" not in table.rows[1][2]
    (table, _, note), curves = shown(
        replace(measured(1, 1), why_no_exact_kl="the policy has 5 tokens and the reference 6")
    )
    assert table.rows[1][2].endswith(" plain")
    assert note.text.startswith("KLs called plain are means of log pi(y|x) - log pi_start(y|x)")
    assert note.text.endswith("the policy has 5 tokens and the reference 6")
    kinds = [as_plain(found["dpo"][0])["kl_estimator"] for found in (exact, curves)]
    assert kinds == ["exact", "plain"]
    labels = [figures(found, start, "judge")[0]["series"][0]["label"] for found in (exact, curves)]
    assert labels == ["dpo", "dpo, plain KL"]


def test_few_prompts_are_warned_of(point, measured, start):
    def few(one):
        return replace(one, **{name: getattr(one, name)[:8] for name in ("prompts", "true", "learned", "kl", "tokens")})

    curves = curves_of([point()], [few(measured(1, 1))], few(start))
    assert places_table(curves, few(start))[-1].text == (
        "only 4 prompts: an interval from fewer than 20 may be too narrow"
    )
