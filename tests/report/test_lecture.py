"""Lecture figures: what is drawn can be told apart, stays inside the picture, and is the same every time."""

import doctest
from xml.etree import ElementTree

import pytest
from PIL import Image

import penchant.report.tree_figure
from penchant.report.lecture import COLOURS, MEANING, draw_figure

SVG = "{http://www.w3.org/2000/svg}"


def one(label, x=(1, 2, 3), y=(0.1, 0.2, 0.4), **style):
    plain = {"low": (), "high": (), "colour": "", "dash": "", "points": False}
    return {"label": label, "x": x, "y": y} | plain | style


def figure(*series, **changes):
    plain = {"kind": "curves", "title": "A finding", "x_label": "steps", "y_label": "loss, nats"}
    return plain | {"series": series, "x_scale": "linear", "y_scale": "linear", "y_range": None} | changes


@pytest.fixture
def draw(tmp_path):
    """Draw a figure; returns the SVG as text, its words in order, and the PNG's path."""

    def drawn(content, name="figure"):
        svg, png = draw_figure(content, tmp_path / name)
        words = [" ".join(text.itertext()).strip() for text in ElementTree.parse(svg).getroot().iter(f"{SVG}text")]
        return svg.read_text(encoding="utf-8"), words, png

    return drawn


@pytest.mark.slow(threads=1)
def test_title_axes_and_labels_are_words_in_the_svg(draw):
    _, words, png = draw(figure(one("first"), one("second")))
    assert {"A finding", "steps", "loss, nats", "first", "second"} <= set(words)
    with Image.open(png) as image:
        assert image.width == 1440


@pytest.mark.slow(threads=1)
def test_nothing_is_drawn_at_the_edge_of_the_picture(draw):
    long = figure(
        *(one(f"a label of many words, the {number}th of them") for number in range(5)),
        title="A finding that takes a whole sentence, with a clause and another clause, before it comes to its end",
    )
    for number, content in enumerate((long, figure(one("first"), one("second")), tree())):
        _, _, png = draw(content, f"f{number}")
        with Image.open(png) as image:
            grey = image.convert("L")
            edges = [(0, 0, grey.width, 3), (0, grey.height - 3, grey.width, grey.height)]
            edges += [(0, 0, 3, grey.height), (grey.width - 3, 0, grey.width, grey.height)]
            assert all(grey.crop(box).getextrema()[0] == 255 for box in edges)


def test_series_of_one_key_share_a_colour_and_the_legend_tells_colours_and_dashes_apart(draw):
    series = [one(f"{n}, {b}", colour=b, dash=n) for b in ("beta 1", "beta 2") for n in ("dpo", "ipo")]
    svg, words, _ = draw(figure(*series))
    assert {"beta 1", "beta 2", "dpo", "ipo"} <= set(words)
    assert "dpo, beta 1" not in words
    assert COLOURS[0] in svg
    assert COLOURS[1] in svg
    assert COLOURS[2] not in svg
    assert svg.count("stroke-dasharray") >= 3, "two dashed curves and one dashed key"


@pytest.mark.slow(threads=1)
def test_a_method_has_its_own_colour_wherever_it_stands(draw):
    for order in (("dpo", "other"), ("other", "dpo")):
        svg, _, _ = draw(figure(*map(one, order)), order[0])
        assert MEANING["dpo"] in svg
        assert next(colour for colour in COLOURS if colour != MEANING["dpo"]) in svg


@pytest.mark.slow(threads=1)
def test_more_series_than_colours_are_all_drawn(draw):
    _, words, _ = draw(figure(*(one(f"s{i}") for i in range(9))))
    assert {f"s{i}" for i in range(9)} <= set(words)


@pytest.mark.slow(threads=1)
def test_points_have_no_line_and_limits_are_shaded(draw):
    svg, _, _ = draw(figure(one("dots", points=True)))
    assert svg.count("<use") - draw(figure(one("dots", x=(1, 2), y=(1, 2))), "line")[0].count("<use") >= 3
    assert "FillBetween" in draw(figure(one("band", low=(0.0, 0.1, 0.3), high=(0.2, 0.3, 0.5))), "band")[0]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("points", [3, 50])
def test_few_points_are_large_and_many_are_small(draw, points):
    svg, _, _ = draw(figure(one("dots", x=tuple(range(points)), y=tuple(range(points)), points=True)))
    assert svg.count("<use") >= points


def test_bars_stand_by_name_with_their_limits(draw):
    bars = [one(n, ("before", "after"), (0.2, 0.7), low=(0.1, 0.6), high=(0.4, 0.8)) for n in ("polite", "short")]
    svg, words, _ = draw(figure(*bars))
    assert {"before", "after", "polite", "short"} <= set(words)
    assert "LineCollection" in svg, "the limits"


def test_bars_of_two_keys_are_told_apart_by_colour_and_hatching(draw):
    bars = [one(f"{c} {d}", ("a",), (0.5,), colour=c, dash=d) for c in ("dpo", "ipo") for d in ("evenly", "drawn")]
    svg, words, _ = draw(figure(*bars))
    assert {"dpo", "ipo", "evenly", "drawn"} <= set(words)
    assert "url(#" in svg, "a hatching"


