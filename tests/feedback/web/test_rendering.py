"""What a model wrote, shown: all of it, safely, and with nothing hidden."""

import re
import time
import unicodedata
from collections import Counter
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback.web import rendering
from penchant.feedback.web.mathematics import ATTRIBUTES, ELEMENTS
from penchant.feedback.web.rendering import VIEW_CHARACTERS, escape, mark, pieces, view

ALLOWED = {
    "p", "br", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "a", "span", "div",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
LINKS = {"class", "href", "rel", "target", "tabindex"}


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html) -> None:
        super().__init__()
        self.found, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](/admin/export/raw)",
    "[x](//elsewhere.example)",
    "<javascript:alert(1)>",
    "![x](https://elsewhere.example/pixel.png)",
    "[x](https://ok.example \"' onmouseover='alert(1)\")",
    '[x](https://ok.example/"onmouseover="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    '```"><script>alert(1)</script>\ncode\n```',
    "`<script>`",
    "$<script>alert(1)</script>$",
    "| a |\n|--|\n| <img src=x onerror=alert(1)> |",
    "<style>*{display:none}</style>",
    "<!-- hidden -->",
    '<U+202E>"><script>',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_harmless_elements_only(text):
    for tag, attributes in Elements(view(text).html).found:
        assert tag in ALLOWED | ELEMENTS
        assert set(attributes) <= (ATTRIBUTES.keys() if tag in ELEMENTS else LINKS)
        if tag == "a":
            assert re.match(r"(https?://|mailto:)", attributes["href"])
            assert set(attributes["rel"].split()) == {"noopener", "noreferrer", "nofollow"}


@pytest.mark.parametrize("text", [t for t in HOSTILE if t.startswith("<") and not t.startswith("<U+")])
def test_raw_html_is_shown_as_the_text_it_is(text):
    assert Elements(view(text).html).text.strip() == text


def test_the_title_of_a_link_and_the_address_of_a_picture_load_nothing():
    html = view('![alt](https://elsewhere.example/p.png "t") and [a](http://b.example "t")').html
    assert "<img" not in html
    assert "title" not in html
    assert html.count("<a ") == 2


def test_what_is_a_link_stays_one():
    found = Elements(view("[a](https://a.example/x?y=1&z=2) <https://b.example> [m](mailto:a@b.example)").html).found
    hrefs = [attributes["href"] for tag, attributes in found if tag == "a"]
    assert hrefs == ["https://a.example/x?y=1&z=2", "https://b.example", "mailto:a@b.example"]


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("a\x1b[31mred", "<U+001B>[31m"),
        ("user\u202egpj.exe", "<U+202E>"),
        ("\u2066isolate\u2069", "<U+2066>"),
        ("nul\x00", "<U+0000>"),
        ("zero\u200bwidth", "<U+200B>"),
        ("\ufeffmark", "<U+FEFF>"),
        ("tag\U000e0041", "<U+E0041>"),
        ("c1\x9b31m", "<U+009B>"),
        ("entity &#x202E;", "<U+202E>"),
    ],
)
def test_characters_that_cannot_be_seen_become_visible_marks(text, spelt):
    assert spelt in Elements(view(text).html).text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", view(text).html)
    if "&#" not in text:
        assert spelt in view(text).raw


def test_letters_of_every_script_stay_as_they_are():
    text = "café שלום مرحبا 你好 👩\u200d💻 می\u200cخواهم"
    assert mark(text) == text
    assert escape('<b> & "quotes"') == "&lt;b&gt; &amp; &quot;quotes&quot;"


def test_markdown_code_tables_and_mathematics_are_rendered():
    html = view(
        "**bold**\nnext\n\n```python\nx < y\n```\n\n$a_1*b*$ and \\(c\\)\n\n$$\nd\n$$\n\n|a|\n|-|\n|1|\n\n# Head"
    ).html
    for part in (
        "<strong>bold</strong><br",
        '<span class="language">python</span>',
        "x &lt; y",
        '<span class="math inline"><math display="inline"><mrow><msub><mi>a</mi><mn>1</mn></msub><mo>*</mo>',
        '<span class="math inline"><math display="inline"><mrow><mi>c</mi></mrow></math></span>',
        '<span class="math block"><math display="block"><mrow><mi>d</mi></mrow></math></span>',
        "<td>1</td>",
        '<p class="heading level-1">Head</p>',
    ):
        assert part in html


