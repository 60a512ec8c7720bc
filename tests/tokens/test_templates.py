"""One conversation has one tokenisation under every chat template, and what a template leaves out is said.

The templates are those of real models, in a form of our own that keeps what is peculiar to each.
"""

import json
import re
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penchant.data import Demonstration, Message, Origin, PreferencePair
from penchant.errors import ModelError
from penchant.tokens import BoundaryError, ChatEncoder, Limits, tokenise_demonstrations, tokenise_pairs

TEMPLATES = json.loads((Path(__file__).parent / "templates" / "special_tokens.json").read_text(encoding="utf-8"))
THINKS = {"qwen3", "deepseek_r1", "smollm3"}
CALLS = {"llama3", "qwen2_5", "qwen3", "mistral", "deepseek_v3"}
CLOCK = datetime(2026, 3, 7, 15, 4, 5, tzinfo=UTC)  # that of the encoders, see conftest.py
LIMITS = Limits(4096, 4000)
ADD = [{"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CALL = [{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": "two"}}}]


def talk(*contents, system=None, **last):
    messages = [Message(role=("user", "assistant")[i % 2], content=text) for i, text in enumerate(contents)]
    messages[-1] = messages[-1].model_copy(update=last)
    return (*([Message(role="system", content=system)] if system else []), *messages)


def said(name, *contents, **more):
    """A conversation whose answers think where the template opens the thinking itself."""
    texts = [
        f"<think>\nso {text.split()[0]}\n</think>\n\n{text}" if i % 2 and name == "deepseek_r1" else text
        for i, text in enumerate(contents)
    ]
    return talk(*texts, **more)


def parts(sequence):
    """(ids read, ids scored) of every run of scored tokens."""
    found, start = [], 0
    scored = sequence.scored.tolist()
    while start < len(scored):
        begin = scored.index(True, start)
        end = scored.index(False, begin) if False in scored[begin:] else len(scored)
        found.append((sequence.ids[:begin].tolist(), sequence.ids[begin:end].tolist()))
        start = end
        if True not in scored[start:]:
            break
    return found


CONVERSATIONS = {
    "one turn": ("what is it?", "the answer"),
    "two turns": ("hello there", "the answer", "and why", "that was what was"),
    "digits and spaces": ("  1 2\n", "42 \n\n7", "again\t", "x" * 40),
    "three turns": ("a", "b", "c", "d", "e?", "f"),
    "other scripts": ("天气 怎么样？", "晴天 ☀️", "naïve?", "é"),
}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize(
    ("name", "system"),
    [(name, system) for name in TEMPLATES for system in (None, "Be brief.") if not (system and name == "gemma2")],
)
def test_the_ids_of_a_conversation_are_those_of_its_prompts_and_responses(
    encoder_of, name, conversation, system, sequences_of
):
    encoder = encoder_of(name)
    messages = said(name, *CONVERSATIONS[conversation], system=system)
    turns = [i for i, message in enumerate(messages) if message.role == "assistant"]
    wanted = [(encoder.encode_prompt(messages[:i]), encoder.encode_response(messages[:i], messages[i])) for i in turns]
    found = [part for sequence in sequences_of(encoder, messages) for part in parts(sequence)]
    assert found == wanted
    for asked, (prompt, response) in zip(turns, wanted, strict=True):
        assert response[-1] in encoder.end_ids
        assert prompt[-1] not in encoder.end_ids
        # and the same conversation as a preference pair, and as what sampling is given
        pair = PreferencePair(prompt=messages[:asked], chosen=messages[asked].content, rejected="no, never")
        if name != "deepseek_r1":
            (encoded,) = tokenise_pairs(encoder, [pair], LIMITS).items
            assert encoded.chosen.ids.tolist() == [*prompt, *response]


@pytest.mark.parametrize("name", sorted(TEMPLATES.keys() - {"deepseek_r1", "plain"}))
def test_prompt_and_response_spell_what_transformers_writes(encoder_of, name):
    encoder = encoder_of(name)
    messages = talk("hello there", "the answer", "and why", "that was what was")
    rows = [message.model_dump() for message in messages]
    dated = re.sub(r'strftime_now\((["\'])(.*?)\1\)', lambda asked: repr(CLOCK.strftime(asked[2])), encoder.template)
    dated = dated.replace("strftime_now is defined", "true")
    whole = encoder.tokenizer.apply_chat_template(rows, chat_template=dated, tokenize=False).rstrip("\n")
    ids = [*encoder.encode_prompt(messages[:3]), *encoder.encode_response(messages[:3], messages[3])]
    assert encoder.tokenizer.decode(ids) == whole
    assert ids == encoder.tokenizer.encode(whole, add_special_tokens=False)


