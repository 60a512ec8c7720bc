"""The report, the model's card and the page of several runs, written into and from run folders."""

import re
from html import unescape

import pytest

import penchant as pt
from penchant.errors import ConfigError, OutputError
from penchant.training.run_report import write_run_report, write_runs_report


@pytest.mark.slow(threads=1)
def test_a_run_has_a_report_and_a_card_that_say_how_to_make_it_again(dpo, tmp_path):
    from safetensors.torch import load_file

    record = dpo(save={"num_samples": 4, "sample_tokens": 6})
    html = unescape(write_run_report(record.path).read_text())
    for shown in ("Cannot tell", "answer length", "logsigmoid", f"└── data {record.ledger['data_files'][0]['path']}"):
        assert shown in html
    elsewhere = write_run_report(record.path, output=tmp_path / "page.html")
    assert (elsewhere, unescape(elsewhere.read_text())) == (tmp_path / "page.html", html)
    [again] = re.findall(r"pt\.dpo\(.*\)", html)
    card = (record.path / "model" / "README.md").read_text()
    assert again in card
    assert 'base_model: "stories260k"' in card
    run = eval(again, {"pt": pt})
    first, second = (load_file(path / "model" / "model.safetensors") for path in (record.path, run.path))
    assert all(bool((first[name] == second[name]).all()) for name in first)
    assert {finding.status for finding in pt.verify(record.path)} == {"same"}


@pytest.mark.slow(threads=1)
def test_several_runs_are_one_page_from_the_shell_and_from_python(dpo, tmp_path):
    folders = [dpo(output=str(tmp_path / name), optimiser={"max_steps": 1}).path for name in ("one", "two")]
    page = write_runs_report(folders, tmp_path / "new" / "page.html").read_text()
    assert page == str(pt.compare_runs(*folders))
    assert {"one", "two"} <= set(re.findall(r"<th>(\w+)</th>", page))
    with pytest.raises(ConfigError, match="needs two or more"):
        pt.compare_runs(folders[0])
    with pytest.raises(OutputError, match=r"holds no run\.json"):
        pt.compare_runs(folders[0], tmp_path)
