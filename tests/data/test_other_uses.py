"""Data that another command reads is refused with the name of that command, by whatever loader it was given to."""

import pytest

from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.errors import DataError

USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}
PAIR = {"prompt": "Q", "chosen": "x", "rejected": "y"}
SHOWN = {"instruction": "Q", "output": "R"}
VOTE = {"left": "tea", "right": "coffee", "winner": "left"}
COUNTS = {"left": "tea", "right": "coffee", "left_wins": 3, "right_wins": 1}


@pytest.mark.parametrize(
    ("load", "row", "words"),
    [
        (load_pairs, {"prompt": "Q"}, "`penchant sample` reads them, as prompts"),
        (load_pairs, {"messages": [USER]}, "`penchant sample` reads them, as prompts"),
        (load_pairs, {"messages": [USER, BOT]}, "`penchant sft` reads them, as demonstrations"),
        (load_pairs, SHOWN, "`penchant sft` reads them, as demonstrations"),
        (
            load_pairs,
            SHOWN | {"label": True},
            '`penchant dpo` with `objective="kto"` reads them, as labelled responses',
        ),
        (load_pairs, VOTE, "`penchant rank` reads them, as votes"),
        (load_pairs, COUNTS, "`penchant rank` reads them, as votes"),
        (load_labelled, SHOWN, "`penchant sft` reads them, as demonstrations"),
        (load_demonstrations, PAIR, "`penchant dpo` reads them, as preference pairs"),
        (load_demonstrations, VOTE, "`penchant rank` reads them, as votes"),
        (load_prompts, VOTE, "`penchant rank` reads them, as votes"),
        (load_votes, PAIR, "`penchant dpo` reads them, as preference pairs"),
        (load_votes, {"prompt": "Q", "completion": "R"}, "`penchant sft` reads them, as demonstrations"),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_the_command_that_reads_the_rows_is_named(load, row, words):
    with pytest.raises(
        DataError, match=rf"^data: no known format has its columns \([\w, ]+\), but {words}; say which column"
    ):
        load([row])


def test_a_row_with_answers_is_not_sent_where_only_its_prompt_is_read():
    listed = {"prompt": "Q", "answers": [{"text": "x", "score": 1}]}
    for load, row in (
        (load_pairs, PAIR | {"rejected": ""}),
        (load_pairs, listed),
        (load_demonstrations, {"prompt": " ", "completion": "R"}),
    ):
        with pytest.raises(DataError) as caught:
            load([row])
        assert "penchant sample" not in str(caught.value)


def test_what_another_command_would_refuse_is_not_sent_there():
    with pytest.raises(DataError, match="no known format has its columns"):
        load_pairs([{"prompt": "Q", "images": ["a.png"]}])


def test_comparisons_that_nobody_answered_say_who_answers_them():
    row = {"id": "1", "prompt": [USER], "a": {"text": "x"}, "b": {"text": "y"}}
    with pytest.raises(DataError, match="nobody has answered yet: `penchant votes import` asks people"):
        load_pairs([row])
