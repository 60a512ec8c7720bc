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
    ],
)
def test_an_unknown_argument_is_answered_with_the_one_meant(train, name, meant):
    said = refused(lambda: train(**{name: 1}), pt.ConfigError)
    assert said.startswith(f"there is no argument '{name}'; did you mean `{meant}=...`?")


def test_an_unknown_setting_is_answered_with_the_one_meant(train):
    said = refused(lambda: train(settings={"optimizer.lr": 1}), pt.ConfigError)
    assert said == "settings: there is no setting 'optimizer.lr'; did you mean 'optimiser.learning_rate'?"


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
