"""What other people's packages add is found by its entry point, and `module:name` where Python looks."""

import shutil

import pytest

from penchant.errors import ConfigError
from penchant.plugins import GROUPS, added_names, find_added, import_object, package_of

LOSSES = "FOCAL = 'a row'\n"


def test_nothing_is_added_where_no_package_adds_it():
    for group in GROUPS:
        assert find_added(group, "focal") is None
        assert package_of(group, "focal") is None


def test_a_name_of_an_installed_package_is_found_and_its_package_named(add_package):
    add_package("focal-losses", {"penchant.objectives": {"focal": "focal_losses:FOCAL"}}, focal_losses=LOSSES)
    assert added_names("penchant.objectives") == ("focal",)
    assert find_added("penchant.objectives", "focal") == "a row"
    assert package_of("penchant.objectives", "focal") == "focal-losses 1.0"
    assert find_added("penchant.judges", "focal") is None


def test_what_is_installed_while_the_process_runs_is_found(add_package):
    assert added_names("penchant.objectives") == ()
    folder = add_package("focal-losses", {"penchant.objectives": {"focal": "focal_losses:FOCAL"}}, focal_losses=LOSSES)
    assert added_names("penchant.objectives") == ("focal",)
    shutil.rmtree(folder / "focal_losses-1.0.dist-info")
    assert added_names("penchant.objectives") == ()


def test_nothing_is_imported_before_its_name_is_asked_for(add_package):
    points = {"penchant.judges": {"broken": "broken_module:judge", "whole": "whole_module:judge"}}
    add_package("two-judges", points, broken_module="raise OSError('no such corpus')", whole_module="judge = len")
    assert added_names("penchant.judges") == ("broken", "whole")
    assert find_added("penchant.judges", "whole") is len


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('no such corpus')", "OSError: no such corpus"),
        ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"),
        ("def judge(:", "SyntaxError: "),
        ("", "AttributeError: "),
    ],
)
def test_a_broken_package_is_one_sentence_that_names_it(add_package, source, reason):
    add_package("my-judges", {"penchant.judges": {"kind": "my_judges:judge"}}, my_judges=source)
    with pytest.raises(ConfigError) as error:
        find_added("penchant.judges", "kind")
    assert str(error.value).startswith(f"The judge 'kind' of the package my-judges 1.0 cannot be loaded ({reason}")
    assert "\n" not in str(error.value)


def test_a_name_that_two_packages_add_is_refused_rather_than_guessed(add_package):
    for name in ("one", "two"):
        add_package(name, {"penchant.judges": {"kind": f"{name}_judges:judge"}}, **{f"{name}_judges": "judge = len"})
    assert added_names("penchant.judges") == ("kind",)
    with pytest.raises(ConfigError, match=r"'kind' is added by one 1\.0 and two 1\.0; uninstall all but one"):
        find_added("penchant.judges", "kind")


def test_an_object_is_imported_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "losses_of_mine.py").write_text("def plain(batch): return 0.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert import_object("losses_of_mine:plain", "objective", "my_losses:focal")(None) == 0.0
    with pytest.raises(ConfigError, match=r"The objective 'losses_of_mine:plian' does not exist: .*losses_of_mine.py"):
        import_object("losses_of_mine:plian", "objective", "my_losses:focal")


@pytest.mark.parametrize("path", [":f", "m:", "m:f:g", "m:not a name", ".m:f"])
def test_a_malformed_path_is_refused_before_anything_is_imported(path):
    with pytest.raises(ConfigError, match="not of the form module:name; write it like my_losses:focal"):
        import_object(path, "objective", "my_losses:focal")
