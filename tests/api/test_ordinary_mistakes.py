"""What a caller gets wrong in an ordinary way is one sentence, and prompts may come in any container."""

import numpy as np
import pytest

import penchant as pt

ROWS = [{"prompt": f"Once {n}", "chosen": " a cat.", "rejected": " a dog."} for n in ("Lily", "Tom", "Ben", "Mia")]
FEW = {"progress": False, "epochs": 1, "batch_size": 2}


@pytest.fixture(scope="module")
def model(stories260k):
    return pt.load(stories260k, chat_template="plain", progress=False)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": None}, "'model.name' is missing"),
        ({"model": 3}, "model is of type int; give what `penchant.load` returned"),
        ({"output": 3}, "output is of type int; give a path"),
        (
            {"callbacks": [pt.Callback]},
            r"callbacks must be a list of penchant.Callback objects; give \[MyCallback\(\)\]",
        ),
        ({"callbacks": pt.Callback()}, "callbacks must be a list"),
        ({"callbacks": [print]}, "callbacks must be a list"),
        ({"objective": lambda batch: batch.delta_B.detach()}, "the loss does not depend on the model"),
        ({"data": []}, "no data was given"),
    ],
)
def test_an_argument_of_another_kind_is_refused_in_a_sentence(model, options, words):
    arguments = {"model": model, "data": ROWS, **FEW, **options}
    with pytest.raises(pt.UserError, match=words):
        pt.dpo(arguments.pop("model"), arguments.pop("data"), **arguments)


@pytest.mark.parametrize("progress", ["yes", None, 1])
def test_progress_is_true_false_or_an_object_that_is_told(model, progress):
    with pytest.raises(pt.ConfigError, match="progress must be True, False or an object with `say`"):
        pt.sample(model, ["Once"], progress=progress)


def test_the_network_itself_is_no_model(model):
    with pytest.raises(pt.ConfigError, match=r"model is of type LlamaForCausalLM; give what"):
        pt.dpo(model.network, ROWS, **FEW)
    with pytest.raises(pt.ConfigError, match="model is None; give the name or path of a model"):
        pt.load(None)


@pytest.mark.parametrize(
    ("name", "value"), [("seed", "x"), ("num_responses", 2.5), ("max_new_tokens", 0), ("seed", True)]
)
def test_a_number_of_sampling_that_is_none_is_named(model, name, value):
    with pytest.raises(pt.ConfigError, match=f"{name} must be a whole number of at least"):
        pt.sample(model, ["Once"], progress=False, **{name: value})


@pytest.mark.slow(threads=1)
def test_prompts_may_come_in_any_container(model):
    texts = ["Once upon a time", "One day"]

    def sampled(prompts):
        return pt.sample(model, prompts, max_new_tokens=4, progress=False).rows

    expected = sampled(texts)
    assert sampled(tuple(texts)) == sampled(iter(texts)) == sampled(np.array(texts)) == expected
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    assert sampled(pandas.Series(texts)) == sampled(pandas.DataFrame({"prompt": texts})) == expected


def test_a_prompt_that_is_no_text_is_named_by_its_place(model):
    with pytest.raises(pt.DataError, match=r"data\[1\].*1 bad row"):
        pt.sample(model, ["Once", float("nan")], progress=False)
