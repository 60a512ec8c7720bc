"""Habits: hooks that say what `make check` says, forms that can be filled in, a release that lacks nothing."""

import ast
import configparser
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def load_release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load_release()


def test_the_hooks_run_every_program_of_make_check_and_fetch_nothing():
    (local,) = read(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    checked = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.M)[1]
    programs = {line.split("/")[1].strip() for line in checked.splitlines()}
    run = {hook["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "") for hook in local["hooks"]}
    assert {program.removesuffix(" .") for program in programs} <= run


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_every_form_for_an_issue_has_a_name_and_questions_with_ids_of_their_own(form):
    found = read(form)
    if form.stem == "config":
        assert found == {"blank_issues_enabled": True}
        return
    assert all(found[key] for key in ("name", "description", "labels"))
    ids = [question["id"] for question in found["body"]]
    assert len(set(ids)) == len(ids) > 1
    assert all(question["attributes"]["label"] for question in found["body"])


def test_a_bug_report_asks_for_what_penchant_version_prints():
    (versions,) = [
        question for question in read(".github/ISSUE_TEMPLATE/bug.yml")["body"] if question["id"] == "versions"
    ]
    assert "`penchant --version`" in versions["attributes"]["description"]


def test_editors_are_told_the_width_that_the_linter_holds():
    parser = configparser.ConfigParser()
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    width = re.search(r"line-length = (\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert parser["*"]["max_line_length"] == width
    assert parser["Makefile"]["indent_style"] == "tab"


def test_a_wheel_that_lacks_a_template_or_a_module_is_noticed(tmp_path):
    files = sorted(release.files_of_package())
    assert {"penchant/py.typed", "penchant/report/template.html", "penchant/cli/main.py"} <= set(files)
    left_out = [name for name in files if name.endswith((".html", "cli/main.py"))]
    wheel = tmp_path / "penchant-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as opened:
        for name in set(files) - set(left_out):
            opened.writestr(name, "")
    assert release.missing_from_wheel(wheel) == left_out


def test_a_python_is_found_by_its_version_and_one_that_is_not_there_is_not():
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = release.find_python(here)
    if found is not None:  # an interpreter may be known under another name alone
        shown = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        assert shown.startswith(f"Python {here}.")
    assert release.find_python("3.999") is None


def test_the_wheel_is_tried_on_every_python_there_is_with_and_without_extras_and_the_archive_once(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["release.py"])
    built = Path("penchant-1-py3-none-any.whl"), Path("penchant-1.tar.gz")
    for name, answer in {
        "build": lambda _: built,
        "missing_from_wheel": lambda _: [],
        "missing_from_archive": lambda _: [],
        "find_python": lambda version: None if version == "3.14" else version,
        "try_package": lambda _, python, extras: "FAILED at install" if (python, extras) == ("3.13", "all") else None,
    }.items():
        monkeypatch.setattr(release, name, answer)
    with pytest.raises(SystemExit) as ended:
        release.main()
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Python 3.11, whl without extras: works",
        "Python 3.11, whl with [all]: works",
        "Python 3.11, gz without extras: works",
        "Python 3.12, whl without extras: works",
        "Python 3.12, whl with [all]: works",
        "Python 3.13, whl without extras: works",
        "Python 3.13, whl with [all]: FAILED at install",
        "Python 3.14: not on this machine, so not tried",
    ]


@pytest.mark.parametrize(
    ("package", "step"),
    [("penchant-1-py3-none-any.whl", "a notebook"), ("penchant-1.tar.gz", "a trained model and a plot")],
)
def test_a_step_of_the_release_that_fails_is_named_with_what_it_said(monkeypatch, package, step):
    def run(command, folder):
        if ("first_plot.py" if package.endswith("gz") else release.NOTEBOOK) in command:
            assert "pt.dpo(" in (folder / "first_plot.ipynb").read_text(encoding="utf-8")
            raise subprocess.CalledProcessError(1, command, stderr="there is no plot\n")
        return ""

    monkeypatch.setattr(release, "run", run)
    assert release.try_package(Path(package), "python", "") == f"FAILED at {step}: there is no plot"


def test_what_is_tried_leaves_out_the_settings_of_this_process(monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", "elsewhere")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert release.run([sys.executable, "-c", "import os; print('elsewhere' in os.environ.values())"]) == "False\n"


@pytest.mark.slow
def test_wheel_and_archive_hold_every_file(tmp_path):
    pytest.importorskip("build", reason="needs the extra release")
    command = [sys.executable, str(ROOT / "tools" / "release.py"), "--only-build", "--dist", str(tmp_path / "dist")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, "nothing is missing" in built.stdout) == (0, True), built.stdout + built.stderr


def test_tests_ask_for_no_package_that_make_setup_does_not_install():
    """`make test` installs the extra `dev` alone: what needs more skips, says so, and does not fail to be imported."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    def packages(*names):
        for requirement in (one for name in names for one in extras[name]):
            name, _, more = re.match(r"([\w.-]+)(\[([\w,-]+)\])?", requirement).groups()
            yield from packages(*more.split(",")) if name == "penchant" else [name.lower().replace("-", "_")]

    absent = set(packages(*extras)) - set(packages("dev"))
    assert "openai" in absent
    asked = [
        f"{file.relative_to(ROOT)}:{node.lineno} {name}"
        for pattern in ("test_*.py", "conftest.py")
        for file in ROOT.joinpath("tests").rglob(pattern)
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name.partition(".")[0].lower() in absent
    ]
    assert asked == []
