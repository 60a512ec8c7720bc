"""What a run came from, and whether it still is what was trained."""

import json
import shutil

import pytest

import penchant as pt
from penchant.training.lineage import Origin

WORDS = ("dog", "cat", "ball", "park", "tree", "boat", "sun", "moon")


@pytest.fixture(scope="module")
def runs(penchant, stories260k, tmp_path_factory):
    """Two runs: `first` from a file of a judge's answers, `second` an adapter on it, from plain pairs."""
    here = tmp_path_factory.mktemp("provenance")
    sides = {"chosen": " it was happy.", "rejected": " it was sad."}
    pairs = [{"prompt": f"Once there was a {word} and", **sides} for word in WORDS]
    answers = [
        {
            "id": f"t-{word}",
            "prompt": [{"role": "user", "content": f"Once upon a time there was a {word} and"}],
            "a": {"text": " it was happy.", "source": {"model": "small@0123"}},
            "b": {"text": " it was sad.", "source": {"model": "small@0123"}},
            "outcome": "a",
            "annotator": "stand-in:positivity",
        }
        for word in WORDS
    ]
    for name, rows in (("pairs.jsonl", pairs), ("answers.jsonl", answers)):
        (here / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for run, model, data in (
        ("first", (stories260k, "--chat-template", "plain"), "answers.jsonl"),
        ("second", (here / "first", "--lora"), "pairs.jsonl"),
    ):
        result = penchant(
            *("dpo", "--model", *model, "--data", here / data, "--output", here / run),
            *("--set", "save.num_samples=1", "--set", "save.sample_tokens=4", "--set", "save.checkpoint_every=1"),
            *("--batch-size", 4),
        )
        assert result.code == 0, result.err
    return here


@pytest.fixture
def copies(runs, tmp_path):
    """The two runs in a folder of their own, which a test may change."""
    for run in ("first", "second"):
        shutil.copytree(runs / run, tmp_path / run)
    return tmp_path


def findings(result):
    found = json.loads(result.out)["findings"]
    return {finding["what"]: (finding["status"], finding["text"]) for finding in found}


@pytest.mark.slow(threads=1)
def test_a_run_that_nobody_touched_verifies_line_by_line(penchant, runs):
    result = penchant("verify", runs / "second")
    assert result.code == 0, result.out
    lines = result.out.splitlines()
    assert all(line.startswith("same ") for line in lines)
    told = [line.split()[1] for line in lines]
    rows = ["metrics.jsonl", "samples.jsonl"]
    assert told == ["config.yaml", "model", "base", "began", "data", *rows, "checkpoint", "report.html"]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("model/adapter_model.safetensors", "model"),
        ("config.yaml", "config.yaml"),
        ("metrics.jsonl", "metrics.jsonl"),
        ("samples.jsonl", "samples.jsonl"),
        ("checkpoints/step-1/weights.safetensors", "checkpoint step-1"),
        ("report.html", "report.html"),
    ],
)
def test_whatever_is_changed_in_a_run_is_found(penchant, copies, file, what):
    path = copies / "second" / file
    if file == "report.html":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] = 0
        path.write_bytes(bytes(content))
    result = penchant("verify", copies / "second", "--json")
    assert result.code == 1
    found = findings(result)
    assert found[what][0] == "differs"
    assert [status for status, _ in found.values()].count("differs") == 1


def change(file, content=None):
    """Another file that reads as well; None: no file."""
    if content is None:
        file.unlink()
    else:
        file.write_text(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", '{"step": 1, "loss": 0.1}\n'),
        ("samples.jsonl", '{"step": 1, "response": "better"}\n'),
        ("samples.jsonl", None),
    ],
)
def test_what_reads_as_well_as_what_was_written_is_found_too(copies, name, content):
    run = copies / "first"
    assert {finding.status for finding in pt.verify(run)} == {"same"}
    change(run / name, content)
    assert [finding.what for finding in pt.verify(run) if finding.status == "differs"] == [name]


def test_data_that_is_another_or_gone_and_a_parent_that_changed_are_told_apart(penchant, runs, copies):
    ledger = json.loads((copies / "second" / "run.json").read_text())
    data = copies / "pairs.jsonl"
    ledger["data_files"][0]["path"] = str(data)
    (copies / "second" / "run.json").write_text(json.dumps(ledger))
    assert findings(penchant("verify", copies / "second", "--json"))["data"][0] == "unknown"
    shutil.copy(runs / "pairs.jsonl", data)
    assert findings(penchant("verify", copies / "second", "--json"))["data"][0] == "same"
    data.write_text(data.read_text() + "\n")
    assert findings(penchant("verify", copies / "second", "--json"))["data"] == ("differs", f"{data} has changed")


