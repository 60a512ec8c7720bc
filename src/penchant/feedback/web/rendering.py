"""Render untrusted model text as inert HTML: no scripts, no requests, no hidden characters.

Nothing vanishes: addresses and titles of links, the info string of a code block and the numbers of a list are shown,
and a text that would still lose a word is shown as written.

Three rules ensure safety. Raw HTML in the text is text (markdown-it's `html` is off). Links lead only to http, https or
mailto, and images are never loaded: they are shown as links. Every character of the text passes through `escape`, which
also makes characters visible that control a terminal, reverse text or are invisible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape as escape_html
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLink
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import escapedSplit, getLine, table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from penchant.feedback.web.completeness import loses
from penchant.feedback.web.mathematics import mathml

__all__ = ["VIEW_CHARACTERS", "View", "escape", "mark", "pieces", "view"]

VIEW_CHARACTERS = 12_000
"""Longer texts are truncated in the view; the full text is fetched in pieces on request."""
PIECE_CHARACTERS = 16_000
MAX_NESTING = 20
SCHEMES = frozenset({"http", "https", "mailto"})
LINK_ATTRIBUTES = ' rel="noopener noreferrer nofollow" target="_blank"'

# controls but tab and newline; soft hyphen; zero-width space; line separators and bidirectional embeddings, overrides
# and isolates; invisible operators; byte order mark; annotation marks; tags. Joiners and the plain marks of direction
# (U+200C to U+200F, U+061C) stay: Persian, Hebrew and emoji are spelt with them
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Paragraphs of ordinary text without any Markdown: no mark, no unusual space, and each line begins with a letter or a
# number (not of a list) and ends without a space. This is most text, and the parser takes fifty times as long for the
# same result.
MARKS = r"\\`*_\[\]<>&~$|"
SPACES = r"\x00-\x1f\x7f-\xa0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
LINE = rf"(?!\d+[.)])[^\W_][^{MARKS}{SPACES}]*(?<! )"
PLAIN = re.compile(rf"{LINE}(?:\n+{LINE})*\n*")
NEWLINE, BREAK = "\n", "<br />\n"
MATH = re.compile(
    r"\$\$(?P<block>[^$]+?)\$\$"
    r"|\\\[(?P<bracket>.+?)\\\]"
    r"|\\\((?P<paren>.+?)\\\)"
    r"|\$(?P<inline>(?=[^\s$])[^$\n]*?[^\s$\\])\$(?!\d)",
    re.S,
)


@dataclass(frozen=True, slots=True)
class View:
    """One text ready to show. html: of at most VIEW_CHARACTERS. raw: the same part, as written. length: of all."""

    html: str
    raw: str
    length: int

    @property
    def is_cut(self) -> bool:
        """Whether the text is truncated."""
        return self.length > VIEW_CHARACTERS


@lru_cache(maxsize=2048)
def view(text: str) -> View:
    """The text as HTML and as written, both truncated at VIEW_CHARACTERS."""
    head = text[:VIEW_CHARACTERS]
    return View(html=_render(head), raw=mark(head), length=len(text))


def _render(text: str) -> str:
    if PLAIN.fullmatch(text):
        paragraphs = re.split(r"\n\n+", text.rstrip("\n"))
        return "".join(f"<p>{escape(paragraph).replace(NEWLINE, BREAK)}</p>\n" for paragraph in paragraphs)
    return _parse(text)


def _parse(text: str) -> str:
    parser = _markdown()
    env: dict[str, Any] = {}
    tokens = parser.parse(text.replace("\x00", "<U+0000>"), env)
    if max((token.level for token in tokens), default=0) >= MAX_NESTING - 2:
        return _as_written(text)  # the parser drops deeper nesting, but nothing may be lost
    html = str(parser.renderer.render(tokens, parser.options, env))
    return _as_written(text) if loses(text, html, env.get("told", [])) else html


def _as_written(text: str) -> str:
    return f'<pre class="as-written">{escape(text)}</pre>'


def pieces(text: str) -> list[str]:
    """Split the full text, as written, into parts small enough for a browser to lay out."""
    return [mark(text[i : i + PIECE_CHARACTERS]) for i in range(0, len(text), PIECE_CHARACTERS)]


def mark(text: str) -> str:
    """Plain text with invisible characters spelt out, as `<U+202E>`."""
    return UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text.replace("\r\n", "\n"))


def escape(text: str) -> str:
    """Escape plain text for HTML; invisible characters become visible marks."""
    return re.sub(r"&lt;(U\+[0-9A-F]{4,6})&gt;", r'<span class="unseen">&lt;\1&gt;</span>', escape_html(mark(text)))


def _is_harmless(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in SCHEMES and bool(parts.netloc or parts.scheme.lower() == "mailto")


def _as_it_is(url: str) -> str:
    return url


def _mathematics(state: StateInline, silent: bool) -> bool:
    """Inline rule: $x$, $$x$$, \\(x\\) and \\[x\\] are formulas, in which Markdown finds nothing."""
    if state.src[state.pos] not in "$\\":
        return False
    found = MATH.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        token = state.push("math", "span", 0)
        token.content = next(group for group in found.groups() if group is not None).strip()
        token.markup = "block" if found["inline"] is None and found["paren"] is None else "inline"
    state.pos = found.end()
    return True


def _whole_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Block rule: a table, unless a row has more cells than columns, which the original rule would drop."""
    num_before = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    num_columns = sum(token.type == "th_open" for token in state.tokens[num_before:])
    if silent or all(_num_cells(getLine(state, line)) <= num_columns for line in range(start + 2, state.line)):
        return True
    del state.tokens[num_before:]
    state.line = start
    return False


