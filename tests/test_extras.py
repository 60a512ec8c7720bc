"""What is absent is named as an index names it, before any work begins."""

import tomllib
from pathlib import Path

import pytest

from penchant import extras
from penchant.extras import EXTRAS, install, missing


def test_every_extra_names_the_distributions_that_the_project_names():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra, packages in EXTRAS.items():
        listed = {wanted.split(">")[0] for wanted in project["optional-dependencies"][extra]}
        assert {name.strip("'") for name in packages.values()} == listed, extra


def test_what_is_absent_is_named_as_it_is_installed_and_never_as_an_extra_of_penchant(monkeypatch):
    assert missing("annotate") == []
    monkeypatch.setattr(extras, "find_spec", lambda module: None if module in ("markdown_it", "uvicorn") else module)
    assert missing("annotate") == ["uvicorn", "markdown-it-py"]
    assert install("annotate") == "run pip install uvicorn markdown-it-py"
    for source in Path(extras.__file__).parent.rglob("*.py"):
        assert "pip install 'penchant" not in source.read_text(encoding="utf-8"), source


def test_the_demo_finds_out_what_its_third_step_needs_before_its_first(monkeypatch, tmp_path):
    from penchant.cli import demo
    from penchant.errors import ConfigError

    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    monkeypatch.setattr(demo.subprocess, "run", None)
    with pytest.raises(ConfigError, match=r"the demo's judge needs vaderSentiment.*run pip install vaderSentiment"):
        demo.command(tmp_path / "demo", dry_run=False)