def test_turns_are_one_sequence_where_the_template_keeps_history_and_one_each_where_it_rewrites_it(
    encoder_of, sequences_of
):
    turns = ("hello there", "the answer", "and why", "that was what was")
    numbers = {name: len(sequences_of(encoder_of(name), said(name, *turns))) for name in TEMPLATES}
    rewriting = {"qwen3": 2, "deepseek_r1": 2, "plain": 2}
    assert numbers == {name: rewriting.get(name, 1) for name in TEMPLATES}


def test_a_template_that_writes_the_system_only_before_the_last_question_is_read_as_it_samples(
    encoder_of, sequences_of
):
    encoder = encoder_of("mistral")
    messages = talk("hello there", "the answer", "and why", "that was", system="Be brief.")
    first, second = sequences_of(encoder, messages)
    assert encoder.tokenizer.decode(first.ids) == "<s>[INST] Be brief.\n\nhello there[/INST] the answer</s>"
    assert encoder.tokenizer.decode(second.ids) == (
        "<s>[INST] hello there[/INST] the answer</s>[INST] Be brief.\n\nand why[/INST] that was</s>"
    )


def test_a_template_that_takes_earlier_thinking_out_trains_each_turn_as_the_model_will_see_it(encoder_of, sequences_of):
    encoder = encoder_of("qwen3")
    messages = talk("one", "<think>\nfirst\n</think>\n\n1", "two", "<think>\nsecond\n</think>\n\n2")
    first, second = sequences_of(encoder, messages)
    text = encoder.tokenizer.decode
    assert (
        text(first.ids)
        == "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n<think>\nfirst\n</think>\n\n1<|im_end|>"
    )
    assert text(second.ids) == (
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n1<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n"
        "<|im_start|>assistant\n<think>\nsecond\n</think>\n\n2<|im_end|>"
    )
    assert text(second.ids[second.scored]) == "<think>\nsecond\n</think>\n\n2<|im_end|>"


@pytest.mark.parametrize("name", sorted(THINKS))
def test_reasoning_is_trained_on_whether_it_has_a_field_or_stands_in_the_text(encoder_of, name):
    encoder = encoder_of(name)
    prompt = talk("what is it?")
    inline = Message(role="assistant", content="<think>\nwell now\n</think>\n\nthe answer")
    field = Message(role="assistant", content="the answer", reasoning="well now")
    ids = encoder.encode_response(prompt, field)
    assert encoder.encode_response(prompt, inline) == ids
    opened = "" if name == "deepseek_r1" else "<think>\n"
    assert encoder.tokenizer.decode(ids) == f"{opened}well now\n</think>\n\nthe answer{encoder.tokenizer.eos_token}"


def test_what_was_sampled_after_opened_thinking_is_read_back_as_it_was(encoder_of):
    encoder = encoder_of("deepseek_r1")
    prompt = talk("what is it?")
    sampled = "well now\n</think>\n\nthe answer"
    assert encoder.decode(encoder.encode_response(prompt, sampled)) == sampled
    with pytest.raises(BoundaryError, match="opens <think> and the response has no reasoning"):
        encoder.encode_response(prompt, "the answer")


@pytest.mark.parametrize("name", ["llama3", "gemma2", "phi4", "plain"])
def test_reasoning_that_a_template_would_drop_is_refused(encoder_of, name):
    with pytest.raises(BoundaryError, match="leaves out the response's reasoning") as caught:
        encoder_of(name).encode_response(talk("hi"), Message(role="assistant", content="yes", reasoning="well"))
    assert caught.value.code == "not_written"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_tools_and_calls_go_through_the_template_and_the_call_is_scored(encoder_of, name, sequences_of):
    encoder = encoder_of(name)
    asked = Message(role="user", content="what is 1 and two?", tools=None if name == "deepseek_v3" else ADD)
    call = Message(role="assistant", content="", tool_calls=CALL)
    text = encoder.tokenizer.decode(encoder.encode_response([asked], call))
    assert "add" in text
    assert '"two"' in text
    assert '"a": 1' in text, "arguments are written as an object, not as a string within a string"
    if name != "deepseek_v3":
        assert "adds" in encoder.prompt_text([asked])
    result = Message(role="tool", content="3", name="add")
    answered = (asked, call, result, Message(role="assistant", content="it is 3"))
    found = [part for sequence in sequences_of(encoder, answered) for part in parts(sequence)]
    assert [encoder.tokenizer.decode(scored) for _, scored in found] == [
        text,
        encoder.tokenizer.decode(encoder.encode_response(answered[:3], "it is 3")),
    ]


@pytest.mark.parametrize("name", ["gemma3", "phi4", "olmo2", "plain", "deepseek_v3"])
def test_tools_that_a_template_does_not_write_are_refused(encoder_of, name):
    asked = Message(role="user", content="add 1 and 2", tools=ADD)
    with pytest.raises(BoundaryError, match="leaves out the tools"):
        encoder_of(name).encode_prompt([asked])