def _num_cells(line: str) -> int:
    cells = escapedSplit(line.strip())
    return len(cells) - (not cells[0]) - (len(cells) > 1 and not cells[-1])


class _Renderer(RendererHTML):
    """Writes every character of the text through `escape`; only checked links become attributes."""

    def text(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return escape(tokens[index].content)

    def code_inline(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f"<code>{escape(tokens[index].content)}</code>"

    def code_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'

    def fence(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        info = tokens[index].info.strip()
        label = f'<span class="language">{escape(info)}</span>' if info else ""
        return f'<div class="code">{label}{self.code_block(tokens, index, options, env)}</div>\n'

    def math(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        latex, markup = tokens[index].content, tokens[index].markup
        drawn = mathml(latex, markup == "block", escape)
        if drawn:
            env.setdefault("told", []).append(latex)
        return f'<span class="math {markup}{"" if drawn else " source"}">{drawn or escape(latex)}</span>'

    def heading_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f'<p class="heading level-{tokens[index].tag[1]}">'

    def heading_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "</p>\n"

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f'<a href="{escape_html(normalizeLink(str(tokens[index].attrGet("href"))))}"{LINK_ATTRIBUTES}>'

    def link_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        opened = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open")
        link, shown = tokens[opened], "".join(token.content for token in tokens[opened:index]).strip()
        address, title = str(link.attrGet("href")), link.attrGet("title")
        told = [f"“{escape(str(title))}”"] if title else []
        if shown == address:
            env.setdefault("told", []).append(address)
        elif link.markup != "autolink":
            told.insert(0, escape(address))
        return "</a>" + (f' <span class="address">({" ".join(told)})</span>' if told else "")

    def ordered_list_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "<ol>\n"

    def list_item_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        number = tokens[index].info
        return f'<li value="{int(number)}">' if number else "<li>"

    def table_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return '<div class="table" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "<th>"  # without the style attribute that aligns it, which the page's CSP would refuse

    def td_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "<td>"


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING}, renderer_cls=_Renderer
    )
    # without "reference", the definition of a link stays where a reader sees it
    parser.enable(["table", "strikethrough"]).disable(["image", "reference", "html_block", "html_inline"])
    parser.block.ruler.at("table", _whole_table, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.before("escape", "math", _mathematics)
    parser.validateLink = _is_harmless  # type: ignore[method-assign]
    parser.normalizeLink = _as_it_is  # type: ignore[method-assign]  # and so an address is shown
    parser.normalizeLinkText = _as_it_is  # type: ignore[method-assign, assignment]
    return parser
