"""The page: whole, offline, escaped, and readable when parts are missing."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from penchant.errors import OutputError
from penchant.report import write_report
from penchant.report.page import render_report
from penchant.report.view import tiles

HOSTILE = "</p></style><script>alert(1)</script><img src=http://evil.test/x onerror=alert(1)>{{ 7*7 }}&amp;\"'`"


class Page(HTMLParser):
    """Collects what a browser would see: tags, attributes and text."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.slow(threads=1)
def test_the_page_holds_the_headline_numbers_figures_samples_and_ledger(run, metrics, samples, comparison):
    page = Page(render_report(run, metrics, samples, comparison))
    for words in [
        "DPO report",
        "1,920 training pairs",
        "77.5%",
        "72.6% to 81.7%",
        "218 won, 53 lost, 29 tied",
        "0.31 → 0.78",
        "84.0%",
        "7.42",
        "6.90 to 7.97",
        "29 min",
        "peak memory 5.4 GB",
        "None of the usual faults",
        "sunny words 8",
        "empty response 3",
        "dpo.beta 0.1",
        "training.seed 20260304",
        "sha256:5a1c0e",
        "Bright!",
    ]:
        assert words in page.text, words
    assert page.tags.count("svg") == 7


@pytest.mark.slow(threads=1)
def test_every_element_that_opens_closes(run, metrics, samples, comparison):
    assert Page(render_report(run, metrics, samples, comparison)).open == []


@pytest.mark.slow(threads=1)
def test_hostile_text_is_shown_as_text_wherever_it_comes_from(run, metrics, comparison):
    clean = render_report(run, metrics, [], comparison)
    pair = dict.fromkeys(("prompt", "before", "after"), HOSTILE)
    hostile_run = {HOSTILE: HOSTILE, "command": HOSTILE, "model": HOSTILE, "rows": {HOSTILE: HOSTILE}}
    hostile_run |= {"config": {HOSTILE: {HOSTILE: HOSTILE}}, "started_at": HOSTILE}
    html = render_report(
        hostile_run,
        metrics,
        [{"step": step, "prompt": HOSTILE, "response": HOSTILE} for step in (0, HOSTILE)],
        comparison | {"judge": HOSTILE, "pairs": [pair]},
    )
    page = Page(html)
    assert set(page.tags) <= set(Page(clean).tags)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7*7 }}" in page.text
    assert page.open == []


def test_messages_and_control_characters_and_lone_surrogates_are_written(run, comparison, tmp_path):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi\u202e"}]
    pair = {"prompt": messages, "before": "\ud800 \x00", "after": None, "score_before": None}
    path = tmp_path / "report.html"
    write_report(run, [], [], comparison | {"pairs": [pair]}, path)
    page = Page(path.read_text(encoding="utf-8"))
    assert "system: Be brief. user: Hi" in page.text
    assert "(empty)" in page.text


