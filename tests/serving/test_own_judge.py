"""Penchant's own judge asks Penchant's own server: the question is understood there, and the verdict here."""

import pytest

import penchant as pt
from penchant.data import Candidate, Comparison, Message
from penchant.evaluation.judges.endpoint import question

INSTRUCTIONS = "Judge."
ASKED = Comparison(
    id="one",
    prompt=(Message(role="user", content="Tell of a dog"),),
    a=Candidate(text="It ran and was happy."),
    b=Candidate(text="It sat."),
)


def learned(model):
    """The model after it has learned what to say of this one comparison, in both orders."""
    texts = ASKED.a.text, ASKED.b.text
    rows = [
        {
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": question(ASKED, *order)},
                {"role": "assistant", "content": verdict},
            ]
        }
        for order, verdict in ((texts, "FIRST"), (texts[::-1], "SECOND"))
    ]
    how = {"data.held_out": 0.0, "save.num_samples": 0, "optimiser.schedule": "constant", "optimiser.batch_size": 2}
    return pt.sft(model, rows, epochs=25, learning_rate=3e-3, settings=how, progress=False).model


@pytest.mark.slow(threads=1)
def test_a_verdict_travels_from_our_server_to_our_judge(story_model, serve, tmp_path):
    long = story_model.copy()
    long.text_config.max_position_embeddings = 4096  # a judge leaves room for thinking aloud
    (tmp_path / "judge.txt").write_text(INSTRUCTIONS)
    with serve(learned(long)) as service:
        how = {"judge_model": service.model, "instructions": str(tmp_path / "judge.txt"), "progress": False}
        (answered,) = pt.judge([ASKED], service.base, **how)
    assert answered.outcome == "a"
    assert answered.meta["judge"]["orders"] == ["first", "second"]