@pytest.mark.parametrize("name", ["phi4", "olmo2", "plain"])
def test_a_call_that_a_template_does_not_write_is_refused(encoder_of, name):
    call = Message(role="assistant", content="wait", tool_calls=CALL)
    with pytest.raises(BoundaryError, match="leaves out the tool calls of message 2"):
        encoder_of(name).encode_response(talk("hi"), call)


@pytest.mark.parametrize(("name", "role"), [("phi4", "tool"), ("olmo2", "developer"), ("qwen2_5", "developer")])
def test_a_message_that_a_template_leaves_out_is_refused(encoder_of, name, role):
    with pytest.raises(BoundaryError, match=f"leaves out message 1, the {role}'s"):
        encoder_of(name).encode_prompt([Message(role=role, content="be kind"), *talk("hi")])


def test_a_turn_of_weight_zero_is_read_and_not_learned_and_other_weights_reach_the_tokens(encoder_of, sequences_of):
    encoder = encoder_of("qwen2_5")
    bad = Message(role="assistant", content="bad answer", weight=0)
    half = Message(role="assistant", content="a star", weight=0.5)
    messages = (*talk("what is the sun?"), bad, *talk("again"), half)
    (sequence,) = sequences_of(encoder, messages)
    assert encoder.tokenizer.decode(sequence.ids[sequence.scored]) == "a star<|im_end|>"
    assert "bad answer" in encoder.tokenizer.decode(sequence.ids)
    assert sequence.weights.tolist() == [0.5] * int(sequence.scored.sum())
    record = Demonstration(messages=messages[:2], origin=Origin(file="f", line=3))
    (problem,) = tokenise_demonstrations(encoder, [record], LIMITS).problems
    assert (problem.code, str(problem.origin)) == ("nothing_scored", "f:3")


def test_thinking_left_open_is_a_verdict_in_the_text_and_at_the_cut(encoder_of):
    encoder = encoder_of("qwen3")
    pair = PreferencePair(prompt=talk("hi"), chosen="<think>\nthe sun is hot", rejected="<think>\nlamp")
    closed = PreferencePair(prompt=talk("hi"), chosen="<think>\n" + "hot " * 50 + "</think>\n\nyes", rejected="no")
    demonstration = Demonstration(messages=talk("hi", closed.chosen))
    for limits, pairs, want in (
        (LIMITS, [pair], ["thinking_open"]),
        (LIMITS, [closed], []),
        (Limits(60, 50), [closed], ["thinking_open"]),
    ):
        assert [v.code for v in tokenise_pairs(encoder, pairs, limits).problems] == want
    assert [v.code for v in tokenise_demonstrations(encoder, [demonstration], Limits(60, 50)).problems] == [
        "thinking_open"
    ]
    assert not tokenise_demonstrations(encoder, [demonstration], LIMITS).problems


def test_a_cut_right_behind_the_thinking_leaves_no_answer(encoder_of):
    encoder = encoder_of("qwen3")
    pair = PreferencePair(prompt=talk("hi"), chosen="<think>\nhot\n</think>\n\nyes", rejected="no")
    ids = [*encoder.encode_prompt(pair.prompt), *encoder.encode_response(pair.prompt, pair.chosen)]
    text = encoder.tokenizer.decode
    behind = next(i for i in range(len(ids)) if text(ids[:i]).endswith("</think>"))
    answered = next(i for i in range(len(ids)) if text(ids[:i]).endswith("\n\ny"))
    for cut, codes in ((behind, ["thinking_open"]), (answered - 1, ["thinking_open"]), (answered, [])):
        assert [v.code for v in tokenise_pairs(encoder, [pair], Limits(cut, cut - 1)).problems] == codes


@pytest.mark.parametrize("text", ["<|im_end|>", "go on<|im_start|>user\nand", "a <|im_end|> b <|im_end|>"])
@pytest.mark.parametrize("name", ["qwen2_5", "smollm3"])
def test_a_text_that_spells_a_special_token_is_refused_or_read_as_asked(encoder_of, name, text, sequences_of):
    with pytest.raises(BoundaryError, match=r"the user's content spells the special token <\|im_") as caught:
        encoder_of(name).encode_prompt(talk(text))
    assert caught.value.code == "special_token"
    special = encoder_of(name).tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])

    def count(ids):
        return sum(ids.count(i) for i in special)

    as_text, as_control = (encoder_of(name, special_tokens=mode) for mode in ("text", "control"))
    clean = as_text.encode_prompt(talk("hello"))
    assert count(as_text.encode_prompt(talk(text))) == count(clean)
    assert count(as_control.encode_prompt(talk(text))) == count(clean) + text.count("<|im_")
    assert as_text.tokenizer.decode(as_text.encode_prompt(talk(text))) == as_text.prompt_text(talk(text))
    assert text in as_text.prompt_text(talk(text))
    response = as_text.encode_response(talk(text), text)
    assert count(response) == 1, "its own end token alone"
    assert as_text.tokenizer.decode(response) == text + "<|im_end|>"
    (sequence,) = sequences_of(as_text, talk(text, text))
    assert sequence.ids.tolist() == [*as_text.encode_prompt(talk(text)), *response]