def test_a_run_from_before_these_facts_is_told_so_and_does_not_fail(penchant, copies):
    ledger = json.loads((copies / "first" / "run.json").read_text())
    for key in ("origins", "model_files", "data_files", "run_files"):
        del ledger[key]
    (copies / "first" / "run.json").write_text(json.dumps(ledger))
    result = penchant("verify", copies / "first", "--json")
    assert result.code == 0
    assert findings(result)["model"] == (
        "unknown",
        "this run was written before Penchant recorded digests of its files",
    )
    assert findings(result)["data"][0] == "same"
    rows = ("metrics.jsonl", "samples.jsonl")
    assert {findings(result)[name][0] for name in rows} == {"unknown"}
    shown = penchant("lineage", copies / "first")
    assert shown.code == 0
    assert "not recorded when it was written" in shown.out


def test_a_changed_run_is_refused_wherever_it_is_a_model(penchant, runs, copies):
    (copies / "first" / "model" / "config.json").write_text("{}")
    for command in (
        ("score", "--model", copies / "first", "--data", runs / "pairs.jsonl"),
        ("eval", copies / "first"),
        ("export", copies / "first", "--merged", copies / "merged"),
        ("dpo", "--model", copies / "first", "--data", runs / "pairs.jsonl", "--output", copies / "third"),
        ("chat", copies / "first"),
    ):
        result = penchant(*command)
        assert result.code == 2, command
        assert "config.json has changed since the run wrote it" in result.err
    assert not (copies / "merged").exists()
    assert not (copies / "third").exists()


def test_the_lineage_goes_down_to_parent_runs_files_and_judges(penchant, runs, stories260k):
    result = penchant("lineage", runs / "second")
    assert result.code == 0, result.err
    shown = [line.lstrip("│├└─ ") for line in result.out.splitlines()]
    assert shown[0].startswith(f"run {runs / 'second'}  (dpo, dpo, LoRA; ")
    assert shown[1].startswith(f"model, run {runs / 'first'}  (dpo, dpo; ")
    assert shown[2].startswith(f"model {stories260k.resolve()}  (weights ")
    assert shown[3].startswith(f"data {runs / 'answers.jsonl'}  (sha256 ")
    assert shown[4:6] == ["answers by stand-in:positivity  (8)", "responses by small@0123  (16)"]
    assert shown[6].startswith(f"data {runs / 'pairs.jsonl'}  (sha256 ")
    tree = json.loads(penchant("lineage", runs / "second", "--json").out)
    assert [node["kind"] for node in tree["of"]] == ["model, run", "data"]
    assert tree["of"][0]["of"][1]["of"][0]["name"] == "stand-in:positivity"


def test_printed_in_python_a_lineage_is_the_tree_that_the_command_prints(penchant, runs):
    assert str(pt.lineage(runs / "second")) + "\n" == penchant("lineage", runs / "second").out


def test_a_name_in_a_lineage_cannot_move_the_cursor():
    shown = str(Origin("run", "a\x1b[2Jb", of=(Origin("model", "c\x07"),)))
    assert shown == "run a\N{REPLACEMENT CHARACTER}[2Jb\n└── model c\N{REPLACEMENT CHARACTER}"


def test_a_parent_run_that_is_gone_or_was_trained_again_is_told(penchant, copies):
    ledger = json.loads((copies / "second" / "run.json").read_text())
    ledger["origins"]["model"] |= {"run": str(copies / "first")}
    (copies / "second" / "run.json").write_text(json.dumps(ledger))
    parent = json.loads((copies / "first" / "run.json").read_text())
    parent["model_files"]["model.safetensors"] = "0" * 64
    (copies / "first" / "run.json").write_text(json.dumps(parent))
    assert "another one was in this folder when weights" in penchant("lineage", copies / "second").out
    shutil.rmtree(copies / "first")
    assert "a run that is not there any more" in penchant("lineage", copies / "second").out


def test_a_base_model_that_is_not_there_any_more_is_unknown_and_named(penchant, copies):
    file = copies / "second" / "model" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "/gone/base"}))
    status, text = findings(penchant("verify", copies / "second", "--json"))["base model"]
    assert status == "unknown"
    assert "base_model_name_or_path is not found (/gone/base" in text


@pytest.mark.parametrize("origins", ["recorded", "from before"])
def test_models_named_by_a_relative_path_are_found_from_another_folder_and_after_all_was_moved(
    penchant, copies, monkeypatch, origins
):
    """The runs were made in another folder, which is gone, by names that hold there alone."""
    ledger = json.loads((copies / "second" / "run.json").read_text())
    ledger["config"]["model"]["name"], ledger["config"]["output"] = "first", "second"
    ledger["origins"]["model"] |= {"name": "first", "path": "/gone/first/model", "run": "/gone/first"}
    if origins == "from before":
        del ledger["origins"]
    (copies / "second" / "run.json").write_text(json.dumps(ledger))
    (copies / "elsewhere").mkdir()
    monkeypatch.chdir(copies / "elsewhere")
    tree = json.loads(penchant("lineage", "../second", "--json").out)
    assert tree["of"][0]["kind"] == "model, run"
    assert tree["of"][0]["name"] == str(copies / "first")
    assert [node["kind"] for node in tree["of"][0]["of"]] == ["model", "data"]


