"""What is refused is refused before any work, in one sentence that is true, and leaves nothing in the way."""

import json
import shutil
import sys

import pytest

GOOD = {"prompt": "Once upon a time", "chosen": "there was a cat.", "rejected": "there was a dog."}
PAIRS = [{**GOOD, "prompt": f"Once upon a time {i}"} for i in range(8)]


def write(path, rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


@pytest.fixture
def pairs(tmp_path):
    return write(tmp_path / "pairs.jsonl", PAIRS)


@pytest.fixture
def story(stories260k):
    return ["--model", stories260k, "--chat-template", "plain"]


@pytest.fixture
def no_model(monkeypatch, make_run):
    """Fail where a model is loaded: what is refused before any work never comes to that."""
    make_run(lora=False)  # which loads one

    def load(*_args, **_options):
        raise AssertionError("a model was loaded")

    for name in ("models.load.read_network", "models.encoder.base_of"):  # as these modules call them
        monkeypatch.setattr(f"penchant.{name}", load)


@pytest.fixture
def nowhere(tmp_path):
    """A place in which nothing can be created, whoever asks."""
    (tmp_path / "file").write_text("mine")
    return tmp_path / "file" / "inside"


@pytest.mark.parametrize(
    "options", [["--learning-rate", "inf"], ["--set", "optimiser.weight_decay=inf"], ["--set", "dpo.sft_weight=.inf"]]
)
def test_an_infinite_setting_is_refused_by_its_name(penchant, story, pairs, tmp_path, no_model, options):
    result = penchant("dpo", *story, "--data", pairs, "--output", tmp_path / "run", *options)
    assert result.code == 2, result.err
    assert "must be a finite number, got inf" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow(threads=1)
def test_a_run_whose_weights_ran_away_ends_with_1_and_says_so(penchant, story, pairs, tmp_path):
    options = ["--learning-rate", "1e38", "--set", "optimiser.weight_decay=1000", "--set", "optimiser.max_steps=1"]
    options += ["--set", "optimiser.warmup_ratio=0"]
    result = penchant("dpo", *story, "--data", pairs, "--output", tmp_path / "run", *options)
    assert result.code == 1, result.err
    assert "the trained weights are not finite" in result.err
    assert "fault of Penchant" not in result.err


def test_a_seed_below_zero_is_refused_before_any_work(penchant, story, pairs, tmp_path, make_run, no_model):
    for command in ("dpo", "sft"):
        result = penchant(command, *story, "--data", pairs, "--output", tmp_path / "run", "--seed", "-1")
        assert result.code == 2, result.err
        assert "'seed' must be greater than or equal to 0, got -1" in result.err
        assert not (tmp_path / "run").exists()
    sample = penchant("sample", *story, "-p", "everyday-test", "-o", tmp_path / "s.jsonl", "--seed", "-1")
    evaluate = penchant("eval", make_run(lora=False), "--seed", "-1")
    for result in (sample, evaluate):
        assert result.code == 2, result.err
        assert "--seed" in result.err


@pytest.mark.slow(threads=1)
def test_a_refused_run_does_not_block_the_corrected_one(penchant, story, pairs, tmp_path):
    run = ["dpo", *story, "--data", pairs, "--output", tmp_path / "run", "--set", "optimiser.max_steps=1"]
    refused = penchant(*run, "--set", "model.lora={targets: [nowhere]}")
    assert refused.code == 2
    assert not (tmp_path / "run").exists()
    assert penchant(*run).code == 0


@pytest.fixture
def long_prompts(tmp_path):
    return write(tmp_path / "prompts.jsonl", [{"prompt": "Once"}, {"prompt": "word " * 600}])


@pytest.mark.slow(threads=1)
def test_a_prompt_that_is_too_long_is_named_by_its_line_and_leaves_no_file(penchant, story, tmp_path, long_prompts):
    output = tmp_path / "samples.jsonl"
    run = ["sample", *story, "--output", output, "--max-new-tokens", "4", "--prompts", long_prompts]
    refused = penchant(*run)
    assert refused.code == 2
    assert f"{long_prompts}:2: its " in refused.err
    assert "context of 512" in refused.err
    assert not output.exists()
    assert penchant(*run, "--max-prompts", "1").code == 0


def test_eval_names_a_prompt_that_is_too_long_by_its_line(penchant, make_run, long_prompts):
    result = penchant("eval", make_run(lora=False), "--prompts", long_prompts)
    assert result.code == 2
    assert f"{long_prompts}:2: its " in result.err


def test_bad_prompts_are_named_without_an_option_that_sample_does_not_have(penchant, story, tmp_path, no_model):
    path = write(tmp_path / "prompts.jsonl", [{"prompt": "Once"}, {"prompt": ""}])
    result = penchant("sample", *story, "--prompts", path, "--output", tmp_path / "s.jsonl")
    assert result.code == 2
    assert f"{path}:2" in result.err
    assert "--on-bad-row" not in result.err


@pytest.mark.parametrize("command", ["dpo", "sft", "sample", "export", "score"])
def test_an_output_that_cannot_be_created_is_one_sentence_before_the_work(
    penchant, story, pairs, make_run, nowhere, no_model, command
):
    arguments = {
        "dpo": [*story, "--data", pairs, "--output", nowhere],
        "sft": [*story, "--data", pairs, "--output", nowhere],
        "sample": [*story, "--prompts", "everyday-test", "--output", nowhere],
        "export": [make_run(lora=False), "--merged", nowhere],
        "score": ["--model", make_run(lora=False), "--data", pairs, "--output", nowhere],
    }[command]
    result = penchant(command, *arguments)
    assert result.code == 2, result.err
    option = "--merged" if command == "export" else "--output"
    assert result.err == f"penchant: {nowhere}: cannot be created (Not a directory); choose another {option}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_a_file_system_that_takes_nothing_is_refused_too(penchant, story, pairs):
    result = penchant("dpo", *story, "--data", pairs, "--output", "/proc/run")
    assert result.code == 2
    assert "/proc/run: cannot be created" in result.err


@pytest.mark.parametrize("command", ["score", "eval"])
@pytest.mark.parametrize("objective", ["simpo", "cpo", "orpo"])
def test_a_run_without_a_reference_asks_for_one_before_any_work(
    penchant, make_run, pairs, tmp_path, no_model, command, objective
):
    run = tmp_path / "run"
    run.mkdir()
    ledger = json.loads((make_run(lora=False) / "run.json").read_text())
    ledger["config"]["dpo"]["objective"] = objective
    (run / "run.json").write_text(json.dumps(ledger | {"reference_digest": ""}))
    (run / "model").symlink_to(make_run(lora=False) / "model")
    result = penchant("score", "--model", run, "--data", pairs) if command == "score" else penchant("eval", run)
    assert result.code == 2, result.err
    assert f"was trained with {objective}, which has no reference policy" in result.err
    assert "--reference" in result.err


@pytest.mark.slow(threads=1)
def test_a_run_without_a_reference_is_scored_against_the_one_given(penchant, story, pairs, tmp_path, stories260k):
    run = tmp_path / "run"
    train = ["dpo", *story, "--data", pairs, "--output", run, "--objective", "simpo", "--set", "optimiser.max_steps=1"]
    assert penchant(*train).code == 0
    assert penchant("score", "--model", run, "--data", pairs).code == 2
    assert penchant("score", "--model", run, "--data", pairs, "--reference", stories260k).code == 0


def test_check_does_not_advise_an_option_it_does_not_have(penchant, story, tmp_path):
    result = penchant("check", write(tmp_path / "rows.jsonl", ["{torn", "{torn"]), *story)
    assert result.code == 2
    assert "rows.jsonl:1: the line is not JSON" in result.err
    assert "2 bad rows in 2 read" in result.err
    assert "--on-bad-row" not in result.err


def test_check_looks_at_the_files_before_the_model(penchant, stories260k, tmp_path):
    result = penchant("check", tmp_path / "none.jsonl", "--model", stories260k)
    assert result.code == 2
    assert "none.jsonl: there is no such file" in result.err
    good = write(tmp_path / "pairs.jsonl", PAIRS)
    second = penchant("check", good, tmp_path / "none.jsonl", "--model", stories260k)
    assert "none.jsonl: there is no such file" in second.err


def test_a_project_of_votes_and_any_other_folder_are_called_what_they_are(penchant, story, tmp_path, no_model):
    project, other = tmp_path / "votes", tmp_path / "other"
    for folder in (project, other):
        folder.mkdir()
    (project / "project.yaml").write_text("title: x\n")
    checked = penchant("check", project, *story)
    assert checked.code == 2
    assert f"{project}: penchant.db is missing" in checked.err, "it is read as a project"
    refused = penchant("check", other, *story)
    assert refused.code == 2
    assert f"{other}: is an empty folder; name one" in refused.err


@pytest.mark.parametrize("command", ["dpo", "sft"])
@pytest.mark.usefixtures("no_model")
def test_training_looks_at_data_and_folder_before_the_model(penchant, story, tmp_path, command):
    missing = penchant(command, *story, "--data", tmp_path / "none.jsonl", "--output", tmp_path / "run")
    assert (missing.code, "none.jsonl: there is no such file" in missing.err) == (2, True)
    data, taken = write(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "taken"
    taken.mkdir()
    (taken / "run.json").write_text("{}")
    refused = penchant(command, *story, "--data", data, "--output", taken)
    assert (refused.code, "taken: already holds a run" in refused.err) == (2, True)


@pytest.mark.parametrize("command", ["dpo", "sft"])
def test_an_empty_folder_is_no_data(penchant, story, tmp_path, command):
    (tmp_path / "other").mkdir()
    result = penchant(command, *story, "--data", tmp_path / "other", "--output", tmp_path / "run")
    assert result.code == 2
    assert f"{tmp_path / 'other'}: is an empty folder; name one" in result.err


def test_a_misspelt_column_is_named_with_the_one_that_was_meant(penchant, story, tmp_path):
    row = {"prompt": "Once", "chosen": "a", "rejectd": "b"}
    result = penchant("check", write(tmp_path / "rows.jsonl", [row]), *story)
    assert result.code == 2
    assert "rows.jsonl: there is no column 'rejected', only 'rejectd'; correct its name" in result.err
    assert "`--columns rejectd=rejected`" in result.err


@pytest.mark.parametrize(
    ("place", "name"), [(["--set", "dpo.beta=0.1", "--set", "dpo.beta=0.2"], "dpo.beta"), (["--config"], "epochs")]
)
def test_a_key_given_twice_is_refused(penchant, story, pairs, tmp_path, no_model, place, name):
    if place == ["--config"]:
        (tmp_path / "c.yaml").write_text("optimiser:\n  epochs: 1\n  epochs: 2\n")
        place = ["--config", tmp_path / "c.yaml"]
    result = penchant("dpo", *story, "--data", pairs, "--output", tmp_path / "run", *place)
    assert result.code == 2
    assert f"'{name}' appears twice; keep one of them" in result.err


@pytest.fixture
def refusing(tmp_path):
    """A chat template that takes no system message, and prompts of which the second has one."""
    template = tmp_path / "strict.jinja"
    template.write_text(
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
        "{{ m['content'] }}{% endfor %}"
    )
    system = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Once"}]
    return template, write(tmp_path / "prompts.jsonl", [{"prompt": "Once"}, {"prompt": system}])


@pytest.mark.slow(threads=1)
def test_a_prompt_that_the_chat_template_refuses_is_named_by_its_line(
    penchant, stories260k, make_run, tmp_path, refusing
):
    template, prompts = refusing
    output = tmp_path / "samples.jsonl"
    run = shutil.copytree(make_run(lora=False), tmp_path / "run")
    shutil.copy(template, run / "model" / "chat_template.jinja")
    for call in (
        ["sample", "--model", stories260k, "--chat-template", template, "--output", output],
        ["eval", run],
    ):
        result = penchant(*call, "--prompts", prompts)
        assert result.code == 2, result.err
        said = "the chat template refuses these messages (No system role); use another chat template or drop the row"
        assert f"penchant: {prompts}:2: {said}\n" in result.err
    assert not output.exists()


def full(*_args, **_options):
    raise OSError(28, "No space left on device")


def test_samples_on_a_full_disk_are_gone_on_with_once_there_is_space(penchant, story, tmp_path, monkeypatch):
    prompts, output = write(tmp_path / "prompts.jsonl", [{"prompt": "Once"}]), tmp_path / "out" / "samples.jsonl"
    call = ["sample", *story, "--prompts", prompts, "--max-new-tokens", "4", "--output", output]
    with monkeypatch.context() as patch:
        patch.setattr("penchant.files.whole.os.fsync", full)
        result = penchant(*call)
    assert result.code == 2, result.err
    assert f"{output}: the disk is full; free some space and continue with --resume" in result.err
    assert list(output.parent.iterdir()) == []
    assert penchant(*call).code == 0


@pytest.mark.slow(threads=1)
def test_on_a_full_disk_no_command_advises_an_option_that_it_does_not_have(
    penchant, story, pairs, tmp_path, make_run, monkeypatch
):
    run = make_run(lora=False)
    monkeypatch.setattr("penchant.files.whole.os.fsync", full)
    for call in (
        ["score", "--model", run, "--data", pairs, "--output", tmp_path / "scores.jsonl"],
        ["export", run, "--merged", tmp_path / "plain"],
    ):
        result = penchant(*call)
        assert result.code == 2, result.err
        assert f"{call[-1]}: the disk is full; free some space and run the command again" in result.err
        assert not call[-1].exists()
    monkeypatch.undo()
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr("penchant.files.whole.os.replace", forbid)
    assert "; choose another --merged" in penchant("export", run, "--merged", tmp_path / "shut").err


def forbid(*_args):
    raise PermissionError(13, "Permission denied")


@pytest.mark.slow(threads=1)
def test_a_cache_that_cannot_be_made_is_one_sentence_and_the_run_goes_on_with_another(
    penchant, story, pairs, tmp_path, nowhere, monkeypatch
):
    run = ["dpo", *story, "--data", pairs, "--output", tmp_path / "run", "--set", "save.num_samples=0"]
    with monkeypatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(nowhere))
        result = penchant(*run)
        assert result.code == 2, result.err
        assert "(Not a directory); set PENCHANT_CACHE to another folder and continue with --resume" in result.err
        pulled = penchant("models", "pull")
        assert pulled.code == 2, pulled.err
        assert "(Not a directory); set PENCHANT_CACHE to another folder\n" in pulled.err
    assert penchant(*run, "--resume").code == 0