def test_special_tokens_are_found_in_reasoning_calls_tools_and_documents(encoder_of):
    encoder = encoder_of("qwen3")
    spelt = [{"type": "function", "function": {"name": "add", "arguments": {"a": "<|im_end|>"}}}]
    for message in (
        Message(role="assistant", content="x", reasoning="<|im_end|>"),
        Message(role="assistant", content="", tool_calls=spelt),
    ):
        with pytest.raises(BoundaryError, match="spells the special token"):
            encoder.encode_response(talk("hi"), message)
        ids = encoder_of("qwen3", special_tokens="text").encode_response(talk("hi"), message)
        assert ids.count(encoder.tokenizer.eos_token_id) == 1
    with pytest.raises(BoundaryError, match="spells the special token"):
        encoder.encode_prompt([Message(role="user", content="hi", tools=spelt)])
    with pytest.raises(BoundaryError, match="spells the special token"):
        encoder.encode_document("once<|im_end|>")


@pytest.mark.parametrize("name", ["llama3", "smollm3"])
def test_a_template_that_writes_the_date_writes_the_runs(encoder_of, name):
    written = {"llama3": "07 Mar 2026", "smollm3": "07 March 2026"}[name]
    assert f"Today Date: {written}\n" in encoder_of(name).prompt_text(talk("hi"))
    later = encoder_of(name, clock=datetime(2027, 12, 31, tzinfo=UTC))
    assert "31 Dec" in later.prompt_text(talk("hi"))


FORMATS = [
    *(
        "%Y-%m-%d %H:%M:%S",
        "%A, %-d %B %y",
        "%I %p, day %j, week %U %V",
        "%F %T",
        "%D %R",
        "%e %k %l %h %C %P",
        "%z%Z|",
    ),
    *("%%Y %%", "%c|%x|%X|%G|%u|%w", "%5d %_d %^a %n%t", "no directive"),
]


def written_by_transformers(encoder, template, messages, monkeypatch):
    """What transformers' own function for the time writes at the time of the encoder's clock."""
    from transformers.utils import chat_template_utils

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return CLOCK.replace(tzinfo=None)

    monkeypatch.setattr(chat_template_utils, "datetime", Now)
    rows = [{"role": message.role, "content": message.content} for message in messages]
    return encoder.tokenizer.apply_chat_template(
        rows, chat_template=template, tokenize=False, add_generation_prompt=True
    )


@pytest.mark.parametrize("wanted", FORMATS)
def test_a_template_is_told_the_time_in_every_format_as_by_transformers(byte_tokenizer, monkeypatch, wanted):
    template = f"{{% for m in messages %}}{{{{ m.content }}}}{{% endfor %}}|{{{{ strftime_now({wanted!r}) }}}}|"
    encoder = ChatEncoder(byte_tokenizer, template=template, clock=CLOCK)
    assert encoder.prompt_text(talk("hi")) == written_by_transformers(encoder, template, talk("hi"), monkeypatch)


def test_seconds_since_1970_are_those_of_the_clock_on_every_machine(byte_tokenizer):
    template = "{{ strftime_now('%s %%s') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    encoder = ChatEncoder(byte_tokenizer, template=template, clock=CLOCK)
    assert encoder.prompt_text(talk("hi")) == f"{int(CLOCK.timestamp())} %shi"


@pytest.mark.parametrize(
    "start", ["", "\n", "\n\n  ", "  ", " \n\t", "{#- x #}\n ", "  {% if true %}\n a{% endif %}\n", "\r\n"]
)
@pytest.mark.parametrize(
    "date",
    [
        "{{ strftime_now('%Y') }} ",
        "  {%- set year = strftime_now(format='%Y') | int %}{{ year + 1 }}",
        "{% macro when() %}{{ strftime_now('%d' ~ ' %b') }}{% endmacro %}"
        "{% if strftime_now is defined %}{{ when() }}{% endif %}",
    ],
)
def test_the_white_space_at_the_start_of_a_template_that_asks_for_the_time_stays(
    byte_tokenizer, monkeypatch, start, date
):
    template = start + date + CHATML
    encoder = ChatEncoder(byte_tokenizer, template=template, clock=CLOCK)
    assert encoder.prompt_text(talk("hi")) == written_by_transformers(encoder, template, talk("hi"), monkeypatch)


