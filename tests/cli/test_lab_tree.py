"""`penchant lab tree` on a real small model: a path is a product, whoever computes it."""

import json
import math

import pytest
import torch

from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics

PLAIN = ("--set", "chat_template=plain", "--set", "prompt=Once upon a")


@pytest.fixture(scope="module")
def found(penchant, stories260k, tmp_path_factory):
    """The written result of a tree at temperature 1 and at 0.5."""

    def run(*more):
        folder = tmp_path_factory.mktemp("tree")
        result = penchant("lab", "tree", "--set", f"model={stories260k}", *PLAIN, *more, "--output", folder)
        assert result.code == 0, result.err
        return json.loads((folder / "tree.json").read_text()), result.out, folder

    return {"1": run(), "0.5": run("--set", "temperature=0.5", "--set", "width=2", "--set", "depth=2")}


@pytest.mark.parametrize("temperature", ["1", "0.5"])
def test_every_part_of_the_claim_holds(found, temperature):
    content, _, _ = found[temperature]
    assert content["checks"]
    assert all(content["checks"].values())
    assert all(value < 1e-5 for value in content["measured"].values())


def test_the_figure_is_drawn_with_tokens_that_can_be_read(found):
    content, out, folder = found["1"]
    (figure,) = content["figures"]
    texts = [edge["text"] for edge in figure["edges"]]
    assert "\u2423time" in texts
    assert "the rest" in texts
    assert (folder / "tree.svg").stat().st_size > 5000
    assert (folder / "tree.png").stat().st_size > 5000
    assert "\u2423time,\u2423there" in out


def test_the_products_are_the_models_own_probabilities(found, stories260k):
    """By hand: the whole softmax after each prefix, from the network itself."""
    content, _, _ = found["1"]
    model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain", share=False)
    prompt = model.encoder.tokenizer.encode("Once upon a", add_special_tokens=True)
    row = content["table"][0]
    wanted = row["completion"].replace("\u2423", " ")
    probability, ids = 1.0, list(prompt)
    for _ in row["product"].split(" x "):
        with torch.no_grad():
            p_V = torch.softmax(model.network(input_ids=torch.tensor([ids])).logits[0, -1].double(), 0)
        token = int(p_V.argmax())
        probability, ids = probability * float(p_V[token]), [*ids, token]
    assert model.tokenizer.decode(ids).endswith(wanted)
    assert float(row["p"]) == pytest.approx(probability, rel=0.01)
    assert math.prod(map(float, row["product"].split(" x "))) == pytest.approx(probability, rel=0.02)


def test_a_lower_temperature_sharpens_the_first_step(found):
    def first(content):
        (figure,) = content["figures"]
        root = next(i for i, node in enumerate(figure["nodes"]) if node["kind"] == "inner" and node["column"] == 0)
        return max(edge["probability"] for edge in figure["edges"] if edge["start"] == root)

    assert first(found["0.5"][0]) > first(found["1"][0])


@pytest.mark.parametrize("setting", ["depth=0", "width=0", "temperature=0", "least=1", "depth=600"])
def test_an_option_out_of_range_is_refused_by_name(penchant, stories260k, setting):
    result = penchant("lab", "tree", "--set", f"model={stories260k}", *PLAIN, "--set", setting)
    assert result.code == 2
    assert setting.partition("=")[0] in result.err
    assert result.err.count("penchant: ") == 1


def test_a_model_that_is_not_there_is_refused(penchant):
    result = penchant("lab", "tree", "--set", "model=./nowhere")
    assert result.code == 2
    assert "nowhere" in result.err


@pytest.mark.slow
def test_the_starter_models_answers_are_products_too(penchant, tmp_path):
    result = penchant("lab", "tree", "--set", "depth=2", "--output", tmp_path)
    assert result.code == 0, result.out
    assert "The claim held." in result.out
