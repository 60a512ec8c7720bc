"""Records become pairs and examples under one rule of length; what cannot be used gets a verdict."""

import pytest

from penchant.data import Demonstration, Document, Labelled, Message, Origin, PreferencePair
from penchant.tokens import ChatEncoder, Limits, tokenise_demonstrations, tokenise_labelled, tokenise_pairs
from penchant.tokens.labelled_responses import encoded_labelled


def pair(prompt, chosen, rejected, line=1, **fields):
    message = (Message(role="user", content=prompt),)
    return PreferencePair(
        prompt=message, chosen=chosen, rejected=rejected, origin=Origin(file="f.jsonl", line=line), **fields
    )


@pytest.fixture(scope="module")
def encoder(byte_tokenizer):
    return ChatEncoder(byte_tokenizer)


WIDE = Limits(max_length=500, max_prompt_length=400)


def test_a_pair_keeps_its_weight_label_margin_and_origin(encoder):
    (one,) = tokenise_pairs(encoder, [pair("hi", "yes", "no", 7, weight=2.0, probability=0.8, margin=0.5)], WIDE).items
    assert (one.weight, one.probability, one.margin, str(one.origin)) == (2.0, 0.8, 0.5, "f.jsonl:7")


def test_the_completion_alone_is_scored_on_both_sides(encoder):
    (one,) = tokenise_pairs(encoder, [pair("hi", "yes", "no")], WIDE).items
    for side, text in ((one.chosen, "yes"), (one.rejected, "no")):
        assert encoder.decode(side.ids[side.scored]) == text
        assert side.ids[-1] == encoder.tokenizer.eos_token_id
    prompts = [s.ids[~s.scored].tolist() for s in one.sequences]
    assert prompts[0] == prompts[1] == encoder.encode_prompt(pair("hi", "yes", "no").prompt)


def test_both_sides_are_cut_by_one_rule_and_counted(encoder):
    prompt = len(encoder.encode_prompt(pair("hi", "", "").prompt))
    limits = Limits(max_length=prompt + 5, max_prompt_length=prompt)
    result = tokenise_pairs(encoder, [pair("hi", "q" * 30, "z" * 30), pair("hi", "x" * 30, "no")], limits)
    first, second = result.items
    assert [len(s) for s in first.sequences] == [prompt + 5, prompt + 5]
    assert encoder.tokenizer.eos_token_id not in first.chosen.ids[first.chosen.scored], "a cut response has no end"
    assert second.rejected.ids[-1] == encoder.tokenizer.eos_token_id, "a response with room keeps its end"
    assert result.num_truncated == 3


def test_a_response_that_fits_exactly_is_not_cut(encoder):
    ids = encoder.encode_response(pair("hi", "", "").prompt, "q" * 10)
    prompt = len(encoder.encode_prompt(pair("hi", "", "").prompt))
    result = tokenise_pairs(encoder, [pair("hi", "q" * 10, "no")], Limits(prompt + len(ids), prompt))
    assert result.num_truncated == 0
    assert result.items[0].chosen.ids[-1] == encoder.tokenizer.eos_token_id


def test_responses_that_are_equal_after_the_cut_are_a_bad_row(encoder):
    prompt = len(encoder.encode_prompt(pair("hi", "", "").prompt))
    result = tokenise_pairs(encoder, [pair("hi", "qqqq1", "qqqq2", 3)], Limits(prompt + 3, prompt))
    assert result.items == ()
    assert [(v.code, v.origin.line) for v in result.problems] == [("equal_after_truncation", 3)]
    assert "`max_length=...`" in result.problems[0].fix


def test_a_prompt_over_its_limit_is_a_bad_row_and_never_cut(encoder):
    result = tokenise_pairs(encoder, [pair("hi " * 50, "yes", "no", 4), pair("hi", "yes", "no", 5)], Limits(40, 39))
    assert [v.code for v in result.problems] == ["prompt_too_long"]
    assert [item.origin.line for item in result.items] == [5]


@pytest.mark.parametrize("num_spare", [None, 1, 0])
def test_a_prompt_that_fills_the_models_context_is_not_told_to_raise_a_limit(encoder, num_spare):
    """With a token to spare, or where the context is not known, options may help."""
    long, talk = pair("hi " * 50, "yes", "no"), conversation("hi " * 50, "yes")
    length = len(encoder.encode_prompt(long.prompt))
    context_length = None if num_spare is None else length + num_spare
    limits = Limits(40, 39, context_length)
    for tokenise, record in ((tokenise_pairs, long), (tokenise_demonstrations, talk)):
        (problem,) = tokenise(encoder, [record], limits).problems
        assert f"the prompt has {length} tokens" in problem.reason
        if num_spare == 0:
            assert problem.fix == f"the model takes {length} tokens, prompt and response together; shorten the prompt"
        else:
            assert "raise `max_length=...` or `max_prompt_length=...` where the model takes more tokens" in problem.fix


