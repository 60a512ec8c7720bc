"""`penchant round`: what the command adds to the library's rounds: options, words, a table, how to go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from penchant.files.lock import alone_in
from penchant.rounds import model_stages

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

ANIMALS = ("cat", "dog", "bird", "fish", "bear", "frog", "cow", "fox", "hen", "pig")
FILES = (
    "train.jsonl",
    "held-out.jsonl",
    "samples.jsonl",
    "votes.jsonl",
    "run/model/model.safetensors",
    "answers.jsonl",
    "verdicts.jsonl",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with prompts and a judge of the user's own, who may be slow."""
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "prompts.txt").write_text("".join(f"Once there was a {one} who liked\n" for one in ANIMALS))
    source = """
import os, time
def short(prompt, response):
    time.sleep(float(os.environ.get("SLOW_TASTE", 0)))
    return -len(response)
"""
    (folder / "taste_of_commands.py").write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def arguments(here, stories260k):
    model = ["--model", str(stories260k), "--chat-template", "plain", "--prompts", str(here / "prompts.txt")]
    settings = ("optimiser.learning_rate=1e-3", "data.held_out=0", "save.num_samples=0")
    return [*model, "--max-new-tokens", "8", "--held-out", "0.3", *(w for one in settings for w in ("--set", one))]


@pytest.fixture(scope="module")
def judged(arguments):
    return [*arguments, "--judge", "taste_of_commands:short"]


@pytest.fixture(scope="module")
def first(penchant, here, judged):
    """What the command said of a first round, and the folder; the tests that use it only read."""
    return penchant("round", here / "wheel", *judged), here / "wheel"


@pytest.fixture(scope="module")
def wheel(first):
    return first[1]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(round_folder):
    found = json.loads((round_folder / "round.json").read_text(encoding="utf-8"))
    del found["finished_at"]
    return found


def contents(round_folder):
    return {name: (round_folder / name).read_bytes() for name in FILES}


@pytest.mark.slow(threads=1)
def test_a_round_says_every_stage_what_it_gained_and_where_its_report_is(first):
    result, folder = first
    assert result.code == 0, result.err
    for stage in ("sample", "vote", "train", "answer", "compare", "report"):
        assert f"round 1, {stage}: " in result.err
    assert "by the stand-in 'taste_of_commands:short': " in result.err
    figures = record(folder / "round-1")["figures"]
    *_, finished, report = result.err.splitlines()
    assert finished.startswith(f"round 1 is finished: win rate {figures['win_rate']['rate']:.1%} (95% interval ")
    assert finished.endswith(f"KL {figures['kl']['mean']:+.3f} nats a response")
    assert report == f"report  {folder / 'round-1' / 'report.html'}"


@pytest.mark.slow(threads=1)
def test_the_kl_is_that_of_penchant_eval_on_the_same_prompts(penchant, wheel):
    run, prompts = wheel / "round-1" / "run", wheel / "round-1" / "held-out.jsonl"
    options = ["--judge", "taste_of_commands:short", "--max-new-tokens", "8", "--seed", "0"]
    result = penchant("eval", run, "--prompts", prompts, *options)
    assert result.code == 0, result.err
    comparison, figures = json.loads((run / "comparison.json").read_text()), record(wheel / "round-1")["figures"]
    assert figures["kl"]["mean"] == pytest.approx(comparison["kl"]["mean"], abs=1e-4)
    for name in ("win_rate", "mean_before", "mean_after"):
        assert figures[name] == pytest.approx(comparison[name])


@pytest.mark.slow(threads=1)
def test_the_list_shows_rounds_and_lineage(penchant, wheel):
    result = penchant("round", wheel, "--list")
    assert result.code == 0, result.err
    head, line = result.out.splitlines()
    assert head.split() == ["round", "parent", "pairs", "win", "rate", "95%", "interval", "KL", "folder"]
    found = record(wheel / "round-1")
    assert f"stories260k {found['parent']['digest'][:12]}" in line
    assert f"{found['figures']['win_rate']['rate']:.1%}" in line
    assert f"{found['figures']['kl']['mean']:+.3f}" in line
    assert line.endswith(str(wheel / "round-1"))