@pytest.mark.slow(threads=1)
def test_nothing_is_loaded_from_anywhere_and_no_script_can_run(run, metrics, samples, comparison):
    html = render_report(run, metrics, samples, comparison)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    for tag, name, value in page.attributes:
        if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
            assert value.startswith("#"), (tag, name, value)
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)", html))
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\s\"'<]*", html)) <= {"http://www.w3.org/1999/xlink"}  # a name, never fetched
    policy = next(value for tag, name, value in page.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert html.index("Content-Security-Policy") < html.index("<style>")


@pytest.mark.slow(threads=1)
def test_only_what_is_there_is_shown(run, metrics):
    without_evaluations = [row for row in metrics if "loss" in row]
    page = Page(render_report(run, without_evaluations, [], None))
    assert "Training accuracy" in page.text
    assert "held-out 0" not in page.text
    assert "Win rate" not in page.text
    assert "Before and after" not in page.text


def test_one_step_and_no_step_and_no_ledger_still_make_a_page():
    one = Page(render_report({"command": "sft"}, [{"step": 1, "loss": 2.25}], [], None))
    assert "SFT report" in one.text
    assert "2.250" in one.text
    assert one.tags.count("svg") == 1
    assert "ln 2" not in one.text
    empty = Page(render_report({}, [], [], None))
    assert "Training report" in empty.text
    assert empty.tags.count("svg") == 0


def test_partial_comparisons_leave_their_tiles_out(run):
    page = Page(render_report(run, [], [], {"win_rate": {"rate": 0.5}, "kl": {"mean": 1.0, "low": None, "high": None}}))
    assert "50.0%" in page.text
    assert "nats per response" in page.text
    assert re.findall(r"95% interval \d", page.text) == []


def test_the_headline_kl_is_the_exact_one_where_it_was_measured(run, comparison):
    def kl(found):
        return next(tile for tile in tiles(run, [], found) if tile.name == "KL from the start")

    exact = {"mean": 2.19, "low": 0.77, "high": 3.62}
    assert (kl(comparison).value, "whole distribution" in kl(comparison).detail) == ("7.42", False)
    found = kl(comparison | {"kl_exact": exact})
    assert found.value == "2.19"
    assert "95% interval 0.77 to 3.62" in found.detail
    assert "whole distribution" in found.detail


def test_values_that_are_not_finite_do_not_break_the_page(run):
    rows = [{"step": step, "loss": value} for step, value in enumerate([0.69, float("nan"), float("inf"), None, 0.5])]
    page = Page(render_report(run, rows, [], None))
    assert "Some steps were not finite" in page.text
    assert "0.5" in page.text


def test_a_long_response_is_cut_and_says_so(run, comparison):
    pair = {"prompt": "p", "before": "x" * 5000, "after": "y"}
    page = Page(render_report(run, [], [], comparison | {"pairs": [pair]}))
    assert "(1,000 more characters)" in page.text


def test_samples_show_the_first_against_the_last_step(run, samples):
    text = Page(render_report(run, [], samples, None)).text
    assert "step 0 Grey. step 100 Bright!" in text
    assert "Mild." not in text


@pytest.mark.slow(threads=1)
def test_the_same_run_gives_the_same_bytes(run, metrics, samples, comparison):
    assert render_report(run, metrics, samples, comparison) == render_report(run, metrics, samples, comparison)


@pytest.mark.slow(threads=1)
def test_the_file_is_complete_and_leaves_nothing_beside_it(run, metrics, samples, comparison, tmp_path):
    path = tmp_path / "new folder" / "report.html"
    write_report(run, metrics, samples, comparison, path)
    assert path.read_text(encoding="utf-8") == render_report(run, metrics, samples, comparison)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_write_that_fails_keeps_the_old_report_and_says_where(run, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match=r"report\.html cannot be written \(No space left on device\)"):
        write_report(run, [], [], None, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_an_older_report_is_replaced_by_a_new_file_never_written_over(run, tmp_path):
    path, kept = tmp_path / "report.html", tmp_path / "kept.html"
    path.write_text("old", encoding="utf-8")
    kept.hardlink_to(path)
    write_report(run, [], [], None, path)
    assert kept.read_text(encoding="utf-8") == "old"
    assert "DPO report" in path.read_text(encoding="utf-8")


@pytest.mark.slow(threads=1)
def test_importing_the_room_does_not_import_the_drawing_libraries():
    script = "import sys, penchant.report; print({'matplotlib', 'jinja2', 'torch'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_a_folder_that_is_a_file_is_an_output_error(run, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError):
        write_report(run, [], [], None, tmp_path / "file" / "report.html")


def test_a_held_out_accuracy_is_shown_with_the_number_of_pairs_and_its_interval(run):
    row = {"step": 1, "eval_rewards/accuracies": 1.0, "eval_rewards/margins": 0.1}
    row |= {"eval_rewards/accuracies_low": 0.207, "eval_rewards/accuracies_high": 1.0}
    text = Page(render_report(run | {"num_held_out_pairs": 1}, [row], [], None)).text
    assert "Held-out accuracy 100.0% of 1 pair ranked correctly; 95% interval 20.7% to 100.0%" in text
