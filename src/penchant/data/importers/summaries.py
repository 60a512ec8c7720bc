"""Import OpenAI's comparisons of summaries: a post or an article, two summaries, and the number of the better one.

The prompt follows the format of the paper's models: SUBREDDIT, TITLE and POST of a post (ARTICLE of an article), and
TL;DR: at its end. White space around the texts is removed: summaries begin with a blank. Data: Stiennon et al. 2020,
"Learning to summarize from human feedback" (arXiv 2009.01325).
"""

from collections.abc import Iterator

from penchant.data.files import Row
from penchant.data.importers.base import Importer, beyond, filled, text_field
from penchant.data.importers.judged import asked, coded, compared, judge_of, object_field, two_of
from penchant.data.importers.packed import spelt
from penchant.data.importers.values import says_nothing
from penchant.data.records import Comparison, Message
from penchant.data.verdicts import BadRow

__all__ = ["OF_INFO", "SUMMARIES", "asked_for_summary"]

HEADS = {"subreddit": "SUBREDDIT: r/", "title": "TITLE: ", "post": "POST: ", "article": "ARTICLE: "}
"""The label before each part of the text to summarise, in this order."""


def asked_for_summary(row: Row) -> tuple[Message, ...]:
    """The prompt in the format of the paper's models, from the fields of `info`."""
    info = object_field(row, "info")
    said = [name for name in HEADS if not says_nothing(info.get(name))]
    if not {"post", "article"} & set(said):
        raise BadRow("missing_field", "'info' holds neither a 'post' nor an 'article'", "add what is summarised")
    parts = [f"{HEADS[name]}{text_field(info, name).strip()}" for name in said]
    return asked("\n\n".join([*parts, "TL;DR:"]))


def convert(row: Row) -> Comparison:
    first, second = two_of(row, "summaries", dict)
    return compared(
        asked_for_summary(row),
        (text_field(first, "text").strip(), text_field(second, "text").strip()),
        coded(row, "choice", {"0": "a", "1": "b"}),
        models=(first.get("policy"), second.get("policy")),
        annotator=judge_of(row, "worker"),
    )


def _inside(row: Row) -> Iterator[tuple[str, Row]]:
    yield "info.", beyond(spelt(row["info"]), OF_INFO)
    for one in spelt(row["summaries"]):
        yield "summaries[].", beyond(one, OF_SUMMARY)


OF_INFO = frozenset((*HEADS, "id", "site"))
OF_SUMMARY = frozenset(("text", "policy", "note"))

SUMMARIES: Importer[Comparison] = Importer(
    name="summaries",
    description="info (with post or article), summaries (two, with text and, to rank, policy), choice (0 or 1)",
    example={
        "info": {"subreddit": "space", "title": "The sun", "post": "What is the sun?"},
        "summaries": [
            {"text": " A star, the nearest one.", "policy": "tea"},
            {"text": " A lamp.", "policy": "coffee"},
        ],
        "choice": 0,
        "worker": "w1",
    },
    needs=("info", "summaries", "choice"),
    matches=lambda row: filled(row, "info", "summaries") and "choice" in row,
    convert=convert,
    reads=frozenset(("info", "summaries", "choice", "worker")),
    harmless=frozenset(("batch",)),
    inside=_inside,
)
