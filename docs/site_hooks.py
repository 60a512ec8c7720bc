"""What the site does to the pages: anchors as elsewhere, formulas as MathML, links to the code that work offline; and
pages in Chinese have the theme's words, the menu and the language switch of their own language.

mkdocs calls these by name (https://www.mkdocs.org/dev-guide/plugins/#events); the pages themselves stay plain Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(((?:\.\./)+)([^)#\s]+)((?:#[^)\s]*)?)\)")
"""A link that begins by going up: out of docs/, or to another folder of it."""
CHINESE = ".zh-CN"
"""What a Chinese page has before the ending of its name."""
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', flags=re.S)


def slug(text: str, separator: str = "-") -> str:
    """The anchor of a heading, in any language: letters and digits of it in lower case, blanks as `separator`.

    >>> slug("Where a model came from"), slug("1. 训练 and `beta`")
    ('where-a-model-came-from', '1-训练-and-beta')
    """
    kept = re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", text).strip().lower())
    return kept.replace(" ", separator)


def on_config(config: Any) -> Any:
    """Anchors are those that other readers of Markdown make, so that one link works in both."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Any, config: Any) -> Any:
    """Files of the project that a page links to are put into the site, as text that a browser shows."""
    from mkdocs.structure.files import File

    linked = {
        target
        for page in Path(config.docs_dir).rglob("*.md")
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if (target := outside(page, link)) is not None
    }
    for target in sorted(linked):
        content = (ROOT / target).read_text(encoding="utf-8")
        files.append(File.generated(config, copied(target), content=content))
    return files


def outside(page: Path, link: tuple[str, str, str]) -> str | None:
    """The path from the project's root of what a link of a page names, where that is a file outside docs/."""
    target = (page.parent / link[0] / link[1]).resolve()
    docs = ROOT / "docs"
    return target.relative_to(ROOT).as_posix() if target.is_file() and not target.is_relative_to(docs) else None


def copied(target: str) -> str:
    """Where the site has its copy."""
    return f"code/{target}.txt"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links out of docs/ lead to the copies, and notes get a name that every reader of Markdown shows."""
    source = Path(config.docs_dir) / page.file.src_uri

    def replaced(found: re.Match[str]) -> str:
        target = outside(source, found.groups())  # type: ignore[arg-type]
        up = "../" * page.file.src_uri.count("/")
        return found[0] if target is None else f"]({up}{copied(target)})"

    return re.sub(r"^> \[!NOTE\]$", "> **Note**  ", LINK.sub(replaced, markdown), flags=re.M)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Formulas become MathML, which browsers draw by themselves."""
    from latex2mathml.converter import convert

    def drawn(found: re.Match[str]) -> str:
        return convert(unescape(found[2]).strip(), display="block" if found[1] == "div" else "inline")

    return FORMULA.sub(drawn, html)


def on_nav(nav: Any, config: Any, files: Any) -> Any:
    """The pages before and after a page are of its language."""
    for page in nav.pages:
        for beside in ("previous_page", "next_page"):
            other = getattr(page, beside)
            if other is not None and is_chinese(other) != is_chinese(page):
                setattr(page, beside, None)
    return nav


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> Any:
    """The language of the theme's words, and where the switch leads: to this page in the other language, or the index.

    A Chinese page has the last part of the menu alone, as tabs of its own.
    """
    from mkdocs.structure.nav import Navigation

    chinese = is_chinese(page)
    config.theme["language"] = "zh" if chinese else "en"
    twin = page.url.replace(f"{CHINESE}.html", ".html") if chinese else page.url.replace(".html", f"{CHINESE}.html")
    there = {other.url for other in nav.pages}
    index = "index.html" if chinese else f"index{CHINESE}.html"
    for switch in config.extra["alternate"]:
        is_own = (switch["lang"] == "zh") == chinese
        switch["link"] = f"./{page.url if is_own else twin if twin in there else index}"
    if chinese:
        pages = [other for other in nav.pages if is_chinese(other)]
        context["nav"] = Navigation(nav.items[-1].children, pages)
        context["nav"].homepage = pages[0]
    return context


def is_chinese(page: Any) -> bool:
    """Whether a page is in Chinese, by its name."""
    return bool(page.file.src_uri.endswith(f"{CHINESE}.md"))