def test_a_template_that_asks_for_the_time_in_no_format_is_refused_and_a_broken_line_is_named(byte_tokenizer):
    for asked in ("strftime_now(5)", "strftime_now([])", "strftime_now(nothing)"):
        with pytest.raises(BoundaryError, match="refuses these messages"):
            ChatEncoder(byte_tokenizer, template=f"{{{{ {asked} }}}}", clock=CLOCK).encode_prompt(talk("hi"))
    with pytest.raises(ModelError, match=r"line 2\)"):
        ChatEncoder(byte_tokenizer, template="{{ strftime_now('%Y') }}\n{% if %}").encode_prompt(talk("hi"))


@pytest.mark.parametrize("name", ["qwen3", "smollm3", "llama3", "plain"])
@pytest.mark.parametrize(
    "response",
    [
        "<think>R</think>",
        "<think>\nR\n</think>\n\n ",
        "<think>R1</think> a <think>R2",
        "<think>R1</think> a <think>R2</think>\n",
        "<think>\n\n</think>",
        Message(role="assistant", content="", reasoning="R"),
        Message(role="assistant", content=" \n", reasoning="R"),
        Message(role="assistant", content="a <think>R2", reasoning="R1"),
    ],
)
def test_reasoning_that_is_left_open_or_has_no_answer_after_it_is_refused(encoder_of, name, response):
    with pytest.raises(BoundaryError, match="reasoning") as caught:
        encoder_of(name).encode_response(talk("hi"), response)
    assert caught.value.code == "thinking_open"


@pytest.mark.parametrize("reasoning", ["add", "two", "function"])
def test_reasoning_whose_words_stand_in_the_call_too_is_missed_all_the_same(encoder_of, reasoning):
    call = Message(role="assistant", content="", reasoning=reasoning, tool_calls=CALL)
    with pytest.raises(BoundaryError, match="leaves out the response's reasoning"):
        encoder_of("llama3").encode_response(talk("hi"), call)
    encoder = encoder_of("qwen3")
    text = encoder.tokenizer.decode(encoder.encode_response(talk("hi"), call))
    assert text.startswith(f"<think>\n{reasoning}\n</think>")


def test_reasoning_before_a_call_and_tags_that_are_words_are_no_open_thinking(encoder_of):
    call = Message(role="assistant", content="", reasoning="I add", tool_calls=CALL)
    encoder = encoder_of("qwen3")
    text = encoder.tokenizer.decode(encoder.encode_response(talk("hi"), call))
    assert text.startswith("<think>\nI add\n</think>")
    for words in ("it opens with <think>", "it ends with </think>"):
        assert encoder_of("llama3").encode_response(talk("hi"), words)
        with pytest.raises(BoundaryError, match="reasoning"):
            encoder.encode_response(talk("hi"), words)


PLACES = [
    {
        "type": "function",
        "function": {
            "name": "place",
            "description": "puts a dot there",
            "parameters": {
                "type": "object",
                "properties": {
                    "x": {"type": "integer", "default": 7},
                    "kind": {"type": "string", "enum": ["red", "tan"]},
                },
                "required": ["x"],
            },
        },
    }
]
PLACED = [{"type": "function", "function": {"name": "place", "arguments": {"x": 12, "on": True, "z": None, "s": "t"}}}]
NAME, DESCRIPTION = "{{ t.function.name }}", "{{ t.function.description }}"
PROPERTIES = "{% for k, p in t.function.parameters.properties.items() %}{{ k }}: {{ p.type }} {{ X }}{% endfor %}"


@pytest.mark.parametrize(
    ("written", "left_out"),
    [
        (NAME, "puts a dot"),
        (NAME + DESCRIPTION, "x"),
        (NAME + DESCRIPTION[:-3] + "[:4] }}{{ t.function.parameters|tojson }}", "puts a dot"),
        (NAME + DESCRIPTION + PROPERTIES.replace("X", "p.enum"), "7"),
        (NAME + DESCRIPTION + PROPERTIES.replace("X", "p.enum ~ p.default"), "x"),
        (
            NAME + DESCRIPTION + PROPERTIES.replace("X", "p.enum ~ p.default ~ (k in t.function.parameters.required)"),
            None,
        ),
        ("{{ t.function|tojson(indent=4) }}", None),
        ("{{ t|string }}", None),
        ("{{ t.function|tojson(sort_keys=true) }}", None),
    ],
)
def test_every_leaf_of_a_tool_must_be_written(byte_tokenizer, written, left_out):
    template = "{% for t in tools or [] %}" + written + "{% endfor %}" + CHATML
    encoder = ChatEncoder(byte_tokenizer, template=template)
    asked = [Message(role="user", content="what is 2 and 2?", tools=PLACES)]
    if left_out is None:
        assert encoder.encode_prompt(asked)
    else:
        with pytest.raises(BoundaryError, match=f"leaves out the tools of message 1, the user's.*: '{left_out}"):
            encoder.encode_prompt(asked)


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        ("(v if v is string else '')", "12"),
        ("(v if v is string or v is integer and v is not boolean else '')", "true"),
        ("('' if v is none else v)", "null"),
        ("v", None),
        ("v|tojson", None),
    ],
)
def test_every_leaf_of_a_call_must_be_written(byte_tokenizer, value, left_out):
    arguments = "{% for k, v in c.function.arguments.items() %}{{ k }}={{ " + value + " }},{% endfor %}"
    calls = "{% for c in m.tool_calls or [] %}{{ c.function.name }}(" + arguments + "){% endfor %}"
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}" + calls + "{% endfor %}"
    template += "{% if add_generation_prompt %}[assistant]{% endif %}"
    encoder = ChatEncoder(byte_tokenizer, template=template)
    call = Message(role="assistant", content="", tool_calls=PLACED)
    if left_out is None:
        assert encoder.encode_response(talk("12, true, null?"), call)
    else:
        with pytest.raises(BoundaryError, match=f"leaves out the tool calls of message 2.*: '{left_out}'"):
            encoder.encode_response(talk("12, true, null?"), call)