@pytest.mark.parametrize(
    "row", ["|1|2|the actual answer|", "1|2|the actual answer", "|1|2||the actual answer|", "|1|2|the actual answer"]
)
def test_a_table_never_leaves_out_what_stands_beside_it(row):
    html = view(f"before\n\n|a|b|\n|-|-|\n|3|4|\n{row}\n\nafter").html
    assert "the actual answer" in Elements(html).text
    assert "after" in html
    assert "<td>2</td>" in view("|a|b|\n|-|-|\n|1|2|\n|3|\n").html, "shorter rows hide nothing"


@pytest.mark.parametrize("text", ["costs $5 and $6", "from $10-$20", "a $ b $ c", "just $"])
def test_prices_are_not_mathematics(text):
    assert "math" not in view(text).html


@pytest.mark.parametrize("prefix", [">", "- ", "1. "])
def test_text_nested_deeper_than_the_parser_goes_is_not_lost(prefix):
    for depth in (5, 20, 60):
        assert "treasure" in Elements(view(prefix * depth + "treasure").html).text


@pytest.mark.slow(threads=1)
def test_a_text_of_a_megabyte_is_cut_in_the_view_and_whole_in_pieces():
    text = "<b>x\u202e" * 200_000
    began = time.perf_counter()
    shown = view(text)
    assert time.perf_counter() - began < 1
    assert shown.is_cut
    assert shown.length == len(text)
    assert len(shown.html) < 12 * VIEW_CHARACTERS
    parts = pieces(text)
    assert len(parts) > 10
    assert "".join(parts) == mark(text)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    "piece", ["[", "*a_", "`", ">", "$", "\\(", "![[", "<a", "&", "|a", "a\n", "- a\n", "~~", "\\"]
)
def test_no_text_keeps_the_server_busy(piece):
    began = time.perf_counter()
    view(piece * (VIEW_CHARACTERS // len(piece)))
    assert time.perf_counter() - began < 2


WRITING = st.text(st.sampled_from("ab1. )-\n\n:#+=>\"'!é%/h{}^(@,;?\u00a0\u3000\t雪*`"), max_size=40)


MARKED = [
    "1. one",
    "a\n1. one",
    "2) two",
    "- one",
    "+ one",
    "# a",
    "> a",
    "a\n===",
    "a\n---",
    "    a",
    "a  \nb",
    "a&amp;b",
]
MARKED += ["a\n\n12. twelve", "a | b\n--|--", "a\\\nb", "$a$", "~~a~~", "a\n\n\n\n", "a\nb\n\nc", "1.5 is a number"]


@pytest.mark.parametrize("text", MARKED)
def test_what_the_parser_sees_in_a_text_is_never_overlooked(text):
    assert rendering._render(text) == rendering._parse(text)


@pytest.mark.slow(threads=1)
@settings(max_examples=1000)
@given(text=WRITING)
def test_plain_writing_is_shown_as_the_parser_would_show_it(text):
    assert rendering._render(text) == rendering._parse(text)


def test_most_of_what_people_write_needs_no_parser(monkeypatch):
    monkeypatch.setattr(rendering, "_parse", lambda text: 1 / 0)
    text = 'What is 3 + 4? It\'s 7: "seven".\n\n雪は白い (snow is white); 10% of it - or less!\nA line more.\n'
    shown = rendering._render(text)
    assert shown.count("<p>") == 2
    assert shown.count("<br />") == 1


def test_whether_writing_is_plain_is_told_in_an_instant_whatever_it_is():
    began = time.perf_counter()
    for text in ("a\n" * 6000 + "*", "a" + "\n" * 12_000 + "*", "a " * 6000, "1" * 12_000 + ".", "a\n\n" * 4000 + " "):
        rendering.PLAIN.fullmatch(text)
    assert time.perf_counter() - began < 1


# nothing vanishes

KEPT = [
    ("```python title=x.py {1,3}\ncode\n```", "title=x.py {1,3}"),
    ("~~~a b c d\ncode\n~~~", "a b c d"),
    ("$$\\unicode{<script>}$$", "<script>"),
    ("[](https://a.example/empty)", "https://a.example/empty"),
    ('[a](https://a.example "said in the title")', "said in the title"),
    ("[a](https://a.example/path?query=word)", "https://a.example/path?query=word"),
    ("[a](<https://ü.example/ä b>)", "https://ü.example/ä b"),
    ("<https://a.example/%41>", "https://a.example/%41"),
    ('![alt text](https://a.example/p.png "of it")', "alt text"),
    ("[name]: https://a.example 'a definition'", "a definition"),
    ("[name][other]\n\n[other]: <b>", "[other]: <b>"),
    ("<!-- a comment -->", "<!-- a comment -->"),
    ("before <details open><summary>raw</summary></details>", "<details open><summary>raw</summary></details>"),
    ("&bogus; &copy", "&bogus; &copy"),
    ("007. a list that begins at seven", "007."),
    ("# heading # with # marks #", "heading # with # marks"),
]


@pytest.mark.parametrize(("text", "kept"), KEPT)
def test_what_markdown_leaves_out_is_shown(text, kept):
    assert kept in Elements(view(text).html).text


def test_each_item_of_a_list_has_the_number_that_was_written():
    found = Elements(view("7. seven\n9. nine\n3. three").html).found
    assert [attributes["value"] for tag, attributes in found if tag == "li"] == ["7", "9", "3"]


def test_an_address_that_is_its_own_text_is_shown_once():
    assert Elements(view("<https://a.example> [https://b.example](https://b.example)").html).text.count("example") == 2


WORD = st.sampled_from(["one", "two", "three", "Über", "数字", "12", "x42", "naïve"])
WORDS = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
LOOSE = ["\n\n", "```", "~~~", "$$", "](", "![", "\n    ", "\n> "]
MARK = st.sampled_from([*"*_`~#>|[]()<>!$\\&;:-+=\"'{}\n\t ", *LOOSE])
ADDRESS = st.sampled_from(["https://a.example/", "mailto:", "javascript:", "http://ü.example/?q=", "/", ""])
PATTERNS = [
    "{}", "```{} title={}\n{}\n```", "~~~{}\n{}", '[{}]({}{} "{}")', "[]({}{})", "![{}]({}{} '{}')", "[{}]: {}{} '{}'",
    "[{}][{}]", "<!-- {} -->", "<b title='{}'>{}</b>", "<{}{}>", "&{};", "&#x{};", "${}$", "$$\\unicode{{{}}}$$",
    "$\\frac{{{}}}{{{}}}$", "\\[{}\\]", "\\({}\\)", "`{}`", "**{}** _{}_", "|{}|{}|\n|-|-|\n|{}|{}|", "{}. {}",
    "|{}|\n|-|\n|{}|{}|", "12345. {}", "- {}\n  7) {}", "# {} #", "{}\n===", "    {}", "> {}", "{}  \n{}\\\n{}",
    "[^{}]: {}", "~~{}~~", ":::{}\n{}", "<script>{}</script>",
]  # fmt: skip


@st.composite
def markdown(draw):
    """Pieces of every construction, and loose marks between them."""
    parts = []
    for _ in range(draw(st.integers(1, 5))):
        pattern = draw(st.sampled_from(PATTERNS))
        parts.append(pattern.format(*(draw(ADDRESS | WORDS) for _ in range(pattern.count("{}")))))
        parts.append(draw(st.sampled_from(["\n\n", "\n", " "]) | MARK))
    return "".join(parts)


class Seen(Elements):
    """What a reader sees: the text, the numbers of a list; a formula counts as its own letters."""

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        self.text += " " + (dict(attrs).get("value") or "")


def runs(text):
    """The words of a text, each character of one alphabet: a formula may be in another."""
    while (plain := unescape(text)) != text:
        text = plain
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text))


@pytest.mark.slow(threads=1)
@given(markdown())
@settings(max_examples=300, deadline=None)
def test_every_word_that_was_written_is_in_what_is_shown(text):
    html = view(text).html
    seen = "".join(runs(Seen(html).text))
    commands = {"frac", "unicode"} if "<math" in html else set()
    assert [word for word in runs(text) if word not in seen and word not in commands] == []


@pytest.mark.slow(threads=1)
@given(st.lists(MARK | WORD, max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_letter_is_lost_between_loose_marks(text):
    shown = Counter("".join(runs(Seen(view(text).html).text)))
    assert Counter("".join(runs(text))) <= shown
