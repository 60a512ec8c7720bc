"""Read the rows of a .txt file: its documents, or its lines.

Documents are separated by lines that hold only <|endoftext|>; in a file without any such line, by blank lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from penchant.data.opening import Row, lines_of, require_utf8, too_long
from penchant.data.verdicts import BadRow

__all__ = ["TxtRows", "rows_of_txt"]

TxtRows = Literal["documents", "lines"]
SEPARATOR = "<|endoftext|>"
Line = tuple[int, str | None]


def rows_of_txt(path: Path, limit: int, *, txt: TxtRows) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield {"text": ...} for each document or, if requested, for each line that is not blank."""
    blocks = ([line] for line in _lines(path, limit) if line[1] is None or line[1].strip())
    for block in blocks if txt == "lines" else _documents(path, limit):
        texts = [text for _, text in block if text is not None]
        if len(texts) < len(block):
            yield block[0][0], too_long("line", limit)
        else:
            yield block[0][0], {"text": "\n".join(text.removesuffix("\r") for text in texts).strip()}


def _lines(path: Path, limit: int) -> Iterator[Line]:
    for number, line in lines_of(path, limit):
        text = None if line is None else line.decode("utf-8", "surrogateescape")
        require_utf8(path, text or "", number)
        yield number, None if text is None else text.removesuffix("\n")


def _documents(path: Path, limit: int) -> Iterator[list[Line]]:
    marked = any(text is not None and text.strip() == SEPARATOR for _, text in _lines(path, limit))
    end = SEPARATOR if marked else ""
    block: list[Line] = []
    for number, text in _lines(path, limit):
        if text is not None and text.strip() == end:
            if block:
                yield block
            block = []
        elif block or text is None or text.strip():  # blank lines before a document's first word are not part of it
            block.append((number, text))
    if block:
        yield block
