"""Answers of people as training data: `--data PROJECT`."""

import json
from pathlib import Path

import pytest

WORDS = ("dog", "cat", "ball", "park", "tree", "boat")


@pytest.fixture
def project(penchant, tmp_path):
    """A project whose six answers prefer the happy end."""
    path = tmp_path / "votes.jsonl"
    rows = [
        {
            "id": f"t-{word}",
            "prompt": [{"role": "user", "content": f"Once upon a time there was a {word}. Tom saw the {word} and"}],
            "a": {"text": " was very happy."},
            "b": {"text": " was sad and cried."},
            "outcome": "a",
            "annotator": "ann",
        }
        for word in WORDS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = penchant("votes", "import", tmp_path / "people", path)
    assert result.code == 0, result.err
    return tmp_path / "people"


@pytest.fixture
def train(penchant, stories260k, project, tmp_path):
    def run(command, *options, name="run", data=project):
        return penchant(
            command,
            *("--model", stories260k, "--chat-template", "plain", "--data", data, "--output", tmp_path / name),
            *("--set", "save.num_samples=0", *options),
        )

    return run


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("command", "options", "kind"),
    [("dpo", (), "pairs"), ("dpo", ("--objective", "kto"), "kto"), ("sft", (), "sft")],
    ids=["dpo", "kto", "sft"],
)
def test_a_project_is_read_as_the_rows_that_the_objective_needs(train, project, tmp_path, command, options, kind):
    result = train(command, *options)
    assert result.code == 0, result.err
    ledger = json.loads((tmp_path / "run" / "run.json").read_text())
    (file,) = ledger["data"]
    assert file.startswith(str(project / "exports" / f"{kind}-"))
    per_answer = 2 if kind == "kto" else 1
    read = {"kto": "responses", "sft": "texts"}.get(kind, "pairs")
    assert ledger[f"num_train_{read}"] + ledger[f"num_held_out_{read}"] == per_answer * len(WORDS)


@pytest.mark.slow
def test_what_a_run_was_trained_on_stays_when_people_go_on_voting(train, penchant, project, tmp_path):
    assert train("dpo", name="before").code == 0
    more = tmp_path / "more.jsonl"
    row = {"id": "t-new", "prompt": [{"role": "user", "content": "Once"}], "a": {"text": " upon"}, "b": {"text": " x"}}
    more.write_text(json.dumps({**row, "outcome": "b", "annotator": "ann"}) + "\n")
    assert penchant("votes", "import", project, more).code == 0
    assert train("dpo", name="after").code == 0
    assert train("dpo", name="again").code == 0
    files = [json.loads((tmp_path / n / "run.json").read_text())["data"][0] for n in ("before", "after", "again")]
    assert files[0] != files[1] == files[2]
    rows = [len(Path(file).read_text().splitlines()) for file in files[:2]]
    assert rows == [len(WORDS), len(WORDS) + 1]


