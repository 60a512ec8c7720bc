"""A conversation forgets its oldest turns where the context is full, and stays as it was where something is refused."""

import dataclasses

import pytest

from penchant.errors import ModelError
from penchant.models.conversation import Conversation
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams


@pytest.fixture(scope="module")
def story_model(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")


def talk(model, max_new_tokens=12, reference=None):
    return Conversation(model, reference, SamplingParams(0.0, 1.0, 0, max_new_tokens, 0))


@pytest.mark.slow
def test_the_oldest_turns_are_forgotten_when_the_context_is_full_and_it_is_said(story_model):
    said, conversation = [], talk(story_model, max_new_tokens=30)
    for turn in range(8):
        conversation.reply(f"Once upon a time there was cat number {turn}. " + "It ran. " * 20, said.append)
    assert said
    assert "forgotten" in said[0]
    assert conversation.messages[0].role == "user"
    assert "number 0" not in conversation.messages[0].content
    assert "number 7" in conversation.messages[-2].content
    assert [m.role for m in conversation.messages] == ["user", "assistant"] * (len(conversation.messages) // 2)


def test_what_is_too_long_alone_is_refused_and_the_conversation_stays_as_it_was(story_model):
    conversation = talk(story_model)
    conversation.reply("Once upon a time", print)
    before = list(conversation.messages)
    with pytest.raises(ModelError, match="too long"):
        conversation.reply("word " * 1000, print)
    assert conversation.messages == before


def test_the_conversation_goes_on_with_the_policys_answer(story_model):
    conversation = talk(story_model, reference=story_model_beside(story_model))
    answers = conversation.reply("Once upon a time", print)
    assert set(answers) == {"policy", "reference"}
    assert conversation.messages[-1].content == answers["policy"]


def story_model_beside(model):
    """The same weights as a second model: a reference that is no adapter switched off."""
    return dataclasses.replace(model)
