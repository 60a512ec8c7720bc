"""LaTeX as MathML, which browsers render natively: no scripts, no font downloads.

latex2mathml parses the formula, and its output is not trusted: only elements and attributes of the tables below are
written, with every character through `escape`. A formula is left as written if it cannot be parsed, needs another
element, has an unknown command, defines one (which could grow without bound), or would lose a letter or a digit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from html import unescape
from xml.etree.ElementTree import Element

__all__ = ["mathml"]

LONGEST, DEEPEST = 2_000, 40
ELEMENTS = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mstyle", "mfrac", "msqrt", "mroot", "mtable", "mtr", "mtd",
    "msub", "msup", "msubsup", "munder", "mover", "munderover",
}  # fmt: skip
SMALL = r"-?(0|[0-2]?\.\d+|[12](\.\d+)?)em"  # a length that cannot push a formula over its neighbours
FLAG = "true|false"
ATTRIBUTES = {
    "display": "block|inline",
    "displaystyle": FLAG,
    "scriptlevel": "[012]",
    "stretchy": FLAG,
    "fence": FLAG,
    "separator": FLAG,
    "largeop": FLAG,
    "movablelimits": FLAG,
    "accent": FLAG,
    "accentunder": FLAG,
    "form": "prefix|infix|postfix",
    "mathvariant": "normal",
    "linethickness": "0(em|px)?",
    "columnalign": "((left|right|center) ?)+",
    "width": SMALL.removeprefix("-?"),
    "minsize": SMALL,
    "maxsize": SMALL,
    "lspace": SMALL,
    "rspace": SMALL,
}
SAME_AS_A_ROW = frozenset({"mpadded"})  # moves its content, which may hide it
DEFINITION = re.compile(r"\\((re|provide)?newcommand|[egx]?def|let|DeclareMathOperator|newenvironment)(?![a-z])")
COMMAND = re.compile(r"\\(begin|end)\s*\{[a-zA-Z]+\*?\}|\\operatorname\*?|\\[a-zA-Z]+")
PROSE = re.compile(r"[A-Za-z]{3,}[,;]?\s+[A-Za-z]{2,}")
TEXT = re.compile(r"\\(text|mbox|hbox|operatorname)[a-z]*\*?\s*\{[^{}]*\}")
REFERENCE = re.compile(r"&#x[0-9A-Fa-f]{1,6};")


def mathml(latex: str, is_block: bool, escape: Callable[[str], str]) -> str | None:
    """The formula as an element `math`, or None if it is better shown as written."""
    if len(latex) > LONGEST or "%" in latex or DEFINITION.search(latex) or PROSE.search(TEXT.sub("", latex)):
        return None
    from latex2mathml.converter import convert_to_element  # loads a table of symbols, so import it only for a formula

    try:
        tree = convert_to_element(latex, display="block" if is_block else "inline")
    except Exception:  # arbitrary input; the library has no common class for parse errors
        return None
    return _written(tree, escape, DEEPEST) if _says_all(latex, tree) else None


def _written(element: Element, escape: Callable[[str], str], depth: int) -> str | None:
    name = "mrow" if element.tag in SAME_AS_A_ROW else element.tag
    if name not in ELEMENTS or not depth:
        return None
    children = [_written(child, escape, depth - 1) for child in element]
    if None in children or any(child.tail for child in element):
        return None
    attributes = (
        ""
        if element.tag in SAME_AS_A_ROW
        else "".join(
            f' {key}="{value}"'
            for key, value in element.attrib.items()
            if key in ATTRIBUTES and re.fullmatch(ATTRIBUTES[key], value)
        )
    )
    return f"<{name}{attributes}>{escape(_text(element))}{''.join(filter(None, children))}</{name}>"


def _text(element: Element) -> str:
    """Its characters; latex2mathml leaves symbols as references for the last step of its own writing."""
    return REFERENCE.sub(lambda found: unescape(found[0]), element.text or "")


def _says_all(latex: str, tree: Element) -> bool:
    """Whether all commands and references were understood, and every letter and digit is present, in any alphabet."""
    drawn = "".join(map(_text, tree.iter()))
    return not re.search(r"\\|&#", drawn) and _alphanumerics(COMMAND.sub("", latex)) <= _alphanumerics(drawn)


def _alphanumerics(text: str) -> Counter[str]:
    return Counter(character for character in unicodedata.normalize("NFKC", text) if character.isalnum())