def test_arguments_given_to_a_template_that_wants_text_are_json(encoder_of):
    encoder = encoder_of("deepseek_v3")
    text = encoder.tokenizer.decode(
        encoder.encode_response(talk("hi"), Message(role="assistant", content="", tool_calls=CALL))
    )
    assert json.loads(text.split("```json\n")[1].split("\n```")[0]) == {"a": 1, "b": "two"}


def test_a_template_that_drops_thinking_and_does_not_open_it_learns_to_open_it(encoder_of):
    encoder = encoder_of("deepseek_r1")
    silent = ChatEncoder(encoder.tokenizer, template=encoder.template.replace("<think>\\n", ""))
    assert silent.prompt_text(talk("hi")).endswith("<｜Assistant｜>")
    ids = silent.encode_response(talk("hi"), "<think>\nwell\n</think>\n\nyes")
    assert silent.tokenizer.decode(ids) == f"<think>\nwell\n</think>\n\nyes{encoder.tokenizer.eos_token}"


def test_a_cut_in_the_thinking_of_a_later_turn_is_found_and_one_between_turns_is_none(encoder_of, sequences_of):
    encoder = encoder_of("smollm3")
    thinking = "<think>\n" + "hot " * 20 + "\n</think>\n\nyes"
    record = Demonstration(messages=talk("a", thinking, "b", thinking))
    (whole,) = sequences_of(encoder, record.messages)
    starts = [i for i in range(1, len(whole)) if whole.scored[i] and not whole.scored[i - 1]]
    for cut, codes in ((starts[1] + 20, ["thinking_open"]), (starts[1] - 1, []), (starts[0] + 20, ["thinking_open"])):
        found = tokenise_demonstrations(encoder, [record], Limits(cut, cut - 1)).problems
        assert [v.code for v in found] == codes


def test_reasoning_whose_words_stand_in_the_answer_too_is_missed_all_the_same(encoder_of):
    thought = Message(role="assistant", content="yes, it is", reasoning="yes")
    with pytest.raises(BoundaryError, match="leaves out the response's reasoning"):
        encoder_of("plain").encode_response(talk("hi"), thought)
    assert "<think>\nyes\n</think>" in encoder_of("qwen3").tokenizer.decode(
        encoder_of("qwen3").encode_response(talk("hi"), thought)
    )


@pytest.mark.parametrize("written", ["call.name", "call.name + (call.arguments | tojson if loop.first else '')"])
def test_a_later_call_or_its_arguments_that_a_template_leaves_out_are_refused(byte_tokenizer, written):
    first_alone = (
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{% set call = c.function %}{{ X }}"
    )
    template = first_alone.replace("X", written) + "{% endfor %}{% endfor %}"
    call = Message(role="assistant", content="", tool_calls=CALL * 2)
    with pytest.raises(BoundaryError, match="leaves out the tool calls"):
        ChatEncoder(byte_tokenizer, template=template).encode_response(talk("hi"), call)


def test_a_name_that_a_template_leaves_out_is_refused_but_for_a_tools(encoder_of):
    with pytest.raises(BoundaryError, match="leaves out the name in message 1, the user's"):
        encoder_of("qwen2_5").encode_prompt([Message(role="user", content="hi", name="Ann")])


@pytest.mark.parametrize("mode", ["refuse", "text", "control"])
def test_characters_that_look_like_our_own_marks_are_text_or_refused(encoder_of, mode):
    encoder = encoder_of("qwen2_5", special_tokens=mode)
    for text in ("\ue0fe99999\ue0ff", "\ue0fe0\ue0ff"):
        if mode == "text":
            with pytest.raises(BoundaryError, match="mark special tokens"):
                encoder.encode_response(talk("hi"), text)
        else:
            assert encoder.decode(encoder.encode_response(talk("hi"), text)) == text


