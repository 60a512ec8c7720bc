"""What a notebook shows of a run: drawings and tables, in which foreign text is text."""

import re

import pytest

import penchant as pt

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def run(model, rows, settings):
    marked = [{**row, "prompt": f"{MARKUP} {row['prompt']}"} for row in rows]
    return pt.dpo(model, marked, **settings)


@pytest.mark.slow(threads=1)
def test_curves_and_answers_are_shown_and_markup_is_escaped(run):
    assert "<svg" in run.metrics._repr_html_()
    samples = run.samples._repr_html_()
    assert "&lt;script&gt;" in samples
    for html in (samples, run.metrics._repr_html_(), run._repr_html_(), run.report):
        assert MARKUP not in html
    assert samples in run._repr_html_()


@pytest.mark.slow(threads=1)
def test_the_report_is_framed_and_saved(run, tmp_path):
    path = run.report.save(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == run.report
    assert run.report.startswith("<!doctype html>")
    frame = run.report._repr_html_()
    assert re.fullmatch(r'<iframe srcdoc="[^"]*" sandbox style="[^"]*"></iframe>', frame)
    said = repr((run.model, run.report))
    assert f"Report({len(run.report):,} characters of HTML; " in said
    assert len(said) < 300


def test_a_column_is_of_the_rows_that_have_it(run):
    assert len(run.metrics.column("loss")) == 3
    assert run.metrics.column("eval_loss") == [row["eval_loss"] for row in run.metrics if "eval_loss" in row]
    assert run.metrics.column("nothing") == []
    assert isinstance(run.metrics, list)


def test_a_model_says_its_name_size_precision_and_device_in_one_line(model, stories260k):
    size = sum(parameter.numel() for parameter in model.network.parameters())
    assert repr(model) == f"LanguageModel({stories260k}, {size:,} parameters, float32, cpu)"
    model.name = "other"
    assert repr(model.copy()).startswith("LanguageModel(other, ")


def test_a_run_says_what_it_is(run):
    assert repr(run) == "Run(dpo, finished, in memory)"
    assert run.in_words() == run.summary


@pytest.mark.slow(threads=1)
def test_a_run_in_a_folder_shows_the_same(model, rows, settings, tmp_path):
    written = pt.dpo(model, rows, output=tmp_path / "run", **settings)
    again = pt.open_run(tmp_path / "run")
    assert again._repr_html_() == written._repr_html_()
    assert again.report.count("<svg") == written.report.count("<svg") > 0
