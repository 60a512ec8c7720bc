"""Judges score responses, compare two of them, and refuse what they cannot judge."""

import builtins
import json
import sys

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.data.prompt_sets import PROMPT_SETS, prompt_file
from penchant.errors import ConfigError
from penchant.evaluation.judges import JUDGES, FunctionJudge, decide, judge_comparisons, open_judge, open_scorer, prefer


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Writes a module of the user's into the current folder, and forgets it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source: str) -> None:
        (tmp_path / "judges_of_mine.py").write_text(source, encoding="utf-8")

    yield write
    sys.modules.pop("judges_of_mine", None)


def test_positivity_ranks_sunny_above_plain_above_gloomy():
    judge = open_judge("positivity")
    sunny = judge.score("How was it?", "It was wonderful, I loved every happy minute!")
    plain = judge.score("How was it?", "It took place on Tuesday.")
    gloomy = judge.score("How was it?", "It was terrible, a sad and horrible failure.")
    assert 0.5 < sunny <= 1
    assert plain == 0
    assert -1 <= gloomy < -0.5


def test_positivity_understands_negation_and_takes_any_text():
    judge = open_judge("positivity")
    assert judge.score("", "This is not good.") < 0 < judge.score("", "This is good.")
    for text in ["", " \n", "\x00", "\ud800", "😀" * 50, "word " * 2000]:
        assert -1 <= judge.score("", text) <= 1


def test_prefer_names_the_better_side_and_swaps_with_the_sides():
    judge = open_judge("positivity")
    assert prefer(judge, "Tell me.", "I love it.", "I hate it.") == "a"
    assert prefer(judge, "Tell me.", "I hate it.", "I love it.") == "b"
    assert prefer(judge, "Tell me.", "A table.", "A chair.") == "tie"


def test_a_score_that_is_no_number_is_refused_instead_of_passing_for_a_tie():
    for value in [float("nan"), float("inf"), None, "much"]:
        judge = FunctionJudge("odd", lambda prompt, response, value=value: value)
        with pytest.raises(ConfigError, match="finite number"):
            prefer(judge, "p", "a", "b")


def test_a_function_answers_comparisons_with_its_scores_beside_the_answer():
    def comparison(*texts):
        a, b = (Candidate(text=text) for text in texts)
        turns = (Message(role="user", content="first"), Message(role="user", content="Ask"))
        return Comparison(id="0", prompt=turns, a=a, b=b)

    asked = []
    judge = FunctionJudge("longer", lambda prompt, response: asked.append(prompt) or len(response), epsilon=1)
    rows = [comparison("xxx", "x"), comparison("x", "xxx"), comparison("xx", "x")]
    answers = list(judge.answers(rows))
    assert [(place, one.outcome, one.details) for place, one in answers] == [
        (0, "a", {"scores": [3.0, 1.0]}),
        (1, "b", {"scores": [1.0, 3.0]}),
        (2, "tie", {"scores": [2.0, 1.0]}),
    ]
    assert set(asked) == {"Ask"}


def test_answers_come_one_by_one_and_not_all_at_the_end():
    judge = FunctionJudge("odd", lambda prompt, response: {"good": 1, "bad": 0}[response])
    good, bad, unknown = (Candidate(text=text) for text in ("good", "bad", "unknown"))
    prompt = (Message(role="user", content="Ask"),)
    rows = [Comparison(id=str(i), prompt=prompt, a=good, b=b) for i, b in enumerate((bad, unknown))]
    answers = judge.answers(rows)
    assert next(answers)[1].outcome == "a"
    with pytest.raises(ConfigError, match=r"judge 'odd' failed \(KeyError: 'unknown'\) on the response 'unknown'"):
        next(answers)


def test_scores_that_differ_by_epsilon_tie_and_by_more_do_not():
    assert [decide(0.5, b, epsilon=0.25).outcome for b in (0.5, 0.25, 0.75, 0.2, 0.8)] == ["tie"] * 3 + ["a", "b"]
    assert decide(0.1, 0.1 + 1e-15).outcome == "b"


def test_every_judge_in_the_table_loads_under_its_name():
    for name in JUDGES:
        assert open_judge(name).name == name


def test_a_misspelt_judge_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'positivity'"):
        open_judge("positivty")
    with pytest.raises(ConfigError, match="module:"):
        open_judge("zzz")


def test_a_missing_package_is_answered_with_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without_vader(name, *args, **kwargs):
        if name.startswith("vaderSentiment"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_vader)
    with pytest.raises(ConfigError, match=r"pip install vaderSentiment"):
        open_judge("positivity")


def test_a_function_of_the_users_own_judges(own_module):
    own_module("def brevity(prompt, response):\n    return -len(response)\n")
    judge = open_judge("judges_of_mine:brevity")
    assert judge.name == "judges_of_mine:brevity"
    assert prefer(judge, "p", "short", "rather longer") == "a"


def test_a_file_in_the_current_folder_does_not_hide_an_installed_module(own_module, tmp_path):
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('the wrong file ran')", encoding="utf-8")
    assert open_judge("colorsys:rgb_to_hsv").name == "colorsys:rgb_to_hsv"


@pytest.mark.parametrize(
    ("source", "spec", "words"),
    [
        ("x = 3", "judges_of_mine:x", "not a function"),
        ("x = 3", "judges_of_mine:absent", "defines no 'absent'"),
        ("import no_such_package_at_all", "judges_of_mine:f", "no_such_package_at_all"),
        ("def f(:", "judges_of_mine:f", "SyntaxError"),
        ("", "no_such_module_at_all:f", "no_such_module_at_all"),
    ],
)
def test_a_judge_that_cannot_be_imported_says_why(own_module, source, spec, words):
    own_module(source)
    with pytest.raises(ConfigError, match=words):
        open_judge(spec)


