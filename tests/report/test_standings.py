"""The figure of ratings: every item once, best first, groups apart, readable at any number, the same bytes."""

import doctest
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

import penchant.report.standings
from penchant.report.standings import draw_standings

SVG = "{http://www.w3.org/2000/svg}"


def ranking(*sizes, by_prior=(), name="item {group}.{number}"):
    groups = [
        {
            "standings": [
                {
                    "rank": number + 1,
                    "item": name.format(group=group, number=number),
                    "rating": 1300.4 - 5 * number,
                    "low": 1280.0 - 5 * number,
                    "high": 1320.0 - 5 * number,
                    "by_prior": number in by_prior,
                }
                for number in range(size)
            ]
        }
        for group, size in enumerate(sizes)
    ]
    return {"level": 0.9, "groups": groups}


def texts(path):
    """(text, y) of every text of an SVG file, from the top."""
    found = []
    for element in ElementTree.parse(path).iter(f"{SVG}text"):
        place = re.search(r"translate\([-\d.]+ ([-\d.]+)\)", element.get("transform") or "")
        y = float(place.group(1)) if place else float(element.get("y"))
        found.append(("".join(element.itertext()), y))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("num", [1, 3, 100])
def test_every_item_has_its_name_rank_and_rating_on_one_line_best_first(tmp_path, num):
    svg, png = draw_standings(ranking(num), tmp_path / "ratings")
    shown = texts(svg)
    names = [(re.fullmatch(r"item 0\.(\d+)\s+(\d+)", text), y) for text, y in shown]
    names = [(int(match[1]), int(match[2]), y) for match, y in names if match]
    assert [(number, rank) for number, rank, _ in names] == [(n, n + 1) for n in range(num)]
    heights = [y for *_, y in names]
    assert heights == sorted(heights)
    ratings = dict(shown)
    for number, _, y in names:
        assert ratings[f"{1300.4 - 5 * number:.0f}"] == pytest.approx(y, abs=6)
    with Image.open(png) as image:
        assert image.width > 1000
        assert image.height / num > 25, "lines are far enough apart to be read"
        assert len(image.convert("RGB").getcolors(2**24)) > 10, "something is drawn"


@pytest.mark.slow(threads=1)
def test_the_title_says_the_level_and_the_scale_is_explained(tmp_path):
    words = " ".join(text for text, _ in texts(draw_standings(ranking(2), tmp_path / "ratings")[0]))
    assert "Ratings with 90% intervals" in words
    assert "400 points are odds of 10 to 1; 1000 is the average item" in words
    assert "group" not in words
    assert "hollow" not in words


@pytest.mark.slow(threads=1)
def test_items_kept_in_place_by_a_prior_are_hollow_and_explained(tmp_path):
    svg, _ = draw_standings(ranking(3, by_prior=(0,)), tmp_path / "ratings")
    assert "hollow: no finite rating by votes alone" in " ".join(text for text, _ in texts(svg))
    source = svg.read_text(encoding="utf-8")
    assert len(re.findall(r"<use [^>]*fill: #ffffff; stroke: #0072b2", source)) == 1
    assert len(re.findall(r"<use [^>]*fill: #0072b2; stroke: #0072b2", source)) == 2


@pytest.mark.slow(threads=1)
def test_groups_that_never_met_have_an_axis_and_a_heading_each(tmp_path):
    svg, _ = draw_standings(ranking(3, 2), tmp_path / "ratings")
    words = [text for text, _ in texts(svg)]
    assert [text for text in words if text.startswith("group")] == ["group 1, 3 items", "group 2, 2 items"]
    assert sum("400 points" in text for text in words) == 2


def test_a_group_that_nothing_ranks_is_not_drawn(tmp_path):
    svg, _ = draw_standings(ranking(0, 2), tmp_path / "ratings")
    assert [text for text, _ in texts(svg) if text.startswith("item")] == ["item 1.0    1", "item 1.1    2"]


@pytest.mark.slow(threads=1)
def test_more_items_or_groups_than_a_figure_holds_are_cut_and_the_title_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(penchant.report.standings, "MOST_ROWS", 5)
    words = [text for text, _ in texts(draw_standings(ranking(3, 4), tmp_path / "rows")[0])]
    assert "Ratings with 90% intervals, 5 of 7 items" in words
    assert [text.split()[1] for text in words if text.startswith("item")] == ["0.0", "0.1", "0.2", "1.0", "1.1"]
    monkeypatch.setattr(penchant.report.standings, "MOST_GROUPS", 1)
    words = [text for text, _ in texts(draw_standings(ranking(2, 2, 2), tmp_path / "groups")[0])]
    assert "Ratings with 90% intervals, 2 of 6 items" in words
    assert "group 1, 2 items" in words


def test_names_are_foreign_text_long_names_are_cut_in_the_middle(tmp_path):
    name = "a very long name of a model that goes on and on\nstep {number} <b>&$x^2$ 模型"
    words = [text for text, _ in texts(draw_standings(ranking(2, name=name), tmp_path / "ratings")[0])]
    assert any(text.startswith("a very long name of a…") and "step 1 <b>&$x^2$ 模型" in text for text in words)


@pytest.mark.slow(threads=1)
def test_the_same_ranking_gives_the_same_bytes(tmp_path):
    first, second = (draw_standings(ranking(4, 2), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(penchant.report.standings).failed == 0
