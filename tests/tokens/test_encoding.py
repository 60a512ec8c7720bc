"""Messages become ids whose completion is known to the token, with one end token and no second beginning."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import Message
from penchant.errors import ModelError
from penchant.tokens import BoundaryError, ChatEncoder

ROLES = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ m.content }}{% endfor %}"
)


def user(text):
    return (Message(role="user", content=text),)


def talk(*contents):
    return tuple(Message(role=("user", "assistant")[i % 2], content=text) for i, text in enumerate(contents))


@pytest.fixture(scope="module")
def chatml(byte_tokenizer):
    return ChatEncoder(byte_tokenizer)


@pytest.fixture(scope="module")
def plain(story_tokenizer):
    return ChatEncoder(story_tokenizer, template="plain", end_ids=(2, 1))


def test_prompt_and_response_spell_the_rendered_template_without_the_newline_after_the_end_token(chatml):
    prompt, response = user("hello there"), "the answer is 42"
    ids = [*chatml.encode_prompt(prompt), *chatml.encode_response(prompt, response)]
    text = chatml.tokenizer.decode(ids, skip_special_tokens=False)
    assert text == ("<|im_start|>user\nhello there<|im_end|>\n<|im_start|>assistant\nthe answer is 42<|im_end|>")
    assert text + "\n" == chatml.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": response}], tokenize=False
    )


def test_the_ids_are_those_of_the_whole_rendered_text(chatml):
    prompt, response = user("what was the answer"), "hello friend"
    whole = chatml.tokenizer.encode(
        "<|im_start|>user\nwhat was the answer<|im_end|>\n<|im_start|>assistant\nhello friend<|im_end|>",
        add_special_tokens=False,
    )
    assert [*chatml.encode_prompt(prompt), *chatml.encode_response(prompt, response)] == whole


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30))
def test_any_response_ends_with_exactly_one_end_token_and_decodes_to_itself(chatml, text):
    ids = chatml.encode_response(user("hi"), text)
    end = chatml.tokenizer.eos_token_id
    assert ids.count(end) == 1
    assert ids[-1] == end
    assert chatml.decode(ids) == text


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30))
def test_a_plain_continuation_adds_no_space_and_loses_none(plain, text):
    prompt = user("Once upon a time")
    ids = [*plain.encode_prompt(prompt), *plain.encode_response(prompt, text)]
    assert plain.decode(ids).removeprefix(" ") == "Once upon a time" + text
    assert ids[-1] == plain.tokenizer.eos_token_id


def test_a_plain_prompt_begins_with_one_beginning_token_and_has_no_end_token(plain):
    ids = plain.encode_prompt(user("Once upon a time"))
    assert ids[0] == plain.tokenizer.bos_token_id
    assert ids.count(plain.tokenizer.bos_token_id) == 1
    assert plain.tokenizer.eos_token_id not in ids


def test_a_response_never_begins_with_a_beginning_token(plain, chatml):
    for encoder in (plain, chatml):
        assert encoder.encode_response(user("hi"), "yes")[0] != encoder.tokenizer.bos_token_id


def test_an_empty_prompt_is_the_beginning_token_so_that_the_first_word_can_be_scored(plain, sequences_of):
    assert plain.encode_prompt(user("")) == [plain.tokenizer.bos_token_id]
    (sequence,) = sequences_of(plain, [Message(role="assistant", content="Once")])
    assert not sequence.scored[0]
    assert all(sequence.scored[1:])
    assert plain.decode(sequence.ids).strip() == "Once"


@pytest.mark.parametrize("response", [" named Max. He", "s, and Max", "\n\n named Max"])
def test_a_sampled_plain_response_is_kept_with_its_first_space_so_that_its_tokens_are_found_again(plain, response):
    prompt = user("There was a dog")
    prompt_ids, ids = plain.encode_prompt(prompt), plain.encode_response(prompt, response)
    assert plain.decode_response(prompt_ids, ids) == response
    spaces = plain.encode_response(prompt, "  \n")
    assert plain.decode_response(prompt_ids, [*ids[:-1], *spaces]) == response, "what ends it is no part of it"
    assert plain.decode_response(prompt_ids, spaces) == ""


def test_a_sampled_response_under_a_chat_template_is_kept_without_the_space_around_it(chatml):
    prompt = user("hello there")
    ids = chatml.encode_response(prompt, " \n the answer \n")
    assert chatml.decode_response(chatml.encode_prompt(prompt), ids) == "the answer"


def test_a_padding_token_that_is_the_end_token_is_scored_all_the_same(chatml, sequences_of):
    assert chatml.tokenizer.pad_token_id == chatml.tokenizer.eos_token_id
    (sequence,) = sequences_of(chatml, talk("hi", "hello"))
    assert sequence.ids[sequence.scored][-1] == chatml.tokenizer.pad_token_id


def test_in_a_conversation_the_assistants_turns_alone_are_scored(chatml, sequences_of):
    (sequence,) = sequences_of(chatml, talk("hello", "the answer", "what", "was there"))
    picked = sequence.ids[sequence.scored]
    assert chatml.tokenizer.decode(picked) == "the answer<|im_end|>was there<|im_end|>"
    assert chatml.tokenizer.decode(sequence.ids) == (
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nthe answer<|im_end|>\n"
        "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\nwas there<|im_end|>"
    )
    assert sequence.weights is None


def test_a_conversation_of_one_turn_is_its_prompt_and_response(chatml, sequences_of):
    (sequence,) = sequences_of(chatml, talk("hello", "the answer"))
    prompt, response = chatml.encode_prompt(user("hello")), chatml.encode_response(user("hello"), "the answer")
    assert sequence.ids.tolist() == [*prompt, *response]
    assert sequence.scored.sum() == len(response)


def test_a_plain_conversation_is_read_on_without_end_tokens_and_every_answer_is_closed(plain, sequences_of):
    first, second = sequences_of(plain, talk("Once", " upon", " a", " time"))
    end = plain.tokenizer.eos_token_id
    for sequence, text in ((first, "Once upon"), (second, "Once upon a time")):
        assert plain.decode(sequence.ids).strip() == text
        assert sequence.ids.tolist().count(end) == 1
        assert sequence.ids[-1] == end


def test_a_conversation_that_begins_with_the_assistant_is_a_boundary_error_under_a_template_with_roles(
    chatml, sequences_of
):
    with pytest.raises(BoundaryError, match="begins with the assistant"):
        sequences_of(chatml, [Message(role="assistant", content="hello")])


def test_a_document_is_opened_and_closed_once(plain, chatml):
    for encoder in (plain, chatml):
        ids = encoder.encode_document("hello there")
        assert ids[0] == encoder.tokenizer.bos_token_id
        assert ids[-1] == encoder.tokenizer.eos_token_id
        assert ids.count(encoder.tokenizer.bos_token_id) == ids.count(encoder.tokenizer.eos_token_id) == 1


def test_a_template_that_rewrites_its_prompt_is_a_boundary_error_not_a_guess(byte_tokenizer, sequences_of):
    rewriting = "{% for m in messages %}{{ messages|length }}{{ m.content }}{% endfor %}"
    encoder = ChatEncoder(byte_tokenizer, template=rewriting)
    with pytest.raises(BoundaryError, match="writes the prompt differently"):
        encoder.encode_response(user("hi"), "yes")
    with pytest.raises(BoundaryError, match="writes the prompt differently"):
        sequences_of(encoder, talk("hi", "yes"))


def test_a_template_that_refuses_the_roles_is_a_boundary_error_with_its_words(byte_tokenizer):
    encoder = ChatEncoder(byte_tokenizer, template=ROLES)
    with pytest.raises(BoundaryError, match="no system role"):
        encoder.encode_prompt([Message(role="system", content="be kind")])


def test_a_template_that_is_not_jinja_is_the_users_error(byte_tokenizer):
    with pytest.raises(ModelError, match="not Jinja"):
        ChatEncoder(byte_tokenizer, template="{% for %}").encode_prompt(user("hi"))


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
        "{{ self.__init__.__globals__ }}",
    ],
)
def test_a_hostile_template_reaches_nothing_of_python(byte_tokenizer, hostile):
    with pytest.raises(BoundaryError, match="refuses these messages"):
        ChatEncoder(byte_tokenizer, template=hostile).encode_prompt(user("hi"))


def test_a_tokenizer_without_a_template_is_refused_with_what_to_do(story_tokenizer):
    with pytest.raises(ModelError, match='chat_template="plain"'):
        ChatEncoder(story_tokenizer)


def test_the_default_of_several_templates_is_taken(byte_tokenizer):
    class Several:
        chat_template = {"default": "{{ messages[0].content }}", "tools": "no"}  # noqa: RUF012
        eos_token_id = 1
        bos_token_id = None

        def __getattr__(self, name):
            return getattr(byte_tokenizer, name)

    assert ChatEncoder(Several()).template == "{{ messages[0].content }}"


@pytest.mark.parametrize("after", ["", "\n"])
def test_an_end_token_in_the_middle_of_an_answer_closes_nothing(byte_tokenizer, after):
    end, eos = byte_tokenizer.convert_tokens_to_ids("<|im_end|>"), byte_tokenizer.eos_token_id
    of_assistant = "{% if m.role == 'assistant' %}<|im_end|>" + after + "{% endif %}"
    for closed, closing in ((end, of_assistant), (eos, "")):
        template = "{% for m in messages %}{{ m.content }}" + closing + "{% endfor %}"
        encoder = ChatEncoder(byte_tokenizer, template=template, end_ids=[end], special_tokens="control")
        ids = encoder.encode_response(user("hi "), "one<|im_end|> two")
        assert byte_tokenizer.decode(ids) == f"one<|im_end|> two{byte_tokenizer.decode([closed])}"


def test_an_end_token_of_the_model_closes_a_turn_and_none_is_added(byte_tokenizer):
    other_end = byte_tokenizer.convert_tokens_to_ids("<|im_start|>")
    template = (
        "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_start|>\n{% endif %}{% endfor %}"
    )
    encoder = ChatEncoder(byte_tokenizer, template=template, end_ids=[other_end])
    ids = encoder.encode_response(user("hi "), "yes")
    assert byte_tokenizer.decode(ids) == "yes<|im_start|>"


@pytest.mark.parametrize("text", ["say </s> now", "say</s>now", "</s>", "</s> hi", "</s></s>x", "x<s></s>"])
def test_a_special_token_read_as_characters_is_where_it_stands_in_the_text(story_tokenizer, text):
    """The oracle is the tokenizer on the whole text, told to split its special tokens."""
    encoder = ChatEncoder(story_tokenizer, template="plain", special_tokens="text")
    asked = [Message(role="user", content="q")]
    before = story_tokenizer.encode("q", split_special_tokens=True)
    whole = story_tokenizer.encode(f"q{text}", split_special_tokens=True)
    assert encoder.encode_response(asked, text)[:-1] == whole[len(before) :]
    alone = story_tokenizer.encode(text, split_special_tokens=True)
    assert encoder.encode_prompt([Message(role="user", content=text)]) == alone
    assert encoder.encode_document(text)[:-1] == alone
