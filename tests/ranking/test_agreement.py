"""Agreement: published tables, another library, limits, and reasons where nothing can be said."""

import gzip
import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.ranking import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement

# Four observers, twelve units: the table in Krippendorff (2011), section C.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# Fourteen raters, ten subjects, five categories: a table used to teach Fleiss' kappa.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
answers = st.lists(st.lists(st.sampled_from(["left", "right", "tie", None]), min_size=3, max_size=3), min_size=1)


@pytest.fixture
def panda(shared):
    with gzip.open(shared / "data" / "pandalm" / "testset-v1.json.gz", "rt", encoding="utf-8") as lines:
        rows = json.load(lines)
    return [[row[f"annotator{k}"] for row in rows] for k in (1, 2, 3)]


def test_alpha_is_the_published_value_of_krippendorffs_table():
    alpha = krippendorff_alpha(list(zip(*KRIPPENDORFF, strict=True)))
    assert alpha.value == pytest.approx(0.743, abs=5e-4)
    assert (alpha.num_units, alpha.num_answers) == (11, 40)


def test_fleiss_kappa_is_the_known_value_of_a_table():
    units = [[category for category, num in enumerate(row) for _ in range(num)] for row in FLEISS]
    assert fleiss_kappa(units).value == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_the_formula_computed_by_hand():
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second).value == pytest.approx((0.7 - 0.5) / 0.5)


def test_raw_agreement_is_the_mean_share_of_equal_pairs():
    assert raw_agreement([["a", "a", "b"], ["a", "a"], ["b"]]).value == pytest.approx((1 / 3 + 1) / 2)


def test_the_published_kappas_of_pandalm_come_out(panda):
    kappas = [cohen_kappa(*pair).value for pair in combinations(panda, 2)]
    assert kappas == pytest.approx([0.852, 0.879, 0.862], abs=5e-4)
    assert fleiss_kappa(list(zip(*panda, strict=True))).value == pytest.approx(sum(kappas) / 3, abs=2e-3)


def test_alpha_is_that_of_another_library_on_real_answers(panda):
    evalica, pandas = pytest.importorskip("evalica"), pytest.importorskip("pandas")
    units = list(zip(*panda, strict=True))
    assert krippendorff_alpha(units).value == pytest.approx(evalica.alpha(pandas.DataFrame(panda)).alpha, rel=1e-12)
    theirs = evalica.alpha(pandas.DataFrame(KRIPPENDORFF)).alpha
    assert krippendorff_alpha(list(zip(*KRIPPENDORFF, strict=True))).value == pytest.approx(theirs, rel=1e-12)


@given(answers)
def test_coefficients_do_not_depend_on_names_or_order_and_never_exceed_one(units):
    names = {"left": 3, "right": 1, "tie": 2, None: None}
    renamed = [[names[answer] for answer in reversed(unit)] for unit in reversed(units)]
    for coefficient in (raw_agreement, krippendorff_alpha):
        value, other = coefficient(units).value, coefficient(renamed).value
        assert value == pytest.approx(other)
        assert value is None or value <= 1 + 1e-12


def test_full_agreement_is_one_and_two_people_who_always_differ_are_below_chance():
    same, differ = [["a", "a"], ["b", "b"]], [["a", "b"], ["b", "a"]]
    for coefficient in (raw_agreement, krippendorff_alpha, fleiss_kappa):
        assert coefficient(same).value == pytest.approx(1.0)
    assert cohen_kappa("ab", "ab").value == 1.0
    assert raw_agreement(differ).value == 0.0
    assert krippendorff_alpha(differ).value == pytest.approx(1 - 1 / (2 / 3))
    assert fleiss_kappa(differ).value == cohen_kappa("ab", "ba").value == -1.0


def test_alpha_is_fleiss_kappa_with_a_correction_that_fades():
    units = [["a", "a"], ["b", "b"], ["a", "b"]] * 400
    assert krippendorff_alpha(units).value == pytest.approx(fleiss_kappa(units).value, abs=1e-3)


@pytest.mark.parametrize("coefficient", [krippendorff_alpha, fleiss_kappa, lambda units: cohen_kappa("aa", "aa")])
def test_where_everybody_always_says_the_same_there_is_no_coefficient_but_a_reason(coefficient):
    undefined = coefficient([["a", "a"], ["a", "a"]])
    assert undefined.value is None
    assert undefined.reason == "every answer is 'a', so agreement cannot be told from chance"
    assert (undefined.num_units, undefined.num_answers) == (2, 4)


@pytest.mark.parametrize("coefficient", [krippendorff_alpha, raw_agreement])
def test_without_two_answers_to_a_unit_there_is_no_coefficient_but_a_reason(coefficient):
    undefined = coefficient([["a"], ["b", None], []])
    assert undefined.value is None
    assert undefined.reason == "no unit has two answers"


def test_no_units_at_all_is_a_reason_too():
    assert fleiss_kappa([]).reason == cohen_kappa([], []).reason == "no unit has two answers"


def test_missing_answers_are_refused_where_the_formula_has_no_place_for_them():
    with pytest.raises(DataError, match="same number of answers"):
        fleiss_kappa([["a", "b"], ["a", None]])
    with pytest.raises(DataError, match="same number of answers"):
        fleiss_kappa([["a", "b"], ["a", "b", "b"]])
    with pytest.raises(DataError, match="got 2 and 1 answers"):
        cohen_kappa(["a", "b"], ["a"])
    with pytest.raises(DataError, match="with 1 missing"):
        cohen_kappa(["a", None], ["a", "b"])
    with pytest.raises(DataError, match="with 1 missing"):
        cohen_kappa(["a", "b"], ["a", None])
