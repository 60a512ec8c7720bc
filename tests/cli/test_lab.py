"""`penchant lab`: claims, numbers, figures, and an exit code that tells whether a claim held."""

import json
from xml.etree import ElementTree

import pytest
from PIL import Image

from penchant.lab import EXPERIMENTS
from penchant.lab.experiments.temperature import temperature


def test_the_experiments_are_listed_with_their_options(penchant):
    shown = penchant("lab").out
    assert all(f"\n{name} " in shown for name in (*EXPERIMENTS, "tree", "life"))
    assert "num_responses=8" in shown
    assert "model=smollm2-135m" in shown


def test_all_runs_the_quick_ones_and_says_what_it_leaves_out(penchant, monkeypatch):
    monkeypatch.setattr("penchant.lab.EXPERIMENTS", {"temperature": temperature})
    shown = penchant("lab", "all").out
    assert temperature().claim in " ".join(shown.split())
    assert "Left out, as they take longer: tree, life." in shown


def test_an_experiment_shows_its_claim_every_check_and_the_numbers_it_measured(penchant):
    result, expected = penchant("lab", "temperature", "--set", "seed=3"), temperature(seed=3)
    assert result.code == 0
    shown = " ".join(result.out.split())
    assert expected.claim in shown
    assert "The claim held." in shown
    for check in expected.checks:
        assert f"held {check}" in shown
    for name, value in expected.measured.items():
        assert f"{name} {value:.6g}" in shown


@pytest.mark.slow(threads=1)
def test_a_setting_goes_to_every_experiment_named_that_has_it_and_the_others_are_said(penchant):
    result = penchant("lab", "cycles", "temperature", "--set", "seed=3")
    assert result.code == 0
    assert "cycles has no option seed, so seed=3 does not affect it" in " ".join(result.out.split())
    entropy = next(iter(temperature(seed=3).measured.items()))
    assert f"{entropy[0]} {entropy[1]:.6g}" in " ".join(result.out.split())


@pytest.mark.slow
def test_figures_and_numbers_are_written_and_readable(penchant, tmp_path):
    result = penchant("lab", "temperature", "optimum", "--output", tmp_path)
    assert result.code == 0
    for name in ("temperature", "optimum"):
        content = json.loads((tmp_path / f"{name}.json").read_text())
        assert content["held"] is True
        drawings = sorted(tmp_path.glob(f"{name}*.svg"))
        assert len(drawings) == len(content["figures"]) > 0
        for drawing in drawings:
            text = " ".join(ElementTree.parse(drawing).getroot().itertext())
            assert any(figure["title"] in text for figure in content["figures"])
            with Image.open(drawing.with_suffix(".png")) as image:
                assert image.width > 1000
                assert len(image.convert("RGB").getcolors(2**24)) > 50, "something is drawn"


@pytest.mark.slow(threads=1)
def test_the_same_run_writes_the_same_bytes(penchant, tmp_path):
    for folder in "ab":
        penchant("lab", "temperature", "--output", tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


WRONG = """
from dataclasses import replace
from penchant.lab import EXPERIMENTS

def wrong(seed: int = 0):
    '''Adds two and two.'''
    return replace(EXPERIMENTS["temperature"](seed=seed), checks={"two and two are five": False})
"""


def test_a_claim_that_does_not_hold_is_said_and_gives_exit_code_1(penchant, add_package):
    add_package("sums", {"penchant.experiments": {"wrong": "sums_of_two:wrong"}}, sums_of_two=WRONG)
    result = penchant("lab", "wrong")
    assert result.code == 1
    assert "FAILED  two and two are five" in result.out
    assert "did NOT hold" in result.out


@pytest.mark.slow
def test_experiments_of_installed_packages_are_listed_and_take_options_as_ours_do(penchant, add_package):
    points = {"wrong": "sums_of_two:wrong", "torn": "sums_of_two:torn", "elo": "sums_of_two:wrong"}
    add_package("sums", {"penchant.experiments": points}, sums_of_two=WRONG + "torn = 7\n")
    listed = penchant("lab").out
    assert "Adds two and two." in listed
    assert "The experiment 'torn' of the package sums 1.0 is of the type int, not a function" in listed
    assert "two and two" not in penchant("lab", "elo").out  # a name of ours is ours
    assert "seed=3" not in penchant("lab", "wrong", "--set", "seed=3").err
    assert "its options (seed), got 'heat=3'" in penchant("lab", "wrong", "--set", "heat=3").err


@pytest.mark.slow(threads=1)
def test_an_experiment_on_a_model_shows_its_progress_its_result_and_its_figure(penchant, stories260k, tmp_path):
    settings = (f"model={stories260k}", "chat_template=plain", "prompt=Once upon a")
    options = [word for setting in settings for word in ("--set", setting)]
    result = penchant("lab", "tree", *options, "--output", tmp_path)
    assert result.code == 0, result.err
    assert f"loading {stories260k}" in result.err
    assert "\u2423time,\u2423there" in result.out
    assert json.loads((tmp_path / "tree.json").read_text())["held"] is True
    assert sorted(path.suffix for path in tmp_path.glob("tree.*")) == [".json", ".png", ".svg"]


def test_what_an_experiment_keeps_goes_into_a_folder_of_its_name_in_the_output(penchant, tmp_path):
    (tmp_path / "life").mkdir()
    (tmp_path / "life" / "notes.txt").write_text("mine")
    result = penchant("lab", "life", "--output", tmp_path)
    assert (result.code, f"{tmp_path / 'life'}: is not empty" in result.err) == (2, True), result.err


def test_what_is_not_there_is_refused(penchant):
    for arguments, words in (
        (["optimun"], "there is no experiment 'optimun'; did you mean 'optimum'?"),
        (["temperature", "--set", "heat=3"], "--set takes option=value of its options (seed, num_responses)"),
        (["temperature", "--set", "seed=hot"], "seed must be of the type int, such as 0, got 'hot'"),
        (["cycles", "--set", "seed=3"], "lab cycles: --set takes option=value of its options (strength, beta)"),
        (["cycles", "temperature", "--set", "heat=3"], "of their options (strength, beta, seed, num_responses), got"),
        (["temperature", "--set", "num_responses=1"], "num_responses"),
        (["tree", "--set", "model=./nowhere"], "nowhere"),
        (["tree", "--set", "reporter=1"], "--set takes option=value of its options (model, prompt, depth, width, "),
    ):
        result = penchant("lab", *arguments)
        assert result.code == 2
        assert words in result.err
        assert result.err.count("penchant: ") == 1
