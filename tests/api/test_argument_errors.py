"""What a caller gets wrong is said in one sentence, in the words of Python."""

import pytest

import penchant as pt


def refused(call, kind=pt.UserError):
    """The sentence."""
    with pytest.raises(kind) as found:
        call()
    said = str(found.value)
    assert "\n" not in said
    assert "command line" not in said
    assert "--" not in said
    return said


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr", "learning_rate"),
        ("num_train_epochs", "epochs"),
        ("loss_type", "objective"),
        ("learning_rat", "learning_rate"),
        ("max_pairs", "max_rows"),
    ],
)
def test_an_unknown_argument_is_answered_with_the_one_meant(train, name, meant):
    said = refused(lambda: train(**{name: 1}), pt.ConfigError)
    assert said.startswith(f"there is no argument '{name}'; did you mean `{meant}=...`?")


def test_an_unknown_setting_is_answered_with_the_one_meant(train):
    said = refused(lambda: train(settings={"optimizer.lr": 1}), pt.ConfigError)
    assert said == "settings: there is no setting 'optimizer.lr'; did you mean 'optimiser.learning_rate'?"


def test_a_setting_of_another_kind_of_run_is_answered_with_what_there_is(model, rows):
    said = refused(lambda: pt.sft(model, rows, beta=0.1, progress=False), pt.ConfigError)
    assert said.startswith("the arguments: there is no setting 'dpo.beta'; choose from output, seed, model, data, ")
    assert len(said) < 150


def test_settings_that_exclude_each_other_are_answered_with_one_remedy(model, rows):
    said = refused(lambda: pt.sft(model, rows, pairing="all", progress=False), pt.ConfigError)
    assert said.endswith("; leave them out")
    said = refused(lambda: pt.dpo(model, rows, max_length=64, max_prompt_length=64, progress=False), pt.ConfigError)
    assert said.endswith("leaves no room for a response within data.max_length, 64; lower it")


def test_a_value_that_cannot_be_is_one_of_the_arguments(train):
    said = refused(lambda: train(learning_rate=-1.0), pt.ConfigError)
    assert said.startswith("the arguments: 'optimiser.learning_rate' must be greater than 0, got -1.0")


def test_no_data_is_asked_for(model):
    said = refused(lambda: pt.dpo(model, progress=False), pt.ConfigError)
    assert said.startswith("the setting 'data.files' is missing; give it as an argument")


@pytest.mark.parametrize("brought", [{"device": "cpu"}, {"dtype": "float32"}, {"chat_template": "plain"}])
def test_how_to_load_is_refused_beside_a_loaded_model(train, brought):
    (name,) = brought
    said = refused(lambda: train(**brought), pt.ConfigError)
    assert said.startswith(f"model.{name}: the model is loaded already; ")


@pytest.mark.parametrize(
    "brought", [{"device": "cpu"}, {"dtype": "float32"}, {"chat_template": "plain"}, {"special_tokens": "text"}]
)
def test_a_loaded_model_is_not_loaded_otherwise(model, rows, brought):
    (name,) = brought
    assert pt.load(model) is model
    said = refused(lambda: pt.load(model, **brought), pt.ConfigError)
    assert said == f"`{name}=...` is for loading, and this model is loaded already; leave it out"
    if name in ("chat_template", "special_tokens"):
        assert said == refused(lambda: pt.check(rows, model, **brought), pt.ConfigError)


def test_zero_is_a_number_that_is_refused_and_not_the_default(train, rows):
    run = train(max_steps=1, settings={"save.num_samples": 0})
    assert "beta must be a finite number above 0, got 0" in refused(
        lambda: pt.score(run, rows, beta=0, progress=False), pt.ConfigError
    )
    for name, least in (("max_length", 8), ("max_pairs", 1)):
        said = refused(lambda name=name: pt.score(run, rows, **{name: 0}, progress=False), pt.ConfigError)
        assert said == f"{name} must be a whole number of at least {least}, got 0"
    assert "'max_length' must be greater than or equal to 8, got 0" in refused(
        lambda: pt.check(rows, run, max_length=0, progress=False), pt.ConfigError
    )
    limits = {"max_length": 64, "max_prompt_length": 64}
    for call in (pt.check, lambda rows, model, **how: train(model, rows, **how)):
        assert "leaves no room" in refused(lambda call=call: call(rows, run.model, **limits, progress=False))


@pytest.mark.parametrize("call", [pt.sample, pt.evaluate])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seed", -1), ("seed", 1.5), ("max_prompts", 0), ("max_prompts", 1.5), ("top_k", -1)),
        *(("temperature", "hot"), ("temperature", True), ("top_p", None)),
    ],
)
def test_a_number_that_is_none_is_named_as_the_argument_it_is(model, call, name, value):
    own = {} if call is pt.sample else {"judge": "positivity", "reference": model}
    said = refused(lambda: call(model, ["One day"], **own, **{name: value}, progress=False), pt.ConfigError)
    assert said.startswith(f"{name} must be a ")
    assert said.endswith(f", got {value!r}")


def test_resume_without_an_output_is_refused(train, model):
    assert "`output=...`" in refused(lambda: train(resume=True), pt.ConfigError)
    assert "`output=...`" in refused(lambda: pt.sample(model, ["a"], resume=True, progress=False), pt.ConfigError)
    assert "`output=...`" in refused(lambda: pt.judge([], resume=True, progress=False), pt.ConfigError)


@pytest.mark.slow(threads=1)
def test_a_run_without_a_reference_is_evaluated_against_one_that_is_named(train, model, rows):
    run = train(objective="simpo")
    assert run.reference is None
    for call in (pt.evaluate, pt.score):
        said = refused(lambda call=call: call(run, rows, progress=False), pt.ConfigError)
        assert "`reference=...`" in said
    assert pt.score(run, rows, reference=model, progress=False).pairs


def test_a_bad_row_is_named_as_python_finds_it(train, rows, stories260k):
    del rows[2]["chosen"]
    said = refused(lambda: train(data=rows, on_bad_row="error"), pt.DataError)
    assert "data[2]" in said
    found = pt.check(rows, stories260k, chat_template="plain", progress=False)
    assert "data[2]" in str(found.problems[0])


def test_empty_data_is_refused(train):
    assert "no data was given" in refused(lambda: train(data=[]), pt.DataError)


@pytest.mark.slow(threads=1)
def test_a_run_in_memory_has_no_folder_to_look_into(train):
    run = train()
    for call in (pt.verify, pt.lineage):
        assert "in memory" in refused(lambda call=call: call(run), pt.ConfigError)
    assert "run.report.save" in refused(run.with_report, pt.ConfigError)


def test_a_checked_configuration_takes_no_arguments_beside_it(train, rows, model):
    refused(lambda: pt.dpo(config=pt.DPOConfig(), data=rows, model=model, epochs=2, progress=False), pt.ConfigError)