@pytest.mark.slow(threads=1)
def test_bars_with_long_names_lie_and_all_names_can_be_read(draw):
    names = tuple(f"the left side of line {i} = its right side" for i in range(20))
    content = figure(one("error", names, (1e-15,) * 20), y_scale="log")
    _, words, png = draw(content)
    assert set(names) <= set(words)
    assert "loss, nats" in words
    assert "steps" not in words, "the names say what they are"
    with Image.open(png) as image:
        assert image.height > 5.5 * 160
    limited = figure(one("error", names, (0.5,) * 20, low=(0.4,) * 20, high=(0.6,) * 20))
    assert "LineCollection" in draw(limited, "limited")[0]


@pytest.mark.slow(threads=1)
def test_logarithmic_ticks_are_numbers_where_they_are_short(draw):
    _, words, _ = draw(figure(one("a", (1, 100, 10_000), (1e-9, 1e-3, 1.0)), x_scale="log", y_scale="log"))
    assert {"1", "100", "10,000"} <= set(words)
    assert any(("10" in word and "8" in word) or "−" in word for word in words), "a power of ten"


@pytest.mark.slow
def test_a_logarithmic_axis_has_a_marked_place_for_where_a_curve_begins_at_0(draw):
    svg, words, _ = draw(figure(one("a", (0, 1, 100), (1.0, 1e-3, 1e-9)), x_scale="log", y_scale="log"))
    assert {"0", "1", "10", "100", "//"} <= set(words)
    assert svg != draw(figure(one("a", (1, 100), (1e-3, 1e-9)), x_scale="log", y_scale="log"), "cut")[0]
    without, _ = draw(figure(one("a", (1, 10, 100), (1.0, 1e-3, 1e-9)), x_scale="log", y_scale="log"), "all")[1:]
    assert "//" not in without
    upwards = draw(figure(one("a", (0, 1, 2), (0.0, 0.01, 10.0)), y_scale="log"), "up")[1]
    assert {"//", "0.01", "0.1"} <= set(upwards)


def test_a_logarithmic_axis_on_which_nothing_is_positive_is_drawn_all_the_same(draw):
    assert "//" not in draw(figure(one("a", (0.0, 0.0), (1.0, 2.0)), x_scale="log"))[1]


def test_a_logit_axis_spreads_what_is_nearly_certain(draw):
    _, words, _ = draw(figure(one("a", (0.5, 0.9, 0.9999), (1, 2, 3)), x_scale="logit"))
    assert {"0.5", "0.9", "0.99", "0.999"} <= set(words)


@pytest.mark.slow(threads=1)
def test_the_range_of_y_is_kept(draw):
    names = tuple(f"a name as long as this one {i}" for i in range(3))
    for x in ((1, 2, 3), ("a", "b", "c"), names):
        _, words, _ = draw(figure(one("a", x, (0.5, 50, 900)), y_range=(0.0, 1.0)))
        assert "0.8" in words
        assert not {"50", "200", "900"} & set(words)


@pytest.mark.slow(threads=1)
def test_the_same_figure_gives_the_same_bytes(draw, tmp_path):
    for content in (figure(one("a"), one("b", dash="x")), tree()):
        first, second = (draw_figure(content, tmp_path / name) for name in ("a", "b"))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def tree(text="\u2423Paris", prompt="Where?"):
    nodes = [
        {"kind": "leaf", "column": 1, "row": 0, "probability": 0.75},
        {"kind": "leaf", "column": 1, "row": 1, "probability": 0.0004},
        {"kind": "rest", "column": 1, "row": 2, "probability": 0.2496},
        {"kind": "inner", "column": 0, "row": 0.5, "probability": 1.0},
    ]
    edges = [
        {"start": 3, "end": 0, "text": text, "probability": 0.75},
        {"start": 3, "end": 1, "text": "$x^2$", "probability": 0.0004},
        {"start": 3, "end": 2, "text": "the rest", "probability": 0.2496},
    ]
    return {"kind": "tree", "title": f"Answers to {prompt}", "nodes": nodes, "edges": edges}


def test_a_tree_has_token_and_probability_on_every_edge_and_the_product_at_every_leaf(draw):
    svg, words, _ = draw(tree())
    assert {"\u2423Paris  0.750", "$x^2$  0.0004", "the rest  0.250", "= 0.750", "= 0.0004"} <= set(words)
    assert sum(word.startswith("=") for word in words) == 2, "the rest is no path"
    assert svg.count("<use") == 3, "a dot where something is, and none where the rest begins"


def test_a_letter_the_font_lacks_is_spelt_out_instead_of_a_box(draw):
    _, words, _ = draw(tree(text="\ue123", prompt="$5"))
    assert "<U+E123>  0.750" in words
    assert "Answers to $5" in words


def test_the_examples_of_the_tree_run():
    result = doctest.testmod(penchant.report.tree_figure)
    assert result.attempted > 0
    assert result.failed == 0
