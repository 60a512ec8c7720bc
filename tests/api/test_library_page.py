"""docs/library.md: its examples run one after the other, and the Chinese page has the same ones."""

import re
from pathlib import Path

import pytest

import penchant as pt

DOCS = Path(__file__).resolve().parents[2] / "docs"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(stories260k, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "".join(PYTHON.findall(page("library.md")))
    code = code.replace('pt.load("smollm2-135m")', f'pt.load({str(stories260k)!r}, chat_template="plain")')
    code = code.replace('model="smollm2-135m"', f'model={str(stories260k)!r}, chat_template="plain"')
    assert "smollm2" not in code
    names = {}
    exec(compile(code, "library.md", "exec"), names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-model", "report.html", "runs"]
    assert names["run"].ledger["status"] == names["own"].ledger["status"] == "finished"
    assert names["lora"].model.is_adapter
    with pytest.raises(pt.OutputError, match="this run is finished"):
        pt.dpo(names["imitated"], names["rows"], output="runs/preferred", held_out=0.34, resume=True, progress=False)
    with pytest.raises(pt.OutputError, match="holds no run to resume"):
        pt.dpo(names["imitated"], names["rows"], output="runs/not-begun", resume=True, progress=False)
    out = capsys.readouterr().out
    assert "keep" in out
    assert names["changed"] == []
    assert re.search(r"^run runs/preferred .*\n.*── model, run \S*runs/imitated ", out, re.MULTILINE)
    assert "data[3]: the field 'rejected' is missing" in out


@pytest.mark.slow
def test_the_example_of_the_readme_runs_and_writes_nothing(stories260k, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = PYTHON.findall((DOCS.parent / "README.md").read_text(encoding="utf-8"))
    loaded = code.replace('pt.load("smollm2-135m")', f'pt.load({str(stories260k)!r}, chat_template="plain")')
    assert loaded != code
    names = {}
    exec(compile(loaded, "README.md", "exec"), names)
    assert names["run"].ledger["status"] == "finished"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow(threads=1)
def test_the_chinese_page_has_the_same_examples_and_names():
    english, chinese = page("library.md"), page("library.zh-CN.md")
    assert PYTHON.findall(english) == PYTHON.findall(chinese)
    names = re.compile(r"^\| `penchant\.(\w+)` \|", re.MULTILINE)
    assert names.findall(english) == names.findall(chinese)