REWRITING = "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}"


def test_a_template_that_rewrites_itself_gives_every_row_a_verdict(byte_tokenizer):
    encoder = ChatEncoder(byte_tokenizer, template=REWRITING)
    result = tokenise_pairs(encoder, [pair("hi", "yes", "no", 9)], WIDE)
    assert [(v.code, v.origin.line) for v in result.problems] == [("template_boundary", 9)]


def test_a_template_that_refuses_a_row_gives_that_row_a_verdict(byte_tokenizer):
    refusing = (
        "{{ raise_exception('no') if messages[0].content == 'no' }}{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    encoder = ChatEncoder(byte_tokenizer, template=refusing)
    result = tokenise_pairs(encoder, [pair("no", "a", "b", 1), pair("well", "a", "b", 2)], WIDE)
    assert [(v.code, v.origin.line) for v in result.problems] == [("template_boundary", 1)]
    assert len(result.items) == 1


@pytest.mark.parametrize("max_length", [3, 4, 7, 50])
def test_a_document_is_cut_into_pieces_and_every_token_is_scored_once(encoder, max_length):
    document = Document(text="hello there friend what was the answer")
    whole = encoder.encode_document(document.text)
    pieces = [e.sequences[0] for e in tokenise_demonstrations(encoder, [document], Limits(max_length, 2)).items]
    assert [i for piece in pieces for i in piece.ids[piece.scored].tolist()] == whole[1:]
    assert all(2 <= len(piece) <= max_length for piece in pieces)


def conversation(*contents):
    messages = [Message(role=("user", "assistant")[i % 2], content=text) for i, text in enumerate(contents)]
    return Demonstration(messages=tuple(messages), origin=Origin(file="c.jsonl", line=2))


def test_a_conversation_is_cut_at_the_limit_and_counted(encoder):
    limits = Limits(30, 29)
    result = tokenise_demonstrations(encoder, [conversation("hi", "q" * 60)], limits)
    assert len(result.items[0].sequences[0]) == 30
    assert result.num_truncated == 1


def test_a_conversation_whose_answers_are_all_behind_the_limit_is_a_bad_row(encoder):
    result = tokenise_demonstrations(encoder, [conversation("hi " * 60, "yes")], Limits(30, 29))
    assert [(v.code, str(v.origin)) for v in result.problems] == [("prompt_too_long", "c.jsonl:2")]
    assert result.items == ()


def test_a_conversation_the_template_rewrites_is_a_bad_row(byte_tokenizer):
    encoder = ChatEncoder(byte_tokenizer, template=REWRITING)
    result = tokenise_demonstrations(encoder, [conversation("hi", "yes")], WIDE)
    assert [v.code for v in result.problems] == ["template_boundary"]


def test_what_follows_a_bad_row_or_a_document_is_read(encoder):
    rows = [conversation("hi " * 60, "yes"), Document(text="a tale"), conversation("hi", "yes")]
    result = tokenise_demonstrations(encoder, [*rows, *rows], Limits(60, 59))
    assert len(result.items) == 4
    assert len(result.problems) == 2


def test_labelled_responses_held_few_at_a_time_are_the_same_and_lend_each_other_theirs(encoder):
    records = [
        Labelled(prompt=(Message(role="user", content=f"p{n % 5}"),), response=f"r{n}", desirable=n % 2 == 0)
        for n in range(12)
    ]
    whole = tokenise_labelled(encoder, records, WIDE).items
    by_four = [item for items, _ in encoded_labelled(encoder, records, WIDE, among=4) for item in items]
    assert [one.sequence.ids.tolist() for one in by_four] == [one.sequence.ids.tolist() for one in whole]
    for start in range(0, 12, 4):
        some = by_four[start : start + 4]
        assert sorted(one.mismatch.ids[one.mismatch.scored].tolist() for one in some) == sorted(
            one.sequence.ids[one.sequence.scored].tolist() for one in some
        )
        assert all(one.mismatch.context == one.sequence.context for one in some)
        assert all(one.mismatch.key != one.sequence.key for one in some)
