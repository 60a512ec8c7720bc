"""A project folder: made with defaults, read strictly, and every mistake in it named."""

import subprocess
import sys

import pytest
import yaml

from penchant.errors import ConfigError, OutputError
from penchant.feedback import Store
from penchant.feedback.project import Project, ProjectConfig


def test_a_new_project_has_every_setting_written_with_its_default_and_meaning(tmp_path):
    project = Project.open(tmp_path / "new", create=True)
    text = (tmp_path / "new" / "project.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) == set(ProjectConfig.model_fields)
    assert project.config == ProjectConfig() == Project.open(tmp_path / "new").config
    assert all(field.description in text for field in ProjectConfig.model_fields.values())


def test_an_existing_project_is_opened_as_it_is(tmp_path):
    (tmp_path / "project.yaml").write_text("overlap: 3\nreasons: [clear, 正确]\n", encoding="utf-8")
    config = Project.open(tmp_path, create=True).config
    assert (config.overlap, config.reasons) == (3, ("clear", "正确"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("overlapp: 2", "did you mean 'overlap'"),
        ("overlap: 0", "'overlap' is 0"),
        ("overlap: 2\nreasons: [x, x]", "every reason must be a different text"),
        ("gold_share: 0.7\nrepeat_share: 0.7", "more than 1"),
        ("overlap: [", "project.yaml:1"),
        ("- overlap", "expected settings"),
        ("random_share: .nan", "random_share"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(tmp_path, text, words):
    (tmp_path / "project.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        Project.open(tmp_path)
    assert words in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_that_is_no_project_and_a_place_where_none_can_be_made_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="not a project"):
        Project.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Project.open(tmp_path / "file" / "below", create=True)


def test_a_folder_of_any_name_can_hold_a_project(tmp_path):
    folder = tmp_path / "is this 100 % #1 雪?"
    Store.open(Project.open(folder, create=True)).close()
    assert sorted(p.name for p in folder.iterdir()) == ["penchant.db", "project.yaml"]


@pytest.mark.slow(threads=1)
def test_asking_people_starts_without_torch_and_transformers():
    code = (
        "import sys; import penchant.feedback, penchant.feedback.exports, penchant.feedback.imports,"
        " penchant.feedback.summary, penchant.feedback.training;"
        "print([m for m in ('torch', 'transformers', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
