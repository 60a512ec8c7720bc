"""A whole study on a real tiny model: what it leaves, that it goes on, and what it refuses."""

import json

import pytest

import penchant as pt
from penchant.data import load_prompts
from penchant.data.split import split_prompts

ANIMALS = ("cat", "dog", "bird", "fish", "bear", "frog", "cow", "fox", "hen", "pig")
pytestmark = pytest.mark.slow(threads=1)


def brevity(prompt, response):
    """The shorter response is the better one."""
    return -len(response) / 20


@pytest.fixture(scope="module")
def given(stories260k, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "prompts.txt").write_text("".join(f"Once there was a {one} who liked\n" for one in ANIMALS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(folder / "cache"))
        yield {
            "model": str(stories260k),
            "chat_template": "plain",
            "prompts": str(folder / "prompts.txt"),
            "held_out": 0.4,
            "max_new_tokens": 5,
            "measured_responses": 2,
            "device": "cpu",
            "settings": {"optimiser.max_steps": 1, "optimiser.learning_rate": 1e-3},
            "reward_settings": {"optimiser.max_steps": 1},
        }


@pytest.fixture(scope="module")
def methods(given):
    return given | {"methods": {"dpo": {"strengths": [0.1]}, "rloo": {"scores": "learned", "strengths": [0.05]}}}


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take a second, and say nothing more when they are drawn again."""
    monkeypatch.setattr("penchant.studies.study.draw_figure", lambda figure, stem: (stem, stem))


@pytest.fixture(scope="module")
def study(methods, tmp_path_factory):
    """The study, and its folder."""
    folder = tmp_path_factory.mktemp("out") / "study"
    return pt.frontier(methods, folder, judge=brevity, progress=False), folder


def test_every_method_is_measured_on_the_same_prompts_with_both_rewards_and_its_kl(study):
    found, folder = study
    rows = [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]
    assert [row["point"] for row in rows] == ["start", "dpo-0.1-seed-0", "rloo-0.05-seed-0"]
    start, *points = rows
    assert start["kl"] == pytest.approx([0.0] * len(start["kl"]), abs=1e-6)
    assert all(point["prompts"] == start["prompts"] and sum(point["kl"]) > 0 for point in points)
    assert all(len(row[key]) == len(row["prompts"]) for row in rows for key in ("true", "learned", "kl", "tokens"))
    held_out = {json.loads(line)["id"] for line in (folder / "held-out.jsonl").read_text().splitlines()}
    assert set(start["prompts"]) == held_out
    place = found.curves["dpo"][0]
    assert place.true.mean == pytest.approx(sum(points[0]["true"]) / len(points[0]["true"]))
    assert found.curves["dpo"][0].kl.low < place.kl.mean < place.kl.high


def test_prompts_that_are_measured_on_are_in_no_training(study):
    _, folder = study
    asked = {
        name: {json.loads(line)["prompt"][0]["content"] for line in (folder / f"{name}.jsonl").read_text().splitlines()}
        for name in ("held-out", "train", "pool", "pairs", "chosen")
    }
    training, own = load_prompts(folder / "train.jsonl").records, []
    for seed in range(20):
        own += split_prompts(training, 0.3, seed)[1]
    assert len(own) > 20, "runs hold out prompts of their own, whatever their seed"
    assert asked["train"] >= asked["pool"] >= asked["pairs"] == asked["chosen"] != set()
    assert not asked["held-out"] & asked["train"]


def test_models_are_removed_where_they_are_not_kept(methods, undrawn, tmp_path):
    only_dpo = methods | {"methods": {"dpo": {"strengths": [0.1]}}, "keep_models": False}
    numbers = []
    for _ in range(2):  # what is measured is not trained again for want of its model
        pt.frontier(only_dpo, tmp_path / "light", judge=brevity, progress=False)
        numbers.append((tmp_path / "light" / "frontier.json").read_text())
        run = tmp_path / "light" / "dpo-0.1-seed-0"
        assert (run / "run.json").exists()
        assert not (run / "model").exists()
    assert numbers[0] == numbers[1]


def test_it_leaves_runs_numbers_and_figures(study):
    found, folder = study
    for run in ("dpo-0.1-seed-0", "rloo-0.05-seed-0", "reward"):
        assert pt.open_run(folder / run).ledger["status"] == "finished"
    content = json.loads((folder / "frontier.json").read_text())
    assert content["judge"].endswith("brevity")
    assert set(content["curves"]) == {"dpo", "rloo"}
    assert [path.name for path in found.files] == [
        "frontier.json",
        *(f"frontier-{n}.{kind}" for n in (1, 2, 3) for kind in ("svg", "png")),
    ]
    assert "rloo" in (folder / "frontier-1.svg").read_text()
    table, sizes, few, matched, *_ = found.parts()
    assert [row[0] for row in table.rows] == ["start", "dpo", "rloo"]
    assert sizes.startswith("4 held-out prompts, 2 answers to each, 1 seed of training for each strength")
    assert few.text.startswith("only 4 prompts")
    assert len(matched.rows) == 2
    assert content["measured_on"] == {"prompts": 4, "responses": 2, "seeds": 1}
    assert content["start"]["true"]["mean"] == pytest.approx(sum(found.start.true) / 8)


def test_a_second_call_trains_nothing_and_says_the_same(study, methods, undrawn):
    found, folder = study
    when = (folder / "dpo-0.1-seed-0" / "run.json").stat().st_mtime_ns
    again = pt.frontier(methods, folder, judge=brevity, progress=False)
    assert (folder / "dpo-0.1-seed-0" / "run.json").stat().st_mtime_ns == when
    assert again.parts() == found.parts()


def test_a_sweep_stands_on_the_same_ground_and_picks_within_the_budget(study, given, undrawn):
    _, folder = study
    grid = given | {"grid": {"dpo.beta": [0.1]}, "kl_budget": 1000}
    found = pt.sweep(grid, folder, judge=brevity, progress=False)
    assert found.picked.place == "beta=0.1"
    assert "picked beta=0.1: wins" in found.parts()[-1]
    assert json.loads((folder / "sweep.json").read_text())["picked"] == "beta=0.1"


def test_what_all_points_share_cannot_change(study, methods):
    _, folder = study
    with pytest.raises(pt.OutputError, match="began with max_new_tokens = 5, not 6"):
        pt.frontier(methods | {"max_new_tokens": 6}, folder, judge=brevity, progress=False)


def test_a_judge_without_a_number_ends_it_in_a_sentence_and_what_was_made_is_kept(study, methods):
    _, folder = study
    with pytest.raises(pt.UserError, match="must return a finite number"):
        pt.frontier(methods, folder.parent / "other", judge=lambda prompt, response: "short", progress=False)
    assert not (folder.parent / "other" / "points.jsonl").exists()
    assert (folder.parent / "other" / "pool.jsonl").exists()