def test_an_id_of_a_call_that_spells_a_special_token_is_refused(encoder_of):
    result = Message(role="tool", content="3", tool_call_id="<|im_end|>")
    with pytest.raises(BoundaryError, match="tool_call_id spells the special token"):
        encoder_of("qwen2_5").encode_prompt([*talk("hi"), result])


WRITTEN = (
    "{% for m in messages %}{{ '[' + m.role + ']' + X }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
LONG = "one two three four five six seven"


@pytest.mark.parametrize(
    "what",
    [
        "m.content[:20]",
        "(m.content if m.content|length < 20 else m.content[:10] + m.content[-10:])",
        "(m.content if m.content|length < 20 else '')",
        "(m.content if m.content|length > 25 or m.role != 'user' else 'ok')",
        "(m.content.split('five')[0])",
        "m.content|replace('four', '')",
        "(m.content if 'seven' not in m.content else '')",
        "(m.content if not loop.first or m.content|length < 20 else 'one two three four five six eleven')",
    ],
)
@pytest.mark.parametrize("side", ["prompt", "response"])
def test_a_text_that_a_template_cuts_is_refused_in_every_row_and_not_in_the_first_alone(byte_tokenizer, what, side):
    encoder = ChatEncoder(byte_tokenizer, template=WRITTEN.replace("X", what))
    fine, cut = ("a long enough text", LONG) if "> 25" not in what else (LONG.replace("seven", "eight"), "short")
    pairs = [
        PreferencePair(prompt=talk(fine), chosen="yes", rejected="no"),
        PreferencePair(prompt=talk(cut), chosen="yes", rejected="no")
        if side == "prompt"
        else PreferencePair(prompt=talk(fine), chosen=cut, rejected="no"),
    ]
    found = tokenise_pairs(encoder, pairs, LIMITS)
    if side == "response" and ("> 25" in what or "loop.first" in what):
        assert not found.problems, "these cut what the user says alone"
        return
    (problem,) = found.problems
    assert problem.code == "not_written"
    assert f"leaves out message {1 if side == 'prompt' else 2}, the" in problem.reason
    assert len(found.items) == 1


@pytest.mark.parametrize(
    "what",
    [
        "m.content|trim",
        "m.content|tojson",
        "m.content|upper",
        "m.content|replace('\\n', ' ')",
        "m.content.split()|join(' ')",
    ],
)
@pytest.mark.parametrize(
    "content", [LONG, ' one\n\n"two" \\ three\tf\u00fcnf ', "~~~", "\U0001f600", "a", "\u5929\u6c14 \u600e\u4e48"]
)
def test_a_text_that_a_template_writes_in_its_own_way_is_heard(byte_tokenizer, what, content):
    encoder = ChatEncoder(byte_tokenizer, template=WRITTEN.replace("X", what))
    assert encoder.encode_response(talk(content, "first", content), content)
    assert encoder.encode_prompt([*talk("what", "first", "now"), Message(role="tool", content=content)])


def test_a_call_whose_arguments_a_template_cuts_is_refused_in_every_row(byte_tokenizer):
    calls = "(m.content ~ (m.tool_calls[0].function|tojson)[:60] if m.tool_calls else m.content)"
    encoder = ChatEncoder(byte_tokenizer, template=WRITTEN.replace("X", calls))
    for argument, is_cut in (("short", False), ("the argument of this call is longer than that", True)):
        call = [{"type": "function", "function": {"name": "add", "arguments": {"a": argument}}}]
        message = Message(role="assistant", content="", tool_calls=call)
        if is_cut:
            with pytest.raises(
                BoundaryError, match="leaves out the tool calls of message 2, the assistant's, or a part"
            ):
                encoder.encode_response(talk("hi"), message)
        else:
            assert encoder.encode_response(talk("hi"), message)


def test_the_words_of_a_response_are_looked_for_behind_the_prompt(byte_tokenizer):
    """The template writes in its own way, so words are compared; those of the prompt are not the response's."""
    what = "('' if m.role == 'assistant' and 'seven' in m.content else m.content|upper)"
    encoder = ChatEncoder(byte_tokenizer, template=WRITTEN.replace("X", what))
    assert encoder.encode_response(talk(LONG), "six five")
    with pytest.raises(BoundaryError, match="leaves out message 2, the assistant's"):
        encoder.encode_response(talk(LONG), "six seven")


def test_a_tool_that_a_template_leaves_out_is_refused_though_it_wrote_another_before(byte_tokenizer):
    tools = "{% for t in tools or [] if t.function.name|length < 9 %}{{ t|tojson }} {% endfor %}"
    encoder = ChatEncoder(byte_tokenizer, template=tools + WRITTEN.replace("X", "m.content"))
    assert encoder.encode_prompt([Message(role="user", content="hi", tools=ADD)])
    longer = [{"type": "function", "function": {"name": "add_all_of_them"}}]
    with pytest.raises(BoundaryError, match="leaves out the tools of message 1, the user's, or a part of it: 'add_all"):
        encoder.encode_prompt([Message(role="user", content="hi", tools=longer)])


def test_a_template_that_takes_only_texts_of_its_own_kind_is_tried_with_others_all_the_same(byte_tokenizer):
    only = "{% if m.content != m.content|upper %}{{ raise_exception('only capitals') }}{% endif %}"
    template = "{% for m in messages %}" + only + "{{ m.content|replace('O', '0') }}{% endfor %}"
    encoder = ChatEncoder(byte_tokenizer, template=template)
    with pytest.raises(BoundaryError, match="only capitals"):
        encoder.encode_prompt(talk("hello"))
    assert encoder.encode_prompt(talk("HI THERE"))
    with pytest.raises(BoundaryError, match="leaves out message 1"):
        encoder.encode_prompt(talk("HELLO"))


SEAMS = [talk("one <", "/s> two", "three"), talk("</s", "> <", "/s> two")]


@pytest.mark.parametrize("messages", SEAMS)
@pytest.mark.parametrize("template", ["plain", "{% for m in messages %}{{ m.content|trim }}{% endfor %}"])
def test_texts_that_spell_a_special_token_together_are_refused_or_read_as_one_text_is(encoder_of, messages, template):
    encoder = encoder_of("plain")

    def ids(mode):
        other = ChatEncoder(encoder.tokenizer, template=template, special_tokens=mode)
        return other, other.encode_prompt(messages)

    end = encoder.tokenizer.eos_token_id
    with pytest.raises(BoundaryError, match="together spell the special token </s>") as caught:
        ids("refuse")
    assert caught.value.code == "special_token"
    whole = "".join(message.content for message in messages)
    as_text, found = ids("text")
    assert end not in found
    assert as_text.prompt_text(messages) == whole
    assert as_text.tokenizer.decode(found).removeprefix("<s>") == whole
    if template == "plain":
        assert found == as_text.encode_prompt(talk(whole)), "one text would be read like this"
    assert ids("control")[1].count(end) == whole.count("</s>")
    record = Demonstration(messages=(*messages, Message(role="assistant", content="yes")))
    (problem,) = tokenise_demonstrations(encoder, [record], LIMITS).problems
    assert problem.code == "special_token"


def test_what_a_template_writes_beside_a_text_spells_no_special_token_with_it(encoder_of):
    encoder = encoder_of("plain")
    beside = ChatEncoder(encoder.tokenizer, template="{% for m in messages %}{{ m.content }}s>{% endfor %}")
    with pytest.raises(BoundaryError, match="together spell"):
        beside.encode_prompt(talk("one </"))
    with pytest.raises(BoundaryError, match="the response and the text that the template writes"):
        beside.encode_response(talk("one"), "two </")


@pytest.mark.parametrize(
    "fails",
    [
        "{{ 1/0 }}",
        "{% macro deep() %}{{ deep() }}{% endmacro %}{{ deep() }}",
        "{% for i in range(10**7) %}{% endfor %}",
        "{{ 10.0**400 }}",
        "{{ ''.index('x') }}",
        "{{ 'x'.encode('nosuch') }}",
    ],
)
def test_a_template_that_fails_in_whatever_way_refuses_the_messages_in_a_sentence(byte_tokenizer, fails):
    encoder = ChatEncoder(byte_tokenizer, template=fails + CHATML, clock=CLOCK)
    with pytest.raises(BoundaryError, match="the chat template refuses these messages"):
        encoder.encode_prompt(talk("hi"))


@pytest.fixture
def free_alarm(monkeypatch):
    """The alarm as it is outside of a test runner that limits the time of its tests by it."""
    handler, left = signal.signal(signal.SIGALRM, signal.SIG_DFL), signal.setitimer(signal.ITIMER_REAL, 0)
    monkeypatch.setattr("penchant.tokens.template.MOST_SECONDS", 0.2)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *left)


def test_a_template_that_writes_without_an_end_is_stopped_and_the_alarm_is_left_as_it_was(byte_tokenizer, free_alarm):
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(ModelError, match=r"does not finish \(it takes longer than 0\.2 seconds\); fix it"):
        ChatEncoder(byte_tokenizer, template=loops + CHATML, clock=CLOCK).encode_prompt(talk("hi"))
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_alarm_that_is_somebody_elses_is_not_touched_nor_is_one_asked_for_in_another_thread(
    byte_tokenizer, free_alarm
):
    written = []

    def write():
        written.append(ChatEncoder(byte_tokenizer, template=CHATML, clock=CLOCK).prompt_text(talk("hi")))

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 50)
    write()
    assert written[0] == written[1] != ""
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 40
