"""The tree of what a real small model may answer: a path is a product, whoever computes it."""

import math

import pytest
import torch

from penchant.errors import ConfigError, ModelError
from penchant.life import tree
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.report.lecture import draw_figure

PLAIN = {"chat_template": "plain", "prompt": "Once upon a"}


@pytest.fixture(scope="module")
def found(stories260k):
    """The result of a tree at temperature 1 and at 0.5."""
    cooler = {"temperature": 0.5, "width": 2, "depth": 2}
    return {
        "1": tree(str(stories260k), **PLAIN).as_dict(),
        "0.5": tree(str(stories260k), **PLAIN, **cooler).as_dict(),
    }


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("temperature", ["1", "0.5"])
def test_every_part_of_the_claim_holds(found, temperature):
    content = found[temperature]
    assert content["checks"]
    assert all(content["checks"].values())
    assert all(value < 1e-5 for value in content["measured"].values())


@pytest.mark.slow(threads=1)
def test_the_figure_is_drawn_with_tokens_that_can_be_read(found, tmp_path):
    content = found["1"]
    (figure,) = content["figures"]
    texts = [edge["text"] for edge in figure["edges"]]
    assert "\u2423time" in texts
    assert "the rest" in texts
    drawn = list(draw_figure(figure, tmp_path / "tree"))
    assert {path.suffix for path in drawn} == {".svg", ".png"}
    assert all(path.stat().st_size > 5000 for path in drawn)
    assert any("\u2423time,\u2423there" in row["completion"] for row in content["table"])


def test_the_products_are_the_models_own_probabilities(found, stories260k):
    """By hand: the whole softmax after each prefix, from the network itself."""
    content = found["1"]
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

    assert first(found["0.5"]) > first(found["1"])


@pytest.mark.parametrize(
    "option", [{"depth": 0}, {"width": 0}, {"temperature": 0.0}, {"least": 1.0}, {"depth": 600}], ids=str
)
def test_an_option_out_of_range_is_refused_by_name(stories260k, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        tree(str(stories260k), **PLAIN, **option)


def test_a_model_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match="nowhere"):
        tree("./nowhere")


@pytest.mark.slow
def test_the_starter_models_answers_are_products_too():
    assert tree(depth=2).held
