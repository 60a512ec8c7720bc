"""An Ollama Modelfile says how turns are written where that can be said, and what ends an answer."""

import re
from pathlib import Path

import pytest

from penchant.data.records import Message
from penchant.models.gguf.modelfile import modelfile, turns_of
from penchant.tokens.encoding import ChatEncoder

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_A_SYSTEM_OF_ITS_OWN = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}" + CHATML
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\n' + m.content + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}{{ raise_exception('no') }}{% endif %}"
    "{% endfor %}"
)
COUNTING = "{% for m in messages %}{{ loop.index ~ m.role ~ ': ' ~ m.content ~ '\n' }}{% endfor %}"
FORGETFUL = "{% for m in messages[-1:] %}{{ m.content }}{% endfor %}"
CONVERSATION = [
    Message(role=role, content=f"{role} {number}")
    for number, role in enumerate(("user", "assistant", "user", "assistant", "user"))
]


@pytest.fixture(scope="module")
def encoder(llama_folder):
    from transformers import AutoTokenizer

    return lambda template: ChatEncoder(AutoTokenizer.from_pretrained(llama_folder), template=template)


def in_go(text, messages):
    """What Go's text/template makes of the little that a Modelfile uses: one range, a chain of if, contents."""
    start, body, opening = re.fullmatch(
        r"(.*?)\{\{ range \.Messages \}\}(.*)\{\{ end \}\}\{\{ end \}\}(.*)", text, re.S
    ).groups()
    branches = dict(re.findall(r'\{\{ (?:else )?if eq \.Role "(\w+)" \}\}(.*?)(?=\{\{ else|\Z)', body, re.S))
    turns = (branches[m.role].replace("{{ .Content }}", m.content) for m in messages)
    return "".join((start, *turns, opening))


@pytest.mark.parametrize("template", [CHATML, WITH_A_SYSTEM_OF_ITS_OWN, GEMMA, INST])
def test_turns_that_are_written_one_after_another_are_written_so_by_the_go_template(template, encoder):
    encoder = encoder(template)
    turns = turns_of(encoder)
    given = [] if turns.system is None else [Message(role="system", content=turns.system)]
    assert in_go(turns.in_go(), given + CONVERSATION) == encoder.prompt_text(CONVERSATION)
    assert ("system" in turns.around) == (template in (CHATML, WITH_A_SYSTEM_OF_ITS_OWN))
    if "system" in turns.around:
        told = [Message(role="system", content="Be short."), *CONVERSATION]
        assert in_go(turns.in_go(), told) == encoder.prompt_text(told)


@pytest.mark.parametrize("template", [COUNTING, FORGETFUL, CHATML.replace("\n", "{{'{{'}}", 1)])
def test_any_other_template_is_not_translated(template, encoder):
    assert turns_of(encoder(template)) is None


def test_the_file_names_the_weights_beside_it_and_what_ends_an_answer(encoder):
    text, translated = modelfile(Path("some/where/my.gguf"), encoder(WITH_A_SYSTEM_OF_ITS_OWN))
    assert translated
    assert text.splitlines()[0] == "FROM ./my.gguf"
    assert 'SYSTEM """You help."""' in text
    assert text.splitlines()[-1] == 'PARAMETER stop "</s>"'
    text, translated = modelfile(Path("my.gguf"), encoder(COUNTING))
    assert (text, translated) == ('FROM ./my.gguf\nPARAMETER stop "</s>"\n', False)


def test_a_token_that_the_reader_puts_first_by_itself_is_not_written_twice(stories260k):
    from transformers import AutoTokenizer

    encoder = ChatEncoder(AutoTokenizer.from_pretrained(stories260k), template=INST)
    turns = turns_of(encoder)
    assert "<s>" + turns.text(CONVERSATION[:1]) == encoder.prompt_text(CONVERSATION[:1]) == "<s>[INST] user 0 [/INST]"