@pytest.fixture(scope="module")
def under_way(penchant, here, judged):
    """A round that was stopped after its votes."""
    folder = here / "under_way"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_stages, "train_on_votes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert penchant("round", folder, *judged).code == 130
    assert "under way: train" in penchant("round", folder, "--list").out
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--temperature", "0.5"], "--temperature: round 1 is under way with 1.0; leave it out to go on"),
        (
            ["--set", "dpo.beta=0.3"],
            "settings: round 1 is under way with optimiser.learning_rate=1e-3, data.held_out=0, ",
        ),
        (["--judge-model", "m"], "--judge-model: round 1 is under way without it"),
        (["--people", "votes"], "--people: round 1 is under way with `--judge taste_of_commands:short`"),
        ([], "give `--judge taste_of_commands:short` again"),
    ],
)
def test_a_round_under_way_takes_no_other_settings(penchant, under_way, options, words):
    result = penchant("round", under_way, *options)
    assert (result.code, words in result.err) == (2, True), result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--held-out", "0.5"], "--held-out: the rounds here began with 0.3"),
        (["--judge", "positivity", "--people", "votes"], "`--judge positivity` (or another), or --people, not both"),
        (["--judge", "positivity", "--min-votes", "3"], "--min-votes counts the answers of people"),
        (["--people", "votes", "--epsilon", "3"], "--people asks people; leave them out"),
        (["--judge", "positivity", "--set", "model.name=other"], "setting model.name: a round sets this itself"),
        (["--judge", "positivity", "--temperature", "-1"], "--temperature must be 0 or from 1e-06 to 1e+06"),
        (["--judge", "http://127.0.0.1:9/v1"], "--judge-model is missing; name the model to ask"),
        (["--judge", "run:nowhere"], "--judge: nowhere: no such folder"),
        (["--judge", "positivity", "--device", "tpu"], "--device must be one of auto, cpu, cuda, mps, got 'tpu'"),
        (["--list", "--seed", "3"], "--list shows the rounds of a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_words_of_the_command(penchant, wheel, options, words):
    result = penchant("round", wheel, *options)
    assert (result.code, words in result.err, "sample:" in result.err) == (2, True, False), result.err
    assert not (wheel / "round-2").exists()


def test_the_first_round_says_what_it_needs(penchant, tmp_path):
    assert "--model is missing: the first round needs a model" in penchant("round", tmp_path / "new").err
    assert penchant("round", tmp_path / "new", "--list").code == 2
    assert not (tmp_path / "new").exists()


def test_what_the_judge_is_told_is_read_from_a_file_and_kept_as_text(penchant, tmp_path, arguments):
    (tmp_path / "told.txt").write_text("Prefer rhymes.\n")
    options = ["--judge", "http://127.0.0.1:9/v1", "--judge-model", "m", "--instructions", tmp_path / "told.txt"]
    folder = tmp_path / "wheel"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_stages, "sample_responses", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert penchant("round", folder, *arguments, *options).code == 130
    assert json.loads((folder / "round-1" / "plan.json").read_text())["instructions"] == "Prefer rhymes.\n"


def test_the_list_is_shown_while_another_command_works_in_the_folder(penchant, wheel):
    with alone_in(wheel, "`penchant round`"):
        result = penchant("round", wheel, "--judge", "positivity")
        assert (result.code, "another `penchant round` is at work in this folder" in result.err) == (2, True), (
            result.err
        )
        assert penchant("round", wheel, "--list").code == 0


@pytest.mark.slow(threads=1)
def test_the_list_needs_no_torch(wheel):
    source = f"""
import sys
sys.argv = ["penchant", "round", {str(wheel)!r}, "--list"]
from penchant.cli.main import main
try:
    main()
finally:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("judge", ["taste_of_commands:short", "positivity"])
def test_stopped_while_training_says_how_to_go_on(penchant, tmp_path, arguments, monkeypatch, judge):
    from penchant.training import loop

    take_step = loop.Loop._take_step

    def stopped_at_the_second(self, batch, stop):
        stop.signal_number = signal.SIGTERM if self.step == 1 else None
        take_step(self, batch, stop)

    monkeypatch.setattr(loop.Loop, "_take_step", stopped_at_the_second)
    folder = tmp_path / "a wheel"
    settings = ["--set", "optimiser.batch_size=1", "--set", "optimiser.epochs=3"]
    result = penchant("round", folder, *arguments, *settings, "--judge", judge)
    named = "" if judge == "positivity" else f" --judge {judge}"
    last = result.err.splitlines()[-1]
    assert (result.code, last.startswith("penchant: stopped after step 1 of ")) == (128 + signal.SIGTERM, True), last
    assert last.endswith(f", saved; continue with `penchant round '{folder}'{named}`")


def test_stopped_elsewhere_says_how_to_go_on(penchant, tmp_path, judged, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_stages, "sample_responses", interrupted)
    result = penchant("round", tmp_path / "wheel", *judged)
    words = (
        f"penchant: interrupted; continue with `penchant round {tmp_path / 'wheel'} --judge taste_of_commands:short`"
    )
    assert (result.code, result.err.splitlines()[-1]) == (130, words)


@pytest.mark.slow(threads=1)
def test_a_finished_round_that_is_stopped_says_so(penchant, wheel, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    shutil.copytree(wheel, tmp_path / "wheel")
    (tmp_path / "wheel" / "round-1" / ".report.done").unlink()
    (tmp_path / "wheel" / "round-1" / "round.json").unlink()
    monkeypatch.setattr("penchant.rounds.finished_stages.note_finished", interrupted)
    result = penchant("round", tmp_path / "wheel", "--judge", "taste_of_commands:short")
    assert (result.code, "interrupted; the round is finished" in result.err) == (130, True), result.err


@pytest.mark.slow(threads=1)
def test_a_round_that_waits_says_how_people_are_asked(penchant, tmp_path, arguments):
    folder, project = tmp_path / "asked", tmp_path / "votes of people"
    waiting = penchant("round", folder, *arguments, "--people", project)
    assert waiting.code == 0, waiting.err
    assert "7 more of 7 comparisons must be answered" in waiting.err
    assert f"penchant annotate '{project}'" in waiting.err
    assert "in the project they are called asked-" in waiting.err
    assert "under way: vote" in penchant("round", folder, "--list").out
    assert "5 more of 7 comparisons" in penchant("round", folder, "--min-votes", "5").err


@pytest.mark.slow(threads=1)
def test_answers_to_a_rounds_tasks_may_be_imported(penchant, tmp_path, arguments):
    folder, project, answers = tmp_path / "wheel", tmp_path / "votes", tmp_path / "answers.jsonl"
    waiting = penchant("round", folder, *arguments, "--people", project)
    prefix = waiting.err.split("they are called ")[1].split("...")[0]
    answered = [
        {"id": prefix + row["id"], "outcome": "a", "annotator": "anna"} | {k: row[k] for k in ("prompt", "a", "b")}
        for row in rows(folder / "round-1" / "samples.jsonl")
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in answered))
    imported = penchant("votes", "import", project, answers)
    assert (imported.code, "0 pairs and 7 answers added" in imported.out) == (0, True), imported.err
    result = penchant("round", folder)
    assert (result.code, "3 more of 3 comparisons" in result.err) == (0, True), result.err
    assert [vote["outcome"] for vote in rows(folder / "round-1" / "votes.jsonl")] == ["a"] * 7


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_files(here, judged, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "penchant", "round"]
    environment = os.environ | {"PENCHANT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(whole), *judged], env=environment, check=True, capture_output=True)
    command += [str(folder), *judged]
    slow = environment | {"SLOW_TASTE": "0.3"}
    one = folder / "round-1"
    for moment in (one / ".votes.jsonl.answering", one / "run" / "run.json"):
        process = subprocess.Popen(command, env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not moment.exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it had ended before {moment.name} was there"
        assert not (one / "round.json").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert contents(one) == contents(whole / "round-1")
    assert record(one) == record(whole / "round-1")
