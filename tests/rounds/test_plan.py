"""What a call is about: the plan that comes of it and the rounds before, and whether those are what they were."""

import json

import pytest

from penchant.errors import ConfigError, OutputError
from penchant.rounds.finished_stages import is_finished, min_votes_of, note_finished
from penchant.rounds.plan import Plan, find_rounds
from penchant.rounds.settle import settle, training_config

BASE = {"model": "m", "prompts": "p"}
ENDPOINT = {"judge": "http://x/v1", "judge_model": "q", "instructions": "Be kind."}
FUNCTION = {"judge": "taste:short", "epsilon": 0.5}
RUN = {"judge": "run:/r", "judge_reference": "/s", "epsilon": 0.1}


def put(folder, number, *, made="", started_from="", is_finished=True, **plan):
    """Write a round as a call leaves it, as far as the next call reads it."""
    path = folder / f"round-{number}"
    path.mkdir(parents=True)
    plan = Plan(**BASE | ({} if plan.keys() & {"judge", "people"} else {"judge": "positivity"}) | plan)
    (path / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
    if is_finished:
        record = {"model": {"digest": made or f"digest-{number}"}}
        record["parent"] = {"digest": started_from or f"digest-{number - 1}"}
        (path / "round.json").write_text(json.dumps(record), encoding="utf-8")
    return path


def who(plan):
    fields = ("judge", "judge_model", "instructions", "epsilon", "judge_reference", "people")
    return {name: value for name in fields if (value := getattr(plan, name)) is not None}


@pytest.mark.parametrize("judge", [ENDPOINT, FUNCTION, RUN])
def test_naming_the_same_judge_again_keeps_how_it_answers(tmp_path, judge):
    put(tmp_path, 1, **judge)
    assert who(settle({"judge": judge["judge"]}, find_rounds(tmp_path))) == judge


def test_the_same_judge_may_be_told_to_answer_otherwise(tmp_path):
    put(tmp_path, 1, **RUN)
    assert who(settle({"judge": "run:/r", "epsilon": 0.2}, find_rounds(tmp_path))) == RUN | {"epsilon": 0.2}


@pytest.mark.parametrize("other", [{"judge": "taste:long"}, {"people": "/votes"}, {"judge": "http://x/v2"}])
@pytest.mark.parametrize("judge", [ENDPOINT, FUNCTION, RUN])
def test_another_judge_or_people_take_nothing_from_the_judge_before(tmp_path, judge, other):
    put(tmp_path, 1, **judge)
    assert who(settle(other, find_rounds(tmp_path))) == other


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (["dpo.beta=0.3"], [], ["dpo.beta=0.3"]),
        (["dpo.beta=0.3"], ["optimiser.epochs=2"], ["dpo.beta=0.3", "optimiser.epochs=2"]),
        (["dpo.beta=0.3", "optimiser.epochs=2"], [" dpo.beta = 0.1"], ["optimiser.epochs=2", " dpo.beta = 0.1"]),
        (["optimiser.epochs=2", "dpo.beta=0.3"], ["optimiser={epochs: 3}"], ["dpo.beta=0.3", "optimiser={epochs: 3}"]),
        (["optimiser={epochs: 3}"], ["optimiser.epochs=2"], ["optimiser={epochs: 3}", "optimiser.epochs=2"]),
    ],
)
def test_a_setting_said_in_a_later_round_replaces_the_one_of_its_key_and_no_other(tmp_path, before, said, after):
    put(tmp_path, 1, settings=tuple(before))
    assert settle({"settings": tuple(said)}, find_rounds(tmp_path)).settings == tuple(after)


@pytest.mark.parametrize("said", [["optimiser={epochs: 2}"], ["optimiser.epochs=2"]])
@pytest.mark.parametrize("before", [["optimiser={epochs: 3}"], ["optimiser.epochs=3"]])
def test_what_is_said_later_is_what_is_trained_with(tmp_path, before, said):
    put(tmp_path, 1, settings=tuple(before))
    plan = settle({"settings": tuple(said)}, find_rounds(tmp_path))
    assert training_config(plan).optimiser.epochs == 2


def test_a_setting_said_twice_in_one_call_is_refused(tmp_path):
    put(tmp_path, 1)
    with pytest.raises(ConfigError, match=r"'dpo\.beta' appears twice"):
        settle({"settings": ("dpo.beta=0.1", "dpo.beta=0.2")}, find_rounds(tmp_path))


@pytest.mark.parametrize(
    "said", [["dpo.beta=0.3"], [" dpo.beta = 0.30"], ["dpo={beta: 0.3}"], ["optimiser.epochs=2", "dpo.beta=0.3"]]
)
def test_repeating_a_setting_of_a_round_under_way_goes_on_with_it(tmp_path, said):
    put(tmp_path, 1, is_finished=False, settings=("dpo.beta=0.3", "optimiser.epochs=2"))
    (this,) = find_rounds(tmp_path)
    assert settle({"settings": tuple(said)}, [this]) == this.plan


@pytest.mark.parametrize("said", ["dpo.beta=0.4", "dpo={label_smoothing: 0.1}", "save.num_samples=0"])
def test_another_setting_is_refused_by_a_round_under_way(tmp_path, said):
    put(tmp_path, 1, is_finished=False, settings=("dpo.beta=0.3",))
    with pytest.raises(ConfigError, match="settings: round 1 is under way with"):
        settle({"settings": (said,)}, find_rounds(tmp_path))


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_setting_that_a_round_gives_itself_is_refused_at_any_time(tmp_path, is_finished):
    put(tmp_path, 1, is_finished=is_finished)
    with pytest.raises(ConfigError, match="setting output: a round sets this itself"):
        settle({"settings": ("output=run",)}, find_rounds(tmp_path))


