"""What tells whether a template wrote all of a conversation: its skeleton, words, and texts that are changed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import Message
from penchant.tokens import BoundaryError
from penchant.tokens.heard import Hearing
from penchant.tokens.skeleton import Skeleton, Written, answer_of, marked
from penchant.tokens.words import has_words, with_a_part_changed

ROLES = ("user", "assistant", "user", "tool")


def talk(*contents):
    return [Message(role=role, content=content) for role, content in zip(ROLES, contents, strict=False)]


def skeleton_of(write, messages):
    return Skeleton.of(write(marked(messages)))


def by_line(messages):
    return "".join(f"[{message.role}] {message.content}\n" for message in messages)


def test_a_skeleton_is_what_stands_around_the_texts_and_reads_them_back():
    messages = talk("hello", "world", "again")
    skeleton = skeleton_of(by_line, messages)
    assert skeleton.own == ("[user] ", "\n[assistant] ", "\n[user] ", "\n")
    others = talk("one [user] two", "three\n", "four")
    assert skeleton.read(by_line(others), others) == (True, ("one [user] two", "three\n", "four"))
    for wrong in ("one", "one [user] tw", "one [user] two!"):
        assert skeleton.read(by_line(talk(wrong, "three\n", "four")), others) == (False, None)


@pytest.mark.parametrize(
    ("write", "fillings"),
    [(str.strip, ("a  b", "c", "d")), (lambda text: " ".join(text.split()), None), (lambda text: text + "\n", None)],
)
def test_white_space_around_and_within_texts_may_be_the_templates_own(write, fillings):
    messages = talk(" a  b ", "c\n", "d")
    text = by_line(message.model_copy(update={"content": write(message.content)}) for message in messages)
    assert skeleton_of(by_line, messages).read(text, messages) == (True, fillings)


def test_results_of_tools_alone_may_be_written_as_json():
    messages = talk('a "b"', 'c "d"', "e", 'f\n"g" \\ ü')

    def write(roles):
        return by_line(
            m.model_copy(update={"content": json.dumps(m.content, ensure_ascii=False)[1:-1]}) if m.role in roles else m
            for m in messages
        )

    skeleton = skeleton_of(by_line, messages)
    assert skeleton.read(write({"tool"}), messages) == (True, None)
    assert skeleton.read(write({"user"}), messages) == (False, None)
    assert skeleton.read(write({"tool", "assistant"}), messages) == (False, None)


def test_a_skeleton_knows_which_contents_are_written_nowhere():
    def first_and_last(messages):
        return f"{messages[0].content}-{messages[-1].content}"

    skeleton = skeleton_of(first_and_last, talk("a", "b", "c"))
    assert [skeleton.lacks(index) for index in range(3)] == [False, True, False]


def test_thinking_in_an_answer_is_a_text_of_its_own():
    messages = talk("q", "<think>\nwell\n</think>\n\nyes", "r")
    assert answer_of(messages[1]) == "\n\nyes"
    assert answer_of(messages[0]) == "q"
    assert answer_of(Message(role="user", content="a </think> b")) == "a </think> b"

    def without_thinking(messages):
        return by_line(m.model_copy(update={"content": m.content.split("</think>")[-1].lstrip()}) for m in messages)

    assert skeleton_of(without_thinking, messages).read(without_thinking(messages), messages)[0]
    skeleton = skeleton_of(by_line, messages)
    assert skeleton.read(by_line(messages), messages)[0]
    other = talk("q", "<think>\nwell now\n</think>\n\nyes", "r")
    assert not skeleton.read(by_line(messages), other)[0]


END = re.compile("</s>")


@pytest.mark.parametrize(
    ("contents", "strays"),
    [
        (("one <", "/s> two", "three"), [(8, 12)]),
        (("a", "b", "c"), []),
        (("</s", "><", "/s>"), [(4, 8), (8, 12)]),
        (("</s>", "", "x"), [(4, 8)]),
    ],
)
def test_special_tokens_of_the_template_are_told_from_those_that_texts_spell(contents, strays):
    def write(messages):
        return "</s>" + "".join(message.content for message in messages) + "</s>"

    messages = talk(*contents)
    skeleton = skeleton_of(write, talk("a", "b", "c"))
    text = write(messages)
    _, fillings = skeleton.read(text, messages)
    assert Written(text, skeleton, fillings).strays(END) == strays
    assert Written(text, skeleton, None).strays(END) == (None if strays else [])
    assert Written(text).strays(END) == []


@pytest.mark.parametrize(
    ("said", "text", "found"),
    [
        ("one two", "one two", True),
        ("one two", "ONE, then TWO", True),
        ("One TWO", "one two", True),
        ("one two", "two one", False),
        ("one two", "two one two", True),
        ("one one", "one", False),
        ("one one", "one and one", True),
        ("", "", True),
        ("ab b", "ab", False),
        ('say "hi"', r"say \"hi\"", True),
        ('say "hi"', r"say \\\"hi\\\"", True),
        ('say "hi"', "say 'hi'", False),
        ("für", r"f\u00fcr", True),
        ("für", "fur", False),
    ],
)
def test_words_are_found_in_their_order_whatever_their_case_and_spelling_in_json(said, text, found):
    assert has_words(said, text) == found


@given(st.text(min_size=1, max_size=30))
def test_every_part_of_a_text_is_changed_once_at_its_length_and_white_space_stays(text):
    changed = list(with_a_part_changed(text))
    assert len(changed) <= 3
    assert all(len(other) == len(text) and other != text for other in changed)
    touched = [{i for i, (a, b) in enumerate(zip(text, other, strict=True)) if a != b} for other in changed]
    assert all(max(places) - min(places) < -(-len(text) // 3) for places in touched)
    assert sum(map(len, touched)) == len(set().union(*touched)), "no place is changed twice"
    left = {c for i, c in enumerate(text) if i not in set().union(*touched)}
    assert all(c.isspace() or c in "~^" for c in left)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("abcdef", ["~~cdef", "ab~~ef", "abcd~~"]),
        ("a", ["~"]),
        ("~~~~~~", ["^^~~~~", "~~^^~~", "~~~~^^"]),
        ("a b", ["~ b", "a ~"]),
    ],
)
def test_what_a_changed_text_is(text, changed):
    assert list(with_a_part_changed(text)) == changed


def hear(write, messages, **options):
    hearing = Hearing(lambda messages, is_answered: write(messages))
    return hearing.require(messages, write(messages), is_answered=False, **options)


def test_of_several_messages_the_one_that_is_cut_is_named():
    def second_cut(messages):
        return "".join(m.content.upper()[: 5 if i == 1 else None] for i, m in enumerate(messages))

    assert hear(second_cut, talk("first text", "texts", "a third one"))
    with pytest.raises(BoundaryError, match=r"leaves out message 2, the assistant's, or a part of it"):
        hear(second_cut, talk("first text", "texts and more", "a third one and texts and more"))


def test_a_message_that_the_template_takes_as_it_is_alone_is_heard_in_any_place():
    def upper_only(messages):
        if any("~" in message.content for message in messages):
            raise BoundaryError("no tilde")
        return by_line(message.model_copy(update={"content": message.content.upper()}) for message in messages)

    assert hear(upper_only, talk("one", "two", "three"))


TOOLS = [{"type": "function", "function": {"name": "hi", "description": "greets"}}, {"name": "add"}]
CALLS = [
    {"type": "function", "function": {"name": "hi", "arguments": {}}},
    {"type": "function", "function": {"name": "add", "arguments": {"a": [1, {"b": "two words"}]}}},
]


def named(which):
    """Writes the tools and the calls that `which` picks, and the contents."""

    def write(messages):
        tools = [json.dumps(tool.get("function", tool)) for tool in json.loads(messages[0].tools or "[]")]
        calls = [call["function"] for message in messages for call in json.loads(message.tool_calls or "[]")]
        said = [call["name"] + json.dumps(call.get("arguments")) for call in calls]
        return " ".join([*which(tools), *which(said), by_line(messages)])

    return write


def with_tools(tools, content="hi add"):
    return [Message(role="user", content=content, tools=tools)]


def with_calls(calls, content="hi add"):
    return [*talk(content), Message(role="assistant", content="", tool_calls=calls)]


@pytest.mark.parametrize("which", [lambda found: found[:1], lambda found: found[1:]])
def test_every_tool_and_every_call_must_make_a_difference_though_its_name_stands_elsewhere(which):
    assert hear(named(lambda found: found), with_tools(TOOLS))
    assert hear(named(lambda found: found), with_calls(CALLS))
    with pytest.raises(BoundaryError, match=r"leaves out the tools$"):
        hear(named(which), with_tools(TOOLS))
    with pytest.raises(BoundaryError, match="leaves out the tool calls of message 2, the assistant's"):
        hear(named(which), with_calls(CALLS))


def test_an_argument_that_a_template_does_not_know_makes_a_difference_too():
    def knows_a_alone(messages):
        calls = [call["function"] for call in json.loads(messages[-1].tool_calls or "[]")]
        return " ".join([*(f"{call['name']} {call['arguments'].get('a')}" for call in calls), by_line(messages)])

    with pytest.raises(BoundaryError, match="leaves out the tool calls of message 2"):
        hear(knows_a_alone, with_calls(CALLS[1:]))


@pytest.mark.parametrize("words", ["two", "add"])
def test_every_word_of_a_call_is_looked_for_in_every_row(words):
    seen = []

    def drops_words(messages):
        text = named(lambda found: found)(messages)
        return text if len(seen) < 1 else text.replace(f'"{words}', '"').replace(f"{words}{{", "{")

    hearing = Hearing(lambda messages, is_answered: drops_words(messages))
    messages = with_calls(CALLS[1:], "?")
    assert hearing.require(messages, drops_words(messages), is_answered=False)
    seen.append(1)
    with pytest.raises(BoundaryError, match=f"the tool calls of message 2, the assistant's, or a part of it: '{words}"):
        hearing.require(messages, drops_words(messages), is_answered=False)


def test_a_conversation_with_more_in_it_is_tried_again():
    def no_names_and_one_tool(messages):
        return named(lambda found: found[:1])(messages)

    hearing = Hearing(lambda messages, is_answered: no_names_and_one_tool(messages))

    def ask(messages):
        return hearing.require(messages, no_names_and_one_tool(messages), is_answered=False)

    assert ask(with_tools(TOOLS[:1]))
    for more in (with_tools(TOOLS), [with_tools(TOOLS[:1])[0].model_copy(update={"name": "add"})]):
        with pytest.raises(BoundaryError, match=r"leaves out the (tools$|name in message 1)"):
            ask(more)
    assert ask(with_calls(CALLS[1:]))
    with pytest.raises(BoundaryError, match="leaves out the tool calls"):
        ask(with_calls(CALLS))


def test_what_was_tried_is_not_tried_again():
    rendered = []

    def counting(messages):
        rendered.append(messages)
        return named(lambda found: found)(messages)

    hearing = Hearing(lambda messages, is_answered: counting(messages))
    for content in ("hi", "other", "third"):
        messages = with_tools(TOOLS, content)
        text = counting(messages)
        rendered.clear()
        hearing.require(messages, text, is_answered=False)
        assert len(rendered) == (0 if content != "hi" else 3), "the skeleton once, and each tool once"
