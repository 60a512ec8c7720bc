"""Exit codes: 0 done, 1 our fault, 2 the user's mistake, 130 Ctrl-C; a traceback only with --debug."""

import io
import os
import platform
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from penchant import __version__, versions
from penchant.cli import main as module
from penchant.errors import ConfigError, DataError, ModelError, OutputError, TrainingError
from penchant.training.interrupt import Interrupted


@pytest.fixture
def failing(penchant, monkeypatch):
    """`failing(error)`: the command whose only verb raises `error`."""

    def run(error, *more):
        app = typer.Typer(pretty_exceptions_enable=False)
        app.callback()(lambda: None)

        @app.command()
        def verb() -> None:
            raise error

        monkeypatch.setattr(module, "app", app)
        return penchant("verb", *more)

    return run


@pytest.mark.parametrize("kind", [DataError, ModelError, ConfigError, OutputError])
def test_a_users_mistake_is_one_sentence_and_exit_code_2(failing, kind):
    result = failing(kind("rows.jsonl:3: the row is empty; remove it"))
    assert result.code == 2
    assert result.err == "penchant: rows.jsonl:3: the row is empty; remove it\n"
    assert result.out == ""


def test_a_run_that_stopped_itself_is_exit_code_1(failing):
    result = failing(TrainingError("the loss is not a number"))
    assert (result.code, result.err) == (1, "penchant: the loss is not a number\n")


def test_our_own_fault_is_exit_code_1_and_says_so_without_a_traceback(failing):
    result = failing(ZeroDivisionError("division by zero"))
    assert result.code == 1
    assert "ZeroDivisionError: division by zero" in result.err
    assert "fault of Penchant" in result.err
    assert "--debug" in result.err
    assert "Traceback" not in result.err


def test_debug_shows_where_a_users_mistake_was_found(failing):
    result = failing(DataError("a bad row"), "--debug")
    assert result.code == 2
    assert "Traceback" in result.err
    assert result.err.rstrip().endswith("penchant: a bad row")


def test_debug_lets_our_own_fault_through_with_its_traceback(failing):
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError("division by zero"), "--debug")


def test_an_error_shows_nothing_of_a_foreign_text_that_steers_the_terminal(failing):
    result = failing(DataError("row \x1b[2J\u202e is bad"))
    assert result.err == "penchant: row \ufffd[2J\ufffd is bad\n"


def test_ctrl_c_is_exit_code_130_and_one_sentence(failing):
    result = failing(KeyboardInterrupt())
    assert result.code == 130
    assert result.err.startswith("penchant: interrupted; files that are complete are kept")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Interrupted(signal.SIGTERM), 143)])
def test_a_server_that_is_stopped_says_that_and_nothing_of_files(penchant, monkeypatch, stop, code):
    class Service:
        def in_words(self):
            return ["Serving"]

        def serve(self):
            raise stop

    monkeypatch.setattr("penchant.serving.open_service", lambda load, **settings: nullcontext(Service()))
    result = penchant("serve", "any")
    assert (result.code, result.err) == (code, "penchant: stopped serving\n")


def test_a_command_that_says_its_own_sentence_when_it_is_interrupted_is_left_to_it(failing):
    result = failing(Interrupted(signal.SIGINT, "interrupted, 3 answers are kept"))
    assert (result.code, result.err) == (130, "penchant: interrupted, 3 answers are kept\n")


def test_an_unknown_option_or_verb_is_exit_code_2(penchant):
    assert penchant("dpo", "--nonsense").code == 2
    assert penchant("nonsense").code == 2


def test_the_versions_that_a_bug_report_needs_are_shown(penchant):
    result = penchant("--version")
    shown = dict(line.split(" ", 1) for line in result.out.splitlines())
    assert (result.code, shown["penchant"], shown["python"]) == (0, __version__, platform.python_version())
    assert (shown["torch"], shown["peft"]) == (version("torch"), version("peft"))
    assert "transformers" in shown
    assert shown["platform"] == platform.platform()