@pytest.mark.slow(threads=1)
def test_a_stopped_run_goes_on_with_the_answers_it_began_with(train, penchant, project, tmp_path, monkeypatch):
    from penchant.training import run

    with monkeypatch.context() as patch:
        patch.setattr(run, "Loop", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert train("dpo").code == 130
    began_with = json.loads((tmp_path / "run" / "run.json").read_text())["config"]["data"]["files"]
    more = tmp_path / "more.jsonl"
    row = {"id": "t-new", "prompt": [{"role": "user", "content": "Once"}], "a": {"text": " upon"}, "b": {"text": " x"}}
    more.write_text(json.dumps({**row, "outcome": "b", "annotator": "ann"}) + "\n")
    assert penchant("votes", "import", project, more).code == 0
    result = train("dpo", "--resume")
    assert result.code == 0, result.err
    ledger = json.loads((tmp_path / "run" / "run.json").read_text())
    assert ledger["config"]["data"]["files"] == began_with
    assert ledger["num_train_pairs"] + ledger["num_held_out_pairs"] == len(WORDS)


def test_a_project_without_answers_says_how_to_collect_some(penchant, stories260k, tmp_path):
    path = tmp_path / "asked.jsonl"
    row = {"id": "t", "prompt": [{"role": "user", "content": "Once"}], "a": {"text": " upon"}, "b": {"text": " x"}}
    path.write_text(json.dumps(row) + "\n")
    assert penchant("votes", "import", tmp_path / "people", path).code == 0
    result = penchant("dpo", "--model", stories260k, "--data", tmp_path / "people", "--output", tmp_path / "run")
    assert result.code == 2
    assert "no answer in it can be written as pairs yet; collect some with `penchant annotate" in result.err
    assert not (tmp_path / "run").exists()


OUTCOMES = ("a", "a", "b", "tie", "tie", "both_bad")


@pytest.fixture
def disputed(penchant, tmp_path):
    """Six tasks that Ann answered in every way there is, and of which Bea answered two, one the other way."""
    rows = [
        {
            "id": f"t-{word}",
            "prompt": [{"role": "user", "content": f"Once upon a time there was a {word}. Tom saw the {word} and"}],
            "a": {"text": " was very happy."},
            "b": {"text": " was sad and cried."},
            "outcome": outcome,
            "annotator": "Ann",
        }
        for word, outcome in zip(WORDS, OUTCOMES, strict=True)
    ]
    rows += [rows[0] | {"annotator": "Bea"}, rows[1] | {"annotator": "Bea", "outcome": "b"}]
    (tmp_path / "disputed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert penchant("votes", "import", tmp_path / "disputed", tmp_path / "disputed.jsonl").code == 0
    return tmp_path / "disputed"


BECAME = (
    "6 of 6 tasks answered, 8 answers; 2 pairs by {}; "
    "no pair from 2 ties, 1 both bad, 1 in which no answer has most votes"
)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("labels", "probabilities"), [("majority", {1.0}), ("soft", {0.75, 2.5 / 3})])
def test_it_is_said_what_became_of_the_votes_and_the_ledger_keeps_it(
    penchant, stories260k, disputed, tmp_path, labels, probabilities
):
    result = penchant(
        *("dpo", "--model", stories260k, "--chat-template", "plain", "--data", disputed, "--labels", labels),
        *("--output", tmp_path / "run", "--set", "save.num_samples=0"),
    )
    assert result.code == 0, result.err
    assert BECAME.format(labels) in result.err
    ledger = json.loads((tmp_path / "run" / "run.json").read_text())
    (file,) = ledger["data_files"]
    became = {name: file["votes"][name] for name in ("tasks", "answers", "pairs", "tie", "both_bad", "tied", "labels")}
    assert became == {
        **{"tasks": 6, "answers": 8, "pairs": 2, "tie": 2, "both_bad": 1, "tied": 1},
        "labels": labels,
    }
    assert file["votes"]["answered_by"] == {"2 people": 8}
    rows = [json.loads(line) for line in Path(file["path"]).read_text().splitlines()]
    assert {round(row.get("probability", 1.0), 6) for row in rows} == {round(p, 6) for p in probabilities}
    lineage = penchant("lineage", tmp_path / "run").out
    assert f"votes {disputed}  (8 answers to 6 tasks, 2 pairs by {labels})" in lineage
    assert "answers by 2 people  (8)" in lineage


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--objective", "kto"), "the format kto labels each response true or false"),
        (("--objective", "dpop"), "dpop does not read"),
    ],
)
def test_soft_labels_are_refused_where_the_objective_would_not_read_them(train, disputed, options, words):
    result = train("dpo", "--labels", "soft", *options, data=disputed)
    assert result.code == 2
    assert words in result.err


def test_labels_of_no_project_are_refused_rather_than_ignored(penchant, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    for command in (("dpo", "--output", tmp_path / "run", "--data"), ("check",)):
        result = penchant(*command, tmp_path / "pairs.jsonl", "--labels", "soft")
        assert result.code == 2
        assert (
            "`--labels soft`: says how the votes of a project become pairs, but none of the files is a project"
            in result.err
        )


def test_an_unknown_word_for_labels_is_refused(penchant, disputed):
    result = penchant("check", disputed, "--labels", "hard")
    assert result.code == 2
    assert "majority or by soft labels, got 'hard'" in result.err


@pytest.mark.slow(threads=1)
def test_a_run_goes_on_with_the_labels_it_began_with(train, disputed, tmp_path, monkeypatch):
    from penchant.training import run

    with monkeypatch.context() as patch:
        patch.setattr(run, "Loop", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert train("dpo", "--labels", "soft", data=disputed).code == 130
    refused = train("dpo", "--labels", "majority", "--resume", data=disputed)
    assert refused.code == 2
    assert "`--labels majority`: the run was begun with soft" in refused.err
    result = train("dpo", "--resume", data=disputed)
    assert result.code == 0, result.err
    assert BECAME.format("soft") in result.err


def test_a_project_is_checked_as_the_pairs_that_training_would_read(penchant, stories260k, disputed):
    result = penchant("check", disputed, "--model", stories260k, "--chat-template", "plain", "--json")
    assert result.code == 0, result.err
    assert BECAME.format("majority") in result.err
    found = json.loads(result.out)
    assert (found["kind"], found["num_rows"], found["num_bad"]) == ("pairs", 2, 0)
    assert found["votes"][0]["tie"] == 2


@pytest.mark.slow(threads=1)
def test_pairs_of_a_project_are_scored(penchant, make_run, disputed):
    result = penchant("score", "--model", make_run(lora=True), "--data", disputed, "--output", "-")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 2
    assert BECAME.format("majority") in result.err


def test_answers_that_make_no_pair_say_what_they_are(penchant, stories260k, tmp_path):
    row = {"id": "t", "prompt": [{"role": "user", "content": "Once"}], "a": {"text": " upon"}, "b": {"text": " x"}}
    (tmp_path / "tie.jsonl").write_text(json.dumps(row | {"outcome": "tie", "annotator": "Ann"}) + "\n")
    assert penchant("votes", "import", tmp_path / "people", tmp_path / "tie.jsonl").code == 0
    result = penchant("dpo", "--model", stories260k, "--data", tmp_path / "people", "--output", tmp_path / "run")
    assert result.code == 2
    assert "no answer in it can be written as pairs yet" in result.err
    assert "no pair from 1 ties" in result.err
    assert not list((tmp_path / "people" / "exports").iterdir())
