"""`penchant chat` answers lines of standard input, remembers what was said, and leaves when asked."""

import io
import json
import shutil
import sys

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def chat(penchant, monkeypatch):
    def run(name, said, *more):
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        return penchant("chat", name, "--max-new-tokens", "12", "--seed", "3", *more)

    return run


@pytest.fixture
def story_chat(chat, stories260k):
    return lambda said, *more: chat(stories260k, said, "--chat-template", "plain", *more)


def test_a_line_of_standard_input_is_answered_on_standard_output_and_the_end_leaves(story_chat):
    result = story_chat("Once upon a time\n")
    assert result.code == 0, result.err
    assert result.out.strip()
    assert "Once upon" not in result.out


@pytest.mark.slow(threads=1)
def test_the_same_seed_gives_the_same_answers_and_another_seed_others(story_chat):
    said = "Once upon a time\nand then\n"
    assert story_chat(said).out == story_chat(said).out
    assert story_chat(said).out != story_chat(said, "--seed", "4").out


@pytest.mark.slow(threads=1)
def test_the_conversation_is_remembered_until_reset(story_chat):
    cold = ("--temperature", "0")
    first = story_chat("Once upon a time\n", *cold).out
    assert story_chat("Once upon a time\n/reset\nOnce upon a time\n", *cold).out == first * 2
    assert story_chat("Once upon a time\nOnce upon a time\n", *cold).out != first * 2


def test_commands_are_not_sent_to_the_model(story_chat):
    result = story_chat("/help\n\n/nonsense\n/quit\nOnce upon a time\n")
    assert result.code == 0
    assert result.out == ""
    assert result.err.count("/reset forgets") == 2
    assert "there is no command /nonsense" in result.err


@pytest.mark.slow(threads=1)
def test_compare_shows_both_and_the_reference_is_the_model_before_its_adapter(chat, make_run, story_chat):
    cold = ("--temperature", "0")
    result = chat(make_run(lora=True), "Once upon a time\n", "--compare", *cold)
    assert result.code == 0, result.err
    policy, reference = result.out.split("reference: ")
    assert policy.startswith("policy: ")
    assert reference == story_chat("Once upon a time\n", *cold).out
    assert chat(make_run(lora=True), "Once upon a time\n", *cold).out == policy.removeprefix("policy: ")


@pytest.mark.slow(threads=1)
def test_compare_loads_the_reference_of_a_whole_model(chat, make_run, story_chat):
    result = chat(make_run(lora=False), "Once upon a time\n", "--compare", "--temperature", "0")
    assert result.code == 0, result.err
    assert result.out.split("reference: ")[1] == story_chat("Once upon a time\n", "--temperature", "0").out


def test_a_reference_without_compare_would_not_be_read_and_is_refused(story_chat, stories260k):
    assert story_chat("hi\n", "--reference", str(stories260k)).code == 2


def test_a_comparison_with_a_model_that_knows_no_reference_asks_for_one(story_chat):
    result = story_chat("hi\n", "--compare")
    assert result.code == 2
    assert "--reference" in result.err


def test_a_comparison_with_a_run_whose_objective_had_no_reference_asks_for_one(chat, make_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(make_run(lora=False), run)
    ledger = json.loads((run / "run.json").read_text())
    ledger |= {"reference_digest": "", "config": ledger["config"] | {"dpo": {"objective": "simpo"}}}
    (run / "run.json").write_text(json.dumps(ledger), encoding="utf-8")
    result = chat(run, "hi\n", "--compare")
    assert result.code == 2
    assert "was trained with simpo, which has no reference policy; name the model" in result.err


@pytest.mark.parametrize("leaving", [EOFError, KeyboardInterrupt])
def test_ctrl_d_and_ctrl_c_at_the_prompt_leave_cleanly(penchant, monkeypatch, stories260k, leaving):
    def say_nothing(prompt):
        raise leaving

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", say_nothing)
    result = penchant("chat", stories260k, "--chat-template", "plain")
    assert result.code == 0
    assert "Traceback" not in result.err


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_bytes_that_are_no_text_are_replaced(penchant, monkeypatch, stories260k, errors):
    said = io.TextIOWrapper(io.BytesIO(b"Once \xff upon\n"), encoding="utf-8", errors=errors)
    monkeypatch.setattr(sys, "stdin", said)
    result = penchant("chat", stories260k, "--chat-template", "plain", "--max-new-tokens", "4", "--seed", "3")
    assert result.code == 0, result.err
    assert result.out.strip()


def test_a_chat_template_that_refuses_what_was_said_is_one_sentence(chat, stories260k, tmp_path):
    template = tmp_path / "strict.jinja"
    template.write_text("{{ raise_exception('Only silence') }}")
    result = chat(stories260k, "Once upon a time\n", "--chat-template", str(template))
    assert result.code == 2
    said = "the chat template refuses these messages (Only silence); give another --chat-template"
    assert result.err.endswith(f"penchant: {said}\n")