def test_the_versions_are_shown_without_loading_the_libraries():
    code = (
        "import sys; sys.argv = ['penchant', '--version']\n"
        "from penchant.cli.main import app\n"
        "app(standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("[]\n"), shown.stdout


def test_a_package_that_is_not_there_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(versions, "PACKAGES", ("no-such-package",))
    assert versions.installed_versions()["no-such-package"] == "not installed"


COMPLETED = {
    "a command": (["penchant", "verif"], "verify"),
    "a command of a group": (["penchant", "votes", "agr"], "agreement"),
    "an option": (["penchant", "dpo", "--learn"], "--learning-rate"),
}


@pytest.mark.parametrize(("words", "completion"), COMPLETED.values(), ids=COMPLETED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell, words, completion):
    line = " ".join(words)
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    env = asked[shell] | {"_PENCHANT_COMPLETE": f"complete_{shell}"}
    assert completion in CliRunner().invoke(module.app, [], prog_name="penchant", env=env).output


@pytest.mark.slow(threads=1)
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes_with_the_script(tmp_path):
    program = tmp_path / "penchant"
    program.write_text(f"#!{sys.executable}\nfrom penchant.cli.main import main\nmain()\n")
    program.chmod(0o755)
    session = (
        'eval "$(_PENCHANT_COMPLETE=source_bash penchant)"\n'
        "COMP_WORDS=(penchant verif) COMP_CWORD=1\n"
        "_penchant_completion penchant\n"
        'echo "${COMPREPLY[@]}"'
    )
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    shown = subprocess.run(["bash", "-c", session], capture_output=True, text=True, check=True, env=env)
    assert shown.stdout == "verify\n", shown.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_is_printed(shell, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    result = CliRunner().invoke(module.app, ["--show-completion"], prog_name="penchant")
    assert (result.exit_code, "_PENCHANT_COMPLETE" in result.output) == (0, True), result.output


@pytest.mark.slow(threads=1)
def test_every_verb_has_help_with_an_example(penchant):
    verbs = [command.name for command in module.app.registered_commands]
    verbs += [group.name for group in module.app.registered_groups]
    assert "dpo" in verbs
    for verb in verbs:
        result = penchant(verb, "--help")
        assert result.code == 0
        _, _, below_usage = result.out.partition("[OPTIONS]")
        assert f"penchant {verb}" in below_usage, f"{verb} shows no example"


def test_help_loads_no_heavy_library():
    heavy = ("torch", "transformers", "peft", "numpy", "matplotlib", "pydantic")
    code = f"import sys, penchant.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        (
            """
class Stop:
    def find_spec(self, name, *_):
        if name == "penchant.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
""",
            130,
            "penchant: interrupted\n",
        ),
        ("atexit.register(signal.raise_signal, signal.SIGINT)", -signal.SIGINT, ""),
    ],
    ids=["while its modules are read", "once more while it ends"],
)
def test_ctrl_c_shows_no_traceback_before_a_command_has_begun_or_when_it_has_ended(before, code, said):
    own_handler = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell's background job has it ignored
    program = f"import atexit, signal, sys\n{own_handler}\n{before}\nfrom penchant.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.slow(threads=1)
def test_the_module_is_the_command():
    shown = subprocess.run([sys.executable, "-m", "penchant", "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert "dpo" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["dpo", "--output", "run", "--data", "{}.jsonl"],
        ["dpo", "--output", "run", "--data", "rows.jsonl", "--model", "{}"],
        ["dpo", "--output", "{}", "--data", "rows.jsonl"],
        ["check", "{}.jsonl"],
        ["rank", "{}.csv"],
        ["annotate", "{}"],
        ["chat", "{}"],
        ["report", "{}"],
        ["round", "{}"],
        ["votes", "export", "{}", "--to", "pairs", "--output", "pairs.jsonl"],
    ],
    ids=" ".join,
)
def test_a_name_too_long_for_the_file_system_is_the_users_to_mend(penchant, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    result = penchant(*(argument.format("n" * 300) for argument in arguments))
    assert result.code == 2, result.err
    assert "long" in result.err
    assert "fault of Penchant" not in result.err


def test_a_message_of_another_library_is_one_bounded_line(failing):
    result = failing(RuntimeError("first\n" * 50_000 + "caf\udce9"))
    assert result.code == 1
    assert len(result.err) < 3000
    assert result.err.count("\n") == 1
    assert "caf\\udce9 (this is a fault of Penchant" in result.err


def test_what_the_terminal_has_no_bytes_for_is_spelt_out(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(shown, "ascii", write_through=True))
    monkeypatch.setattr(sys, "argv", ["penchant", "check", "caf\udce9\u4e2d.jsonl"])
    with pytest.raises(SystemExit):
        module.main()
    assert b"caf\\udce9\\u4e2d.jsonl: there is no such file" in shown.getvalue()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rank", "votes.jsonl", "--on-bad-row", "x"], "penchant: --on-bad-row must be error or drop, got 'x'"),
        (["rank", "votes.jsonl", "--both-bad=x"], "penchant: --both-bad must be 'apart' or 'tie'; got 'x'"),
        (["sample", "--top-p", "2"], "penchant: --top-p must be above 0 and at most 1, got 2.0"),
        (["sample", "--temperature", "1e-39"], "penchant: --temperature must be 0 or from 1e-06 to 1e+06, got 1e-39"),
        (["sample", "--temperature", "1e39"], "penchant: --temperature must be 0 or from 1e-06 to 1e+06, got 1e+39"),
        (["sample", "-t", "nan"], "penchant: temperature must be 0 or from 1e-06 to 1e+06, got nan"),
    ],
)
def test_an_option_is_named_as_it_was_typed(penchant, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "votes.jsonl").write_text('{"left": "a", "right": "b", "winner": "left"}\n')
    more = ["--model", "nowhere", "--prompts", "votes.jsonl", "--output", "o"] if arguments[0] == "sample" else []
    result = penchant(*arguments, *more)
    assert result.code == 2
    assert words in result.err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_memory_that_does_not_suffice_is_the_users_to_mend(failing, error):
    result = failing(error)
    assert result.code == 2
    assert "there is not enough memory" in result.err
    assert "fault of Penchant" not in result.err
