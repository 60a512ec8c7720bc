"""LaTeX becomes MathML that says the same, and nothing else ever does."""

import re
import string
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.feedback.web.mathematics import ATTRIBUTES, ELEMENTS, mathml
from penchant.feedback.web.rendering import escape, view


class Drawn(HTMLParser):
    """Elements, attributes and text of a formula."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.attributes, self.text, self.open = [], [], "", []
        self.feed(html)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def inner(latex, is_block=False):
    drawn = mathml(latex, is_block, escape)
    return drawn and re.fullmatch(r"<math[^>]*><mrow>(.*)</mrow></math>", drawn)[1]


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        ("x^2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        (r"\sqrt{x}", "<msqrt><mrow><mi>x</mi></mrow></msqrt>"),
        (r"\alpha \le \beta", "<mi>α</mi><mo>≤</mo><mi>β</mi>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        ("a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
    ],
)
def test_formulas_are_drawn(latex, drawn):
    assert inner(latex) == drawn


@pytest.mark.parametrize(
    "latex",
    [
        r"\pi_r(y \mid x) = \frac{1}{Z(x)} \pi_{\mathrm{ref}}(y \mid x) \exp\left(\frac{1}{\beta} r(x, y)\right)",
        r"\sum_{i=1}^{n} x_i \cdot \int_0^\infty e^{-t}\,dt \ge \lim_{k \to \infty} \prod_k a_k",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        r"\begin{cases} 0 & x < 0 \\ 1 & \text{otherwise} \end{cases}",
        r"\begin{aligned} a &= b + c \\ &= d \end{aligned}",
        r"\nabla_\theta \mathcal{L} = -\mathbb{E}_{x \sim D}\bigl[\log \sigma(\hat r)\bigr]",
        r"\overline{AB} \perp \vec{v}, \quad \binom{n}{k} = \frac{n!}{k!(n-k)!}",
        r"\text{speed} = \frac{\text{distance}}{\text{time}}",
    ],
)
def test_the_formulas_people_and_models_write_are_drawn_with_all_their_letters(latex):
    drawn = mathml(latex, True, escape)
    assert drawn is not None
    assert set(Drawn(drawn).elements) <= ELEMENTS


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{1}{",
        r"x^{a}^{b}",
        r"\phantom{secret}",
        r"\href{javascript:alert(1)}{x}",
        r"a % and what nobody sees",
        r"\newcommand{\x}{\x\x}\x",
        r"\def\x{\x\x}\x",
        r"\label{eq:secret} a",
        r"\cancel{no}",
        r"five or more of the",
        "x" * 2001,
        "{" * 600 + "x" + "}" * 600,
    ],
)
def test_what_cannot_be_drawn_whole_stays_as_it_was_written(latex):
    assert mathml(latex, False, escape) is None
    html = view(f"\\({latex}\\)").html
    assert '<span class="math inline source">' in html
    assert escape(latex)[:100] in html


@pytest.mark.parametrize(
    "latex",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{</math><img src=x onerror=alert(1)>}",
        r"\class{evil}{x}",
        r"\style{position:fixed}{x}",
        r"\color{red}{x}",
        r"\text{&lt;script&gt; &#x3C;script&#x3E;}",
        r"\rule{999em}{999em}",
        r"\hspace{-99em}x",
        r"{\Huge\Huge\Huge x}",
        "\\text{\u202eright to left}",
        r"\unicode{x202E}",
        r"\unicode{xD800}",
        r"\text{&#xD800;&#x110000;}",
        r"\operatorname{<b>}",
    ],
)
def test_a_hostile_formula_does_nothing(latex):
    html = view(f"$${latex}$$").html
    html.encode("utf-8")
    assert not re.search("[\u202a-\u202e\ud800-\udfff]", html)
    drawn = mathml(latex, True, escape)
    if drawn is None:
        return
    found = Drawn(drawn)
    assert set(found.elements) <= ELEMENTS | {"span"}
    for name, value in found.attributes:
        assert (name, value) == ("class", "unseen") or re.fullmatch(ATTRIBUTES[name], value)


PARTS = r"""
\frac \sqrt { } [ ] ^ _ & \\ \left \right ( ) . \begin{matrix} \end{matrix} \text{ab} \hat \over \limits \sum \int
\mathbf \mathrm \binom \substack \stackrel \overset \underbrace \href \class \color
"""
LETTERS = st.text(string.ascii_letters + string.digits + "<>&\"'=+ ", max_size=3)
LATEX = st.lists(st.one_of(st.sampled_from(PARTS.split()), LETTERS, st.text(max_size=2)), max_size=25).map("".join)


@given(LATEX, st.booleans())
def test_whatever_is_written_becomes_harmless_elements_or_stays_text(latex, is_block):
    drawn = mathml(latex, is_block, escape)
    if drawn is None:
        return
    drawn.encode("utf-8")
    found = Drawn(drawn)
    assert set(found.elements) <= ELEMENTS | {"span"}
    for name, value in found.attributes:
        assert (name, value) == ("class", "unseen") or re.fullmatch(ATTRIBUTES[name], value)


@pytest.mark.parametrize("unit", [r"\left(", "{", "^{", r"\frac", r"\sqrt[", r"\begin{matrix}", "x_"])
@pytest.mark.timeout(60)
def test_what_never_ends_is_left_as_it_was_written_and_does_not_hold_up_the_page(unit):
    assert mathml(unit * (2000 // len(unit)), False, escape) is None
