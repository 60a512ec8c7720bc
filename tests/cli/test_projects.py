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
    def run(command, *options, name="run"):
        return penchant(
            command,
            *("--model", stories260k, "--chat-template", "plain", "--data", project, "--output", tmp_path / name),
            *("--set", "save.num_samples=0", *options),
        )

    return run


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
    assert ledger["num_train_pairs"] + ledger["num_held_out_pairs"] == per_answer * len(WORDS)


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


def test_a_stopped_run_goes_on_with_the_answers_it_began_with(train, penchant, project, tmp_path, monkeypatch):
    from penchant.training import run

    with monkeypatch.context() as patch:
        patch.setattr(run, "_train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
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
    assert "no answer there makes pairs yet; collect some with `penchant annotate" in result.err
    assert not (tmp_path / "run").exists()