def rows_of(*texts):
    prompt = (Message(role="user", content="Ask"),)
    pairs = enumerate(texts)
    return [Comparison(id=str(i), prompt=prompt, a=Candidate(text=a), b=Candidate(text=b)) for i, (a, b) in pairs]


def test_a_function_of_python_scores_under_the_name_it_has_on_the_command_line(own_module):
    own_module("def brevity(prompt, response, weight=1):\n    return -len(response) * weight\n")
    named = open_judge("judges_of_mine:brevity", epsilon=1)
    judge = open_judge(named.function, epsilon=1)
    assert judge.name == named.name == "judges_of_mine:brevity, epsilon 1"
    votes = judge_comparisons(judge, rows_of(("short", "rather long"), ("ab", "a"), ("long", "x")))
    assert [vote.outcome for vote in votes] == ["a", "tie", "b"]


def test_a_function_of_both_responses_prefers_one_by_name_or_in_python(own_module):
    own_module("def blunt(prompt, a, b):\n    return 'both_bad' if len(a + b) == 2 else 'a' if len(a) == 1 else 'b'\n")
    rows = rows_of(("ab", "a"), ("x", "y"), ("a", "ab"))
    named = open_judge("judges_of_mine:blunt")
    for judge in (named, open_judge(named.function)):
        assert [vote.outcome for vote in judge_comparisons(judge, rows)] == ["b", "both_bad", "a"]
    with pytest.raises(ConfigError, match=r"`epsilon=...` is for a function that scores"):
        open_judge(named.function, epsilon=1)
    with pytest.raises(ConfigError, match="gives no scores"):
        open_scorer("judges_of_mine:blunt")


@pytest.mark.parametrize("said", [None, 1, "A", "first"])
def test_a_preference_that_is_none_of_the_four_answers_is_refused(said):
    judge = open_judge(lambda prompt, a, b: said)
    with pytest.raises(ConfigError, match="must return one of 'a', 'b', 'tie', 'both_bad'"):
        judge_comparisons(judge, rows_of(("x", "y")))


def test_a_function_of_both_responses_that_fails_is_named(own_module):
    judge = open_judge(lambda prompt, a, b: {}["x"])
    with pytest.raises(ConfigError, match=r"failed \(KeyError: 'x'\) on the responses \['left', 'right'\]"):
        judge_comparisons(judge, rows_of(("left", "right")))


def test_a_judge_is_taken_as_it_is_and_options_that_it_would_not_read_are_refused():
    judge = FunctionJudge("longer", lambda prompt, response: len(response))
    assert open_judge(judge) is judge
    with pytest.raises(ConfigError, match="reads no option but"):
        open_judge(judge, judge_model="m")
    with pytest.raises(ConfigError, match=r"`timeout=...` is for an endpoint .*, and the judge is 'positivity'"):
        open_judge("positivity", timeout=3.0)
    with pytest.raises(ConfigError, match=r"is a int, not a function, and no judge: it lacks name, price, answers; "):
        open_judge(3)
    with pytest.raises(ConfigError, match=r"is a class; give or name an object of it, FunctionJudge\(\.\.\.\)"):
        open_judge(FunctionJudge)


def test_a_judge_that_an_installed_package_adds_is_known_by_its_name(add_package):
    source = "def kind(prompt, response):\n    return response.count('please')\n"
    add_package("kind-judges", {"penchant.judges": {"kindness": "kind_judges:kind"}}, kind_judges=source)
    judge = open_judge("kindness")
    assert judge.name == "kindness"
    assert [vote.outcome for vote in judge_comparisons(judge, rows_of(("now", "now, please")))] == ["b"]
    assert open_scorer("kindness").score("", "please, please") == 2
    with pytest.raises(ConfigError, match="did you mean 'kindness'"):
        open_judge("kindnes")


def test_whatever_has_a_name_and_scores_is_a_scorer_as_it_is():
    class Brief:
        name = "brief"

        def score(self, prompt, response):
            return -len(response)

    brief = Brief()
    assert open_scorer(brief) is brief
    assert open_scorer(brief.score).score("", "abc") == -3
    with pytest.raises(ConfigError, match="gives no scores"):
        open_scorer(lambda prompt, a, b: "a")


def test_what_names_a_run_or_an_endpoint_gives_no_scores():
    for spec in ("run:runs/first", "http://localhost:8000/v1"):
        with pytest.raises(ConfigError, match="gives no scores; use one of positivity"):
            open_scorer(spec)


@pytest.mark.parametrize("spec", [":f", "m:", "m:f:g", "m:not a name", ".m:f"])
def test_a_malformed_spec_is_refused_before_anything_is_imported(spec):
    with pytest.raises(ConfigError, match="module:"):
        open_judge(spec)


def test_the_shipped_prompts_are_three_hundred_and_distinct():
    lines = [line for name in PROMPT_SETS for line in prompt_file(name).read_text(encoding="utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len({row["id"] for row in rows}) == len({row["prompt"].lower() for row in rows}) == 300
    assert all(set(row) == {"id", "prompt"} for row in rows)
    assert all(8 <= len(row["prompt"].split()) <= 30 for row in rows)
    starts = [tuple(row["prompt"].lower().split()[:4]) for row in rows]
    assert max(starts.count(start) for start in starts) <= 3
