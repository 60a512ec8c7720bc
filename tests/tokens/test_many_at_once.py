"""Many texts encoded at once are the ids of each by itself, and a template is rendered once where that is enough."""

import random
from pathlib import Path

import pytest

import penchant.tokens.template
from penchant.data import Demonstration, Document, Message, Origin, PreferencePair
from penchant.tokens import ChatEncoder, Limits, tokenise_demonstrations, tokenise_pairs
from penchant.tokens.writers import writes_texts_unseen

TEMPLATES = Path(__file__).parent / "templates"
NAMES = sorted(file.stem for file in TEMPLATES.glob("*.jinja"))
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LIMITS = Limits(120, 90)


class OneByOne:
    """A tokenizer of which only what a slow one has can be asked."""

    asked = ("chat_template", "bos_token_id", "eos_token_id", "encode", "decode", "apply_chat_template")

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def __getattr__(self, name):
        if name in (*self.asked, "added_tokens_decoder"):
            return getattr(self._tokenizer, name)
        raise AttributeError(name)


def rendering_every_time(encoder):
    """The same encoder, without any of what makes many texts fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(penchant.tokens.template, "writes_texts_unseen", lambda _source: False)
        return ChatEncoder(
            OneByOne(encoder.tokenizer),
            template=encoder.template,
            end_ids=tuple(encoder.end_ids),
            special_tokens=encoder.special_tokens,
            clock=encoder.clock,
        )


WORDS = (
    *("hello", "the answer", " two  spaces ", "\n\n", "", "7", "天气 ☀️", "é", "q" * 50, "\t", "\ue0fe3\ue0ff"),
    *(
        "<think>\nso\n</think>\n\n",
        "</think>",
        "<think>",
        "<|im_end|>",
        "</s>",
        "<s>",
        "<eot",
        "[/INST]",
        '"',
        "{{ 1 }}",
    ),
)
ROLES = (("user",), ("system", "user"), ("user", "assistant", "user"), ("user", "user"), ("assistant",))


def rows_of(seed, num):
    draw = random.Random(seed)

    def text():
        return "".join(draw.choices(WORDS, k=draw.randint(1, 3)))

    return [((draw.choice(ROLES), [text(), text(), text()]), text(), text()) for _ in range(num)]


def pair_of(row, line):
    ((roles, texts), chosen, rejected) = row
    prompt = tuple(Message(role=role, content=text) for role, text in zip(roles, texts, strict=False))
    return PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected, origin=Origin(file="f", line=line))


def told(tokenised):
    items = [[(s.ids.tolist(), s.scored.tolist()) for s in item.sequences] for item in tokenised.items]
    return items, tokenised.problems, tokenised.num_truncated


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("special_tokens", ["refuse", "text", "control"])
@pytest.mark.parametrize("name", [*NAMES, "plain"])
def test_ids_and_verdicts_of_many_pairs_are_those_of_each_by_itself(encoder_of, name, special_tokens):
    encoder = encoder_of(name, special_tokens=special_tokens)
    slow = rendering_every_time(encoder)

    pairs = [pair_of(row, line) for line, row in enumerate(rows_of(name, 60), 1)]
    assert told(tokenise_pairs(encoder, pairs, LIMITS)) == told(tokenise_pairs(slow, pairs, LIMITS))
    talks = [
        Demonstration(messages=(*p.prompt, Message(role="assistant", content=p.chosen)), origin=p.origin) for p in pairs
    ]
    texts = [*talks, *(Document(text=p.rejected + "x", origin=p.origin) for p in pairs)]
    assert told(tokenise_demonstrations(encoder, texts, LIMITS)) == told(tokenise_demonstrations(slow, texts, LIMITS))


@pytest.mark.slow(threads=1)
def test_a_tokenizer_that_writes_a_space_before_every_text_reads_many_as_it_reads_one(story_tokenizer):
    encoder = ChatEncoder(story_tokenizer, template="plain")
    slow = rendering_every_time(encoder)
    rows = [pair_of(((("user",), [f"Once {i} upon"]), f" a time{i % 3}", f"there was\n{i}"), i + 1) for i in range(700)]
    assert told(tokenise_pairs(encoder, rows, LIMITS)) == told(tokenise_pairs(slow, rows, LIMITS))


def test_a_row_whose_response_merges_with_its_prompt_is_refused_among_others(story_tokenizer):
    class Merging(OneByOne):
        def encode(self, text, **options):
            ids = self._tokenizer.encode(text, **options)
            return [5, *ids[1:]] if "bad" in text and text.startswith("\n") else ids

    pairs = [
        pair_of(((("user",), ["Once"]), f" {word}", " no"), line) for line, word in enumerate(("a", "bad", "b"), 1)
    ]
    found = tokenise_pairs(ChatEncoder(Merging(story_tokenizer), template="plain"), pairs, LIMITS)
    assert [item.origin.line for item in found.items] == [1, 3]
    assert [(v.code, v.origin.line) for v in found.problems] == [("template_boundary", 2)]


def test_a_fast_tokenizer_that_its_wrapper_changes_is_asked_one_text_at_a_time(byte_tokenizer):
    class Lower(OneByOne):
        asked = (*OneByOne.asked, "backend_tokenizer")

        def encode(self, text, **options):
            return self._tokenizer.encode(text.lower(), **options)

    encoder = ChatEncoder(Lower(byte_tokenizer), template=CHATML)
    (one, two) = tokenise_pairs(
        encoder, [pair_of(((("user",), ["hi"]), text, "no"), 1) for text in ("HELLO", "YES")], LIMITS
    ).items
    assert [encoder.decode(item.chosen.ids[item.chosen.scored]) for item in (one, two)] == ["hello", "yes"]


def test_a_prompt_is_encoded_once_for_all_its_responses_that_stand_together(byte_tokenizer):
    class Counting(OneByOne):
        num = 0

        def encode(self, text, **options):
            self.num += text.startswith("<|im_start|>")
            return self._tokenizer.encode(text, **options)

    tokenizer = Counting(byte_tokenizer)
    encoder = ChatEncoder(tokenizer, template=CHATML)
    tokenise_pairs(encoder, [pair_of(((("user",), ["hi"]), f"yes {i}", "no"), i) for i in range(1, 40)], LIMITS)
    assert tokenizer.num == 1


def test_a_template_that_writes_texts_where_they_stand_is_rendered_once_for_each_shape(byte_tokenizer):
    class Counting(OneByOne):
        num = 0

        def apply_chat_template(self, conversation, **options):
            self.num += 1
            return self._tokenizer.apply_chat_template(conversation, **options)

    tokenizer = Counting(byte_tokenizer)
    encoder = ChatEncoder(tokenizer, template=CHATML)
    rows = [pair_of(((("user",), [f"hi {i}"]), f"yes {i}", "no"), i) for i in range(1, 600)]
    assert len(tokenise_pairs(encoder, rows, LIMITS).items) == 599
    assert tokenizer.num == 2


def loop(inner):
    return "{% for message in messages %}" + inner + "{% endfor %}"


@pytest.mark.parametrize(
    ("template", "writes"),
    [
        (CHATML, True),
        (loop("{{ message.role }}: {{ message.content | trim }}"), True),
        (loop("{{ message['content'].strip() }}"), True),
        (loop("{% set text = 'A: ' + message['content'] %}{{ text ~ eos_token }}"), True),
        ("{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}"
         "{% endif %}{% for message in rest %}{{ message['content'] }}{{ loop.index0 % 2 }}{% endfor %}", True),
        (loop("{% if message.content is defined and message.content %}{{ message.content }}{% endif %}"), True),
        (loop("{% if 'x' in message.content %}{{ message.content }}{% endif %}"), False),
        (loop("{% if message.content == 'x' %}!{% endif %}{{ message.content }}"), False),
        (loop("{% set text = message.content %}{% if text == 'x' %}!{% endif %}{{ text }}"), False),
        (loop("{% set a = 'b' %}{% if a == 'x' %}!{% endif %}{% set a = message.content %}{{ a }}"), False),
        (loop("{{ message.content | upper }}"), False),
        (loop("{{ message.content | tojson }}"), False),
        (loop("{{ message.content | length }}"), False),
        (loop("{{ message.content[:3] }}"), False),
        (loop("{{ message.content.split('x')[0] }}"), False),
        (loop("{{ message.content.strip('x') }}"), False),
        (loop("{{ message }}"), False),
        (loop("{{ message.items() | list }}"), False),
        (loop("{{ message[key] }}"), False),
        (loop("{{ loop.previtem.content | upper if loop.previtem else '' }}{{ message.content }}"), False),
        ("{{ messages | tojson }}", False),
        ("{{ messages | map(attribute='content') | join }}", False),
        ("{% set ns = namespace(m='') %}" + loop("{% set ns.m = message.content %}{{ ns.m | upper }}"), False),
        ("{% macro shout(x) %}{{ x | upper }}{% endmacro %}" + loop("{{ shout(message.content) }}"), False),
        (loop("{% set x %}{{ message.content }}{% endset %}{{ x | upper }}"), False),
        (loop("{% filter upper %}{{ message.content }}{% endfilter %}"), False),
        ("{{ [1, 2] | random }}" + loop("{{ message.content }}"), False),
        ("{% for", False),
    ],
)  # fmt: skip
def test_it_is_told_from_the_template_whether_it_may_look_at_a_text(template, writes):
    assert writes_texts_unseen(template) == writes


def test_the_chat_templates_of_real_models_that_only_write_texts_are_known():
    found = {p.stem for p in TEMPLATES.glob("*.jinja") if writes_texts_unseen(p.read_text(encoding="utf-8"))}
    assert found == {"gemma2", "gemma3", "olmo2", "phi4", "qwen2_5"}