@pytest.mark.slow(threads=1)
def test_a_reference_named_by_a_relative_path_is_found_from_another_folder(
    penchant, copies, runs, stories260k, monkeypatch
):
    shutil.copytree(stories260k, copies / "base")
    ledger = json.loads((copies / "first" / "run.json").read_text())
    ledger["config"]["model"]["name"], ledger["config"]["output"] = "base", "first"
    (copies / "elsewhere").mkdir()
    monkeypatch.chdir(copies / "elsewhere")
    for origins in (
        {"model": ledger["origins"]["model"] | {"path": str(copies / "base")}},
        {"model": ledger["origins"]["model"] | {"path": "/gone"}},
    ):
        (copies / "first" / "run.json").write_text(json.dumps(ledger | {"origins": origins}))
        result = penchant("score", "--model", "../first", "--data", runs / "pairs.jsonl")
        assert result.code == 0, result.err


@pytest.fixture(scope="module")
def exported(penchant, runs):
    """`merged`, exported from `second`, and `third`, a run that was trained from it."""
    result = penchant("export", runs / "second", "--merged", runs / "merged", "--dtype", "bfloat16")
    assert result.code == 0, result.err
    result = penchant(
        *("dpo", "--model", runs / "merged", "--data", runs / "pairs.jsonl", "--output", runs / "third"),
        *("--set", "save.num_samples=0", "--set", "optimiser.max_steps=1"),
    )
    assert result.code == 0, result.err
    return runs


@pytest.mark.slow(threads=1)
def test_the_lineage_goes_through_an_exported_model_to_its_run_and_on(penchant, exported):
    model = json.loads(penchant("lineage", exported / "third", "--json").out)["of"][0]
    assert (model["kind"], model["name"]) == ("model", str(exported / "merged"))
    assert model["facts"][1].startswith("exported 20")
    assert model["facts"][1].endswith(" as bfloat16")
    (second,) = model["of"]
    assert (second["kind"], second["name"]) == ("model, run", str(exported / "second"))
    assert second["of"][0]["name"] == str(exported / "first")
    alone = json.loads(penchant("lineage", exported / "merged", "--json").out)
    assert (alone["kind"], alone["name"], alone["of"]) == ("model", str(exported / "merged"), model["of"])
    assert "responses by small@0123" in penchant("lineage", exported / "merged").out


@pytest.mark.slow(threads=1)
def test_an_exported_model_verifies_and_whatever_is_changed_in_it_is_found(penchant, exported, tmp_path):
    result = penchant("verify", exported / "merged")
    assert result.code == 0, result.out
    told = [line.partition("/")[0].split() for line in result.out.splitlines()]
    assert told == [["same", "model"], ["same", "exported", "from"]]
    assert penchant("verify", exported / "third").code == 0
    shutil.copytree(exported / "merged", tmp_path / "merged")
    (tmp_path / "merged" / "config.json").write_text("{}")
    result = penchant("verify", tmp_path / "merged", "--json")
    assert result.code == 1
    assert findings(result)["model"] == ("differs", f"{tmp_path / 'merged'}: config.json has changed")
    (tmp_path / "merged" / "provenance.json").write_text("{")
    result = penchant("verify", tmp_path / "merged")
    assert result.code == 2
    assert "provenance.json: damaged" in result.err


def test_a_model_whose_weights_were_changed_since_its_export_has_no_other_past(penchant, exported, tmp_path):
    from penchant.training.lineage import lineage
    from penchant.training.origins import origin_of

    shutil.copytree(exported / "third", tmp_path / "third")
    shutil.copytree(exported / "merged", tmp_path / "merged")
    shutil.copy(exported / "first" / "model" / "model.safetensors", tmp_path / "merged")
    ledger = json.loads((tmp_path / "third" / "run.json").read_text())
    ledger["origins"] = {"model": origin_of(str(tmp_path / "merged"), tmp_path / "merged")}
    (tmp_path / "third" / "run.json").write_text(json.dumps(ledger))
    model = lineage(tmp_path / "third").of[0]
    assert model.facts[-1] == "its weights were changed since"
    assert model.of == ()


def test_what_is_no_run_is_the_users_mistake(penchant, tmp_path):
    for command in ("verify", "lineage"):
        result = penchant(command, tmp_path)
        assert result.code == 2
        assert "not a run folder" in result.err


@pytest.mark.slow(threads=1)
def test_a_run_whose_model_was_not_written_as_trained_keeps_none_and_goes_on_with_resume(
    penchant, runs, stories260k, tmp_path, monkeypatch
):
    from penchant.models import written

    def damaged(*_):
        raise written.WrittenError("its weight w differs")

    command = (
        *("dpo", "--model", stories260k, "--chat-template", "plain", "--data", runs / "pairs.jsonl"),
        *("--output", tmp_path / "run", "--set", "save.num_samples=0"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(written, "_compare_tensors", damaged)
        result = penchant(*command)
    assert result.code == 1
    assert "the model that was written there differs from the one in memory (its weight w differs)" in result.err
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".safetensors", ".html")]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"
    assert penchant(*command, "--resume").code == 0
    assert penchant("verify", tmp_path / "run").code == 0
