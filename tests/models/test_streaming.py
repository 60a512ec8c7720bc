"""Streaming: the pieces are what `generate` gives, no character comes in halves, and closing stops the work."""

import pytest
from transformers import PreTrainedTokenizerFast

from penchant.errors import ConfigError, ModelError
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams
from penchant.models.streaming import GrowingText, stream
from penchant.tokens.encoding import ChatEncoder

from .conftest import byte_tokenizer

PROMPT = "Once upon a time there was a little dog. He had a red ball"


@pytest.fixture(
    scope="module",
    params=[pytest.param(True, id="shared"), pytest.param(False, id="unshared", marks=pytest.mark.slow)],
)
def stories(request, stories260k):
    numerics = choose_numerics("cpu", "float32")
    return load_model(str(stories260k), numerics, chat_template="plain", share=request.param)


def asked(model, text=PROMPT):
    return Request(tuple(model.tokenizer.encode(text)), "chat")


def joined(pieces, num):
    texts = [""] * num
    for index, piece in pieces:
        assert piece, "an empty piece says nothing"
        texts[index] += piece
    return texts


def generated(model, request, params, num):
    (group,) = generate(model, [request], params, num_responses=num)
    return group, [model.encoder.decode(response.token_ids) for response in group]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 7))])
@pytest.mark.parametrize("num", [1, 2, 3])
def test_the_pieces_make_up_what_generate_gives_for_the_same_seed(stories, seed, num):
    params = SamplingParams(temperature=0.9, top_p=0.95, max_new_tokens=30, seed=seed)
    _, expected = generated(stories, asked(stories), params, num)
    assert joined(stream(stories, asked(stories), params, num_responses=num), num) == expected
    assert len(set(expected)) == num


@pytest.mark.slow
def test_it_stops_at_the_end_token_each_answer_by_itself(stories):
    params = SamplingParams(max_new_tokens=400, seed=5)
    group, expected = generated(stories, asked(stories), params, 2)
    lengths = [len(response.token_ids) for response in group]
    assert all(response.finished for response in group)
    assert lengths[0] != lengths[1]
    pieces = list(stream(stories, asked(stories), params, num_responses=2))
    assert joined(pieces, 2) == expected
    first_ended = lengths.index(min(lengths))
    assert {index for index, _ in pieces[-10:]} == {1 - first_ended}


def test_both_answers_grow_together_from_the_first_step(stories):
    pieces = list(stream(stories, asked(stories), SamplingParams(max_new_tokens=20, seed=1), num_responses=2))
    assert {index for index, _ in pieces[:3]} == {0, 1}
    assert len(pieces) > 20


def test_the_prompt_is_run_once_and_closing_stops_the_work(stories):
    request = asked(stories)
    before = stories.num_tokens_run
    pieces = stream(stories, request, SamplingParams(max_new_tokens=200, seed=1), num_responses=2)
    assert stories.num_tokens_run == before
    for _ in range(6):
        next(pieces)
    pieces.close()
    run = stories.num_tokens_run - before
    prompt = len(request.prompt_ids) * (1 if stories.shares else 2)
    assert prompt <= run < prompt + 20


def test_what_cannot_be_sampled_is_refused_before_anything_is(stories):
    with pytest.raises(ConfigError, match="num_responses"):
        stream(stories, asked(stories), SamplingParams(), num_responses=0)
    with pytest.raises(ModelError, match="context"):
        stream(stories, Request((5,) * 600, "chat"), SamplingParams())


# characters of several tokens


class TextSide:
    """As much of a model as text needs."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.encoder = ChatEncoder(tokenizer, template="plain")


def grown(side, ids):
    """What is given out after each token, and at the end."""
    text = GrowingText(side.tokenizer, side.encoder.decode)
    return [*(text.grow(ids[: end + 1]) for end in range(len(ids))), text.finish(ids)]


SPOKEN = "the user 你好，世界 🐢🇫🇷 naïve Ω"


def test_a_character_of_several_bytes_comes_whole():
    side = TextSide(byte_tokenizer())
    ids = side.tokenizer.encode(SPOKEN, add_special_tokens=False)
    pieces = grown(side, ids)
    assert "".join(pieces) == side.encoder.decode(ids) == SPOKEN
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
    assert "你" in pieces


def test_bytes_that_never_become_a_character_are_given_at_the_end():
    side = TextSide(byte_tokenizer())
    ids = side.tokenizer.encode("ok 🐢", add_special_tokens=False)[:-1]
    pieces = grown(side, ids)
    assert "".join(pieces) == side.encoder.decode(ids)
    assert pieces[-1].startswith("\N{REPLACEMENT CHARACTER}")


def fallback_tokenizer():
    """A vocabulary that spells what it lacks by its bytes, as those of SentencePiece do."""
    from tokenizers import Tokenizer, decoders, models

    vocabulary = {"</s>": 0, "▁a": 1, "b": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_run_of_bytes_waits_until_it_cannot_change_any_more(cut):
    side = TextSide(fallback_tokenizer())
    ids = [1, *(3 + byte for byte in "你好世".encode()), 2, 2][:cut]
    pieces = grown(side, ids)
    assert "".join(pieces) == side.encoder.decode(ids)
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces[:-1])


def test_spaces_that_a_tokenizer_takes_out_later_are_not_given_out_before():
    class Cleaning:
        """Joins words and then takes out the spaces that transformers takes out, as tokenizers of BERT's kind do."""

        clean_up_tokenization_spaces = True
        words = ("do", " n't", " ask", " '", " s", " .", " Well", " ", ".", " a", " 've")

        def convert_ids_to_tokens(self, token_id):
            return self.words[token_id]

    class Side:
        tokenizer = Cleaning()

        class encoder:  # noqa: N801
            @staticmethod
            def decode(ids):
                return PreTrainedTokenizerFast.clean_up_tokenization(None, "".join(Cleaning.words[i] for i in ids))

    ids = list(range(len(Cleaning.words)))
    assert "".join(grown(Side, ids)) == Side.encoder.decode(ids) == "don't ask's. Well. a've"