def with_adapter(folder, *settings):
    model = put(folder, 1, settings=settings) / "run" / "model"
    model.mkdir(parents=True)
    (model / "adapter_config.json").write_text("{}")
    return find_rounds(folder)


@pytest.mark.parametrize("said", ["model.lora={rank: 32}", "model.lora.rank=32", "model.lora.alpha=1", "model.lora="])
@pytest.mark.parametrize("before", [["model.lora={rank: 16}"], ["model.lora.rank=16"]])
def test_an_adapter_that_is_trained_further_takes_no_other_form(tmp_path, before, said):
    rounds = with_adapter(tmp_path, *before)
    with pytest.raises(ConfigError, match="round 1 made an adapter, which is trained further as it is"):
        settle({"settings": (said,)}, rounds)


def test_an_adapter_that_came_with_the_first_model_takes_no_other_form_either(tmp_path):
    with pytest.raises(ConfigError, match="round 1 made an adapter"):
        settle({"settings": ("model.lora.rank=8",)}, with_adapter(tmp_path))


@pytest.mark.parametrize("said", ["model.lora={rank: 16}", "model.lora.rank=16", "dpo.beta=0.3"])
def test_an_adapters_form_may_be_repeated_and_other_settings_changed(tmp_path, said):
    plan = settle({"settings": (said,)}, with_adapter(tmp_path, "model.lora={rank: 16}"))
    assert training_config(plan).model.lora.rank == 16


def test_a_whole_model_may_get_an_adapter_in_a_later_round(tmp_path):
    put(tmp_path, 1)
    plan = settle({"settings": ("model.lora.rank=8",)}, find_rounds(tmp_path))
    assert training_config(plan).model.lora.rank == 8


def test_a_chat_template_is_of_the_first_round_alone(tmp_path):
    put(tmp_path, 1, chat_template="plain")
    assert settle({"chat_template": "plain"}, find_rounds(tmp_path)).chat_template == "plain"
    with pytest.raises(ConfigError, match=r"`chat_template=\.\.\.`: the rounds here began with 'plain'"):
        settle({"chat_template": "other.jinja"}, find_rounds(tmp_path))


@pytest.mark.parametrize("missing", [1, 2])
def test_rounds_after_a_missing_one_are_not_gone_on_from(tmp_path, missing):
    for number in (1, 2, 3, 4):
        if number != missing:
            put(tmp_path, number)
    with pytest.raises(OutputError, match=rf"round-{missing}/plan\.json: is missing, but round-{missing + 1} is there"):
        find_rounds(tmp_path)


def test_a_round_that_was_killed_as_it_began_is_no_gap(tmp_path):
    put(tmp_path, 1)
    (tmp_path / "round-2").mkdir()
    assert [found.number for found in find_rounds(tmp_path)] == [1]


def test_rounds_whose_lineage_is_whole_are_found_in_order(tmp_path):
    for number in (1, 2, 3):
        put(tmp_path, number, is_finished=number < 3)
    assert [found.number for found in find_rounds(tmp_path)] == [1, 2, 3]


def test_a_round_that_started_from_another_model_than_the_one_before_it_made_is_refused(tmp_path):
    put(tmp_path, 1)
    put(tmp_path, 2, started_from="another")
    words = "round-2: started from a model with the digest another, but round 1 made digest-1"
    with pytest.raises(OutputError, match=words):
        find_rounds(tmp_path)


@pytest.mark.parametrize("content", [None, "{}", '{"model": "x", "parent": {"digest": "digest-0"}}'])
def test_a_round_before_another_that_lost_its_record_is_refused(tmp_path, content):
    put(tmp_path, 1, is_finished=False)
    put(tmp_path, 2)
    if content is not None:
        (tmp_path / "round-1" / "round.json").write_text(content)
    with pytest.raises(OutputError, match=r"round-1/round\.json: .*; restore it from a copy"):
        find_rounds(tmp_path)


def test_each_stage_remembers_how_many_votes_of_people_were_enough(tmp_path):
    put(tmp_path, 1, is_finished=False, people="votes")
    (this,) = find_rounds(tmp_path)
    assert min_votes_of(this) == {}
    note_finished(this, "vote", ("plan.json",), min_votes=5)
    note_finished(this, "compare", ("plan.json",), min_votes=None)
    assert min_votes_of(this) == {"vote": 5, "compare": None}


def test_judges_have_no_number_of_votes_that_is_enough(tmp_path):
    put(tmp_path, 1, is_finished=False)
    (this,) = find_rounds(tmp_path)
    note_finished(this, "vote", ("plan.json",), min_votes=None)
    assert min_votes_of(this) is None


@pytest.mark.parametrize("is_old", [False, True])
def test_a_mark_knows_a_changed_file_also_one_of_an_older_penchant(tmp_path, is_old):
    put(tmp_path, 1, is_finished=False, people="votes")
    (this,) = find_rounds(tmp_path)
    assert not is_finished(this, "vote")
    note_finished(this, "vote", ("plan.json",), min_votes=5)
    marker = this.path / ".vote.done"
    if is_old:  # the digests and nothing else
        marker.write_text(json.dumps(json.loads(marker.read_text())["files"]))
        assert min_votes_of(this) == {}
    assert is_finished(this, "vote")
    (this.path / "plan.json").write_text("{}")
    with pytest.raises(OutputError, match=r"plan\.json: is gone or was changed after the stage 'vote'"):
        is_finished(this, "vote")
