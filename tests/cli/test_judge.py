"""`penchant judge`: every kind of judge, going on after a fault, agreement with people, and a key kept secret."""

import importlib.util
import json
from pathlib import Path

import pytest

from penchant.evaluation.judges import chat_completions

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

path = Path(__file__).resolve().parents[1] / "evaluation" / "fake_endpoint.py"
spec = importlib.util.spec_from_file_location("fake_endpoint", path)
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

KEY = "sk-secret-0123456789"
TEXTS = [
    (" who was happy.", " who ran away and cried."),
    (" who was very tired of it all.", " who slept."),
    (" who was sad.", " who was sad."),
    ("", " who was big."),
]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A current folder with a judge of the user's own, and no waiting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)
    (tmp_path / "taste_of_judges.py").write_text("def short(prompt, response):\n    return -len(response)\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def samples(tmp_path):
    rows = [
        {
            "id": str(i),
            "prompt": [{"role": "user", "content": f"Once upon a time there was a {animal}"}],
            "a": {"text": a},
            "b": {"text": b},
        }
        for i, ((a, b), animal) in enumerate(zip(TEXTS, ("dog", "cat", "bird", "ant"), strict=True))
    ]
    return write(tmp_path / "samples.jsonl", rows)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def outcomes(path):
    return [row["outcome"] for row in rows_of(path)]


def test_a_function_judges_and_the_counts_are_said(penchant, samples, tmp_path):
    result = penchant("judge", samples, "--judge", "taste_of_judges:short", "--output", tmp_path / "votes.jsonl")
    assert result.code == 0, result.err
    assert outcomes(tmp_path / "votes.jsonl") == ["a", "b", "tie", "a"]
    assert "4 comparisons answered by the stand-in 'taste_of_judges:short': 2 a, 1 b, 1 tie" in result.err


def test_epsilon_makes_close_scores_ties_and_another_judge(penchant, samples, tmp_path):
    result = penchant(
        "judge", samples, "--judge", "taste_of_judges:short", "--epsilon", "12", "--output", tmp_path / "votes.jsonl"
    )
    assert result.code == 0, result.err
    assert outcomes(tmp_path / "votes.jsonl") == ["tie", "b", "tie", "a"]
    assert rows_of(tmp_path / "votes.jsonl")[0]["annotator"] == "stand-in:taste_of_judges:short, epsilon 12"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("lora", [False, True])
def test_a_run_prefers_the_response_to_which_it_gives_the_higher_reward(penchant, make_run, samples, tmp_path, lora):
    run = make_run(lora=lora)
    pairs = [
        {"prompt": row["prompt"], "chosen": row["a"]["text"], "rejected": row["b"]["text"]}
        for row in rows_of(samples)[:2]
    ]
    scored = penchant("score", "--model", run, "--data", write(tmp_path / "pairs.jsonl", pairs), "--output", "-")
    assert scored.code == 0, scored.err
    expected = [json.loads(line) for line in scored.out.splitlines()]
    result = penchant("judge", samples, "--judge", f"run:{run}", "--output", tmp_path / "votes.jsonl")
    assert result.code == 0, result.err
    votes = rows_of(tmp_path / "votes.jsonl")
    assert [vote["outcome"] for vote in votes[:2]] == ["a" if one["margin"] > 0 else "b" for one in expected]
    for vote, one in zip(votes, expected, strict=False):
        assert vote["meta"]["judge"]["scores"] == pytest.approx(
            [one["reward_chosen"], one["reward_rejected"]], abs=1e-4
        )
    assert (votes[2]["outcome"], votes[2]["meta"]["judge"]) == ("tie", {"identical": True})
    assert votes[0]["annotator"].startswith("stand-in:run:")


def test_rewards_of_a_run_within_epsilon_tie(penchant, make_run, samples, tmp_path):
    run = make_run(lora=False)
    result = penchant(
        "judge", samples, "--judge", f"run:{run}", "--epsilon", "1000", "--output", tmp_path / "votes.jsonl"
    )
    assert result.code == 0, result.err
    assert outcomes(tmp_path / "votes.jsonl") == ["tie"] * 4


def test_what_a_run_cannot_score_is_a_tie_counted_apart(penchant, make_run, samples, tmp_path):
    rows = rows_of(samples)
    rows[0]["prompt"][0]["content"] = "word " * 600
    result = penchant(
        "judge", write(samples, rows), "--judge", f"run:{make_run(lora=False)}", "--output", tmp_path / "votes.jsonl"
    )
    assert result.code == 0, result.err
    first = rows_of(tmp_path / "votes.jsonl")[0]
    assert (first["outcome"], first["meta"]["judge"]) == ("tie", {"unreadable": "prompt_too_long"})
    assert "1 got an answer that cannot be read, or no score: ties" in result.err


def test_an_endpoint_judges_with_a_key_that_is_written_nowhere(penchant, samples, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_JUDGE_KEY", KEY)
    with fake.fake_endpoint(fake.shorter) as server:
        result = penchant(
            "judge", samples, "--judge", server.base, "--judge-model", "m", "--output", tmp_path / "votes.jsonl"
        )
        assert result.code == 0, result.err
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert outcomes(tmp_path / "votes.jsonl") == ["a", "b", "tie", "a"]
    assert "position bias 0.0%" in result.err
    assert "1 had identical responses" in result.err
    assert rows_of(tmp_path / "votes.jsonl")[0]["meta"]["judge"] == {"orders": ["first", "second"]}
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and KEY in file.read_text(errors="replace")]
    assert KEY not in result.out + result.err


def test_a_place_that_always_wins_is_reported_as_position_bias(penchant, samples, tmp_path):
    with fake.fake_endpoint(lambda body: "SECOND") as server:
        result = penchant(
            "judge", samples, "--judge", server.base, "--judge-model", "m", "--output", tmp_path / "votes.jsonl"
        )
    assert result.code == 0, result.err
    assert outcomes(tmp_path / "votes.jsonl") == ["tie"] * 4
    assert "position bias 100.0%" in result.err
    assert "0 went to the first place twice and 3 to the second" in result.err


def test_how_many_questions_were_refused_is_said(penchant, samples, tmp_path):
    def reply(body):
        return (422, "held back", {}) if "a cat" in body["messages"][-1]["content"] else fake.shorter(body)

    with fake.fake_endpoint(reply) as server:
        result = penchant(
            "judge", samples, "--judge", server.base, "--judge-model", "m", "--output", tmp_path / "votes.jsonl"
        )
    assert result.code == 0, result.err
    assert outcomes(tmp_path / "votes.jsonl") == ["a", "tie", "tie", "a"]
    assert rows_of(tmp_path / "votes.jsonl")[1]["meta"]["judge"] == {"unreadable": "HTTP 422: held back"}
    assert "1 got an answer that cannot be read, or no score: ties" in result.err
    assert "1 of these were refused by the server; their field meta.judge says why" in result.err


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_refused_key_is_one_sentence_without_the_key_even_with_a_traceback(
    penchant, samples, tmp_path, monkeypatch, debug
):
    monkeypatch.setenv("PENCHANT_JUDGE_KEY", KEY)
    with fake.fake_endpoint(lambda body: (403, f"no entry with {KEY}", {})) as server:
        result = penchant(
            "judge", samples, "--judge", server.base, "--judge-model", "m", "--output", tmp_path / "v.jsonl", *debug
        )
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert "the server refused the key in PENCHANT_JUDGE_KEY (HTTP 403: no entry with ***); set the right one" in last
    assert KEY not in result.out + result.err


def test_a_dead_endpoint_keeps_what_was_answered_and_a_second_call_goes_on(penchant, samples, tmp_path):
    left = [2]

    def dies(body):
        left[0] -= 1
        return fake.shorter(body) if left[0] >= 0 else (500, "down", {})

    with fake.fake_endpoint(dies) as server:
        asked = ["judge", samples, "--judge", server.base, "--judge-model", "m", "--concurrency", "1"]
        output = ["--output", tmp_path / "votes.jsonl"]
        first = penchant(*asked, *output)
        assert (first.code, "HTTP 500: down" in first.err) == (2, True)
        assert not (tmp_path / "votes.jsonl").exists()
        server.reply = fake.shorter
        again = penchant(*asked, *output)
        assert (again.code, "--resume" in again.err) == (2, True)
        server.asked.clear()
        resumed = penchant(*asked, *output, "--resume")
        assert resumed.code == 0, resumed.err
        asked_again = {
            json.dumps(body) for body in server.asked
        }  # a thread of the first call may still put its own down
        assert len(asked_again) == 4  # the first is known, the third is identical
    assert outcomes(tmp_path / "votes.jsonl") == ["a", "b", "tie", "a"]


def test_agreement_with_people_is_said_with_intervals_and_asked_for_later_too(penchant, samples, tmp_path):
    people = [row | {"outcome": o, "annotator": "anna"} for row, o in zip(rows_of(samples), "aaa", strict=False)]
    people[2]["outcome"] = "both_bad"
    answers = write(tmp_path / "people.jsonl", people)
    asked = ["judge", samples, "--judge", "taste_of_judges:short", "--output", tmp_path / "votes.jsonl"]
    for more in ([], ["--resume"]):
        result = penchant(*asked, "--people", answers, *more)
        assert result.code == 0, result.err
        assert "people gave 3 answers to 3 of these comparisons" in result.err
        assert "agreement      66.7% (95% interval" in result.err
        assert "Cohen's kappa  0.500 (95% interval" in result.err
        assert "the same one in 50.0% (95% interval 1.5% to 98.5%, 2 answers)" in result.err


def test_people_who_answered_something_else_are_refused_before_anything_is_asked(penchant, samples, tmp_path):
    other = write(tmp_path / "people.jsonl", [rows_of(samples)[0] | {"a": {"text": "else"}, "outcome": "a"}])
    result = penchant("judge", samples, "--output", tmp_path / "votes.jsonl", "--people", other)
    assert (result.code, "answers none of the comparisons in" in result.err) == (2, True)
    assert not (tmp_path / "votes.jsonl").exists()


def test_the_file_of_comparisons_is_not_written_over(penchant, samples, tmp_path):
    before = samples.read_bytes()
    for more in ([], ["--resume"]):
        result = penchant("judge", samples, "--output", tmp_path / "." / samples.name, *more)
        assert (result.code, ": this is the file of comparisons itself" in result.err) == (2, True), result.err
    assert samples.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--judge-model", "m"], "--judge-model is for an endpoint"),
        (["--concurrency", "2"], "--concurrency is for an endpoint"),
        (["--timeout", "2"], "--timeout is for an endpoint"),
        (["--judge-reference", "x"], "--judge-reference is for a run"),
        (["--device", "cpu"], "`), and the judge is 'positivity'; leave it out"),
        (["--judge", "http://127.0.0.1:9/v1", "--judge-model", "m", "--dtype", "float32"], "--dtype is for a run"),
        (["--judge", "http://127.0.0.1:9/v1"], "--judge-model is missing; name the model to ask"),
        (["--judge", "http://127.0.0.1:9/v1", "--judge-model", "m", "--epsilon", "1"], "--epsilon is for a function"),
        (["--judge", "http://u:p@127.0.0.1:9/v1", "--judge-model", "m"], "more than host and path"),
        (["--judge", "run:nowhere"], "nowhere: no such folder"),
        (["--judge", "positivty"], "did you mean 'positivity'"),
        (
            ["--instructions", "missing.txt", "--judge", "http://h/v1", "--judge-model", "m"],
            "missing.txt: cannot be read",
        ),
    ],
)
def test_an_option_that_the_judge_does_not_read_is_refused(penchant, samples, tmp_path, options, words):
    result = penchant("judge", samples, "--output", tmp_path / "votes.jsonl", *options)
    assert (result.code, words in result.err) == (2, True), result.err
    assert not (tmp_path / "votes.jsonl").exists()
