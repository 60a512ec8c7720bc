"""Answers to a file: in order, whole or not there, and taken up again only by the judge that began."""

import json
import os
from contextlib import contextmanager

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError, DataError, OutputError
from penchant.evaluation.judges import FunctionJudge, Judgement, judging
from penchant.evaluation.judges.counts import tally
from penchant.evaluation.judges.judging import judge_comparisons, judge_to_file, read_comparisons, unfinished
from penchant.evaluation.judges.lines import answered
from penchant.files import whole
from penchant.ranking.winrate import win_rate_of

MANY = [
    Comparison(
        id=str(i),
        prompt=(Message(role="user", content=f"Ask {i}"),),
        a=Candidate(text="x" * (i % 4)),
        b=Candidate(text="xx"),
        meta={"none": None, "number": 0.1},
    )
    for i in range(10)
]
LONGER = FunctionJudge("longer", lambda prompt, response: len(response))


class Counting:
    """A judge that scores, counts what it is asked, and breaks off after some answers."""

    asks_once = True

    def __init__(self, breaks_after=None, error=None):
        self.name, self.price, self.asked, self.breaks_after = "longer", "nothing", [], breaks_after
        self.error = error or ConfigError("the line is dead")

    def answers(self, comparisons, *, has_answered=False):
        for number, comparison in enumerate(comparisons):
            if number == self.breaks_after:
                raise self.error
            self.asked.append(comparison.id)
            yield number, LONGER.judgement(comparison)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "votes.jsonl"


def test_every_comparison_is_answered_in_order_and_says_who_answered(output):
    seen = []
    votes = judge_to_file(LONGER, MANY, output, on_progress=lambda done, total: seen.append((done, total)))
    assert read_comparisons(output) == votes
    assert [v.outcome for v in votes] == [("b", "b", "tie", "a")[i % 4] for i in range(10)]
    assert {v.annotator for v in votes} == {"stand-in:longer"}
    assert votes[3].meta == {"none": None, "number": 0.1, "judge": {"scores": [3.0, 2.0]}}
    assert seen == [(i, 10) for i in range(1, 11)]
    assert not unfinished(output).exists()


def test_answers_have_their_name_before_the_folder_is_synced(output, monkeypatch):
    synced = []
    monkeypatch.setattr(whole, "sync_folder", lambda folder: synced.append((folder, output.exists())))
    judge_to_file(LONGER, MANY, output)
    assert synced[-1] == (output.parent, True)


@pytest.mark.parametrize("error", [ConfigError("gone"), KeyboardInterrupt(), MemoryError()])
def test_what_was_answered_before_a_fault_is_kept_and_not_asked_again(output, error):
    with pytest.raises(type(error)):
        judge_to_file(Counting(4, error), MANY, output)
    assert not output.exists()
    rest = Counting()
    votes = judge_to_file(rest, MANY, output, resume=True)
    assert rest.asked == [str(i) for i in range(4, 10)]
    assert votes == read_comparisons(output) == judge_to_file(LONGER, MANY, output.with_name("at_once.jsonl"))
    assert output.read_bytes() == output.with_name("at_once.jsonl").read_bytes()


def test_answers_reach_the_disk_while_others_are_awaited(output, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS_BETWEEN_WRITES", 0.0)
    written = []
    lines = unfinished(output)
    judge_to_file(LONGER, MANY, output, on_progress=lambda *_: written.append(lines.read_bytes().count(b"\n")))
    assert written == list(range(1, 11))


def test_a_line_torn_by_a_crash_is_answered_again(output):
    with pytest.raises(ConfigError):
        judge_to_file(Counting(4), MANY, output)
    scratch = unfinished(output)
    scratch.write_bytes(scratch.read_bytes()[:-30])
    rest = Counting()
    judge_to_file(rest, MANY, output, resume=True)
    assert rest.asked == [str(i) for i in range(3, 10)]
    assert [row.id for row in read_comparisons(output)] == [str(i) for i in range(10)]


def test_a_finished_file_is_neither_overwritten_nor_asked_again(output):
    judge_to_file(LONGER, MANY, output)
    with pytest.raises(OutputError, match="exists already"):
        judge_to_file(LONGER, MANY, output)
    idle = Counting()
    assert judge_to_file(idle, MANY, output, resume=True) == read_comparisons(output)
    assert idle.asked == []


def test_answers_that_lie_there_are_not_overwritten_unasked(output):
    with pytest.raises(ConfigError):
        judge_to_file(Counting(4), MANY, output)
    with pytest.raises(OutputError, match="`resume=True`"):
        judge_to_file(LONGER, MANY, output)


def test_only_the_same_judge_goes_on_and_only_with_the_same_comparisons(output):
    with pytest.raises(ConfigError):
        judge_to_file(Counting(4), MANY, output)
    with pytest.raises(OutputError, match=r":1: was answered by 'stand-in:longer', not by 'other'"):
        judge_to_file(FunctionJudge("other", len), MANY, output, resume=True)
    changed = [*MANY[:2], MANY[2].model_copy(update={"a": Candidate(text="new")}), *MANY[3:]]
    with pytest.raises(OutputError, match=r":3: answers a different comparison"):
        judge_to_file(LONGER, changed, output, resume=True)
    with pytest.raises(OutputError, match=r":3: answers comparison 3, but there are 2"):
        judge_to_file(LONGER, MANY[:2], output, resume=True)


def test_nothing_to_answer_makes_an_empty_file(output):
    assert judge_to_file(LONGER, [], output) == []
    assert output.read_bytes() == b""


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        judge_to_file(LONGER, MANY, tmp_path / "file" / "votes.jsonl")


def test_a_row_that_is_no_comparison_is_named_by_file_and_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = json.dumps(MANY[1].model_dump(mode="json"))
    path.write_text(f'{good}\n{{"id": "1"}}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl:2: is not a comparison"):
        read_comparisons(path)
    path.write_text(json.dumps(MANY[1].model_dump(mode="json") | {"prompt": []}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl:1: the prompt holds no message"):
        read_comparisons(path)


def test_the_tally_tells_a_preferred_place_from_an_agreement():
    orders = [["first", "second"], ["second", "first"], ["first", "first"], ["second", "second"], ["tie", "tie"]]
    orders += [["first", "tie"], ["first", None], [None, None]]
    judgements = [Judgement("tie", {"orders": order}) for order in orders]
    different = [one for one in MANY if one.a.text != one.b.text]
    counts = tally(answered(c, j, "judge") for c, j in zip(different, judgements, strict=True))
    assert (counts.num_in_both_orders, counts.num_first, counts.num_second) == (6, 1, 1)
    assert (counts.num_disagreed, counts.num_unreadable) == (1, 2)
    assert counts.position_bias.rate == pytest.approx(2 / 6)


def test_the_interval_of_the_place_is_clustered_by_prompt():
    """Forty answers to five prompts, of which two are always decided by the place, say less than forty to forty."""
    one = next(c for c in MANY if c.a.text != c.b.text)

    def bias(num_prompts):
        prompts = [(one.prompt[0].model_copy(update={"content": f"question {i % num_prompts}"}),) for i in range(40)]
        rows = [one.model_copy(update={"id": str(i), "prompt": prompt}) for i, prompt in enumerate(prompts)]
        orders = [["first", "first"] if i % 5 < 2 else ["first", "second"] for i in range(40)]
        judgements = [Judgement("tie", {"orders": order}) for order in orders]
        return tally(answered(c, j, "judge") for c, j in zip(rows, judgements, strict=True)).position_bias

    few, many = bias(5), bias(40)
    assert few.rate == many.rate == 0.4
    assert few == win_rate_of([float(i % 5 < 2) for i in range(40)], [i % 5 for i in range(40)])
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_identical_responses_are_counted_whoever_answered():
    """Only an endpoint says so beside its answer; judges that score, and people, answer a tie like any other."""
    votes = judge_comparisons(LONGER, MANY)
    assert tally(votes).num_identical == sum(vote.a.text == vote.b.text for vote in votes) == 2
    by_people = [vote.model_copy(update={"annotator": "Ann", "meta": {"people": {"tie": 1}}}) for vote in votes]
    assert tally(by_people).num_identical == 2
    equally_long = MANY[2].model_copy(update={"a": Candidate(text="yy")})
    assert tally(judge_comparisons(LONGER, [equally_long])).num_identical == 0


def test_what_came_out_of_order_is_kept_and_the_finished_file_is_in_order(output):
    class Backwards(Counting):
        def answers(self, comparisons, *, has_answered=False):
            assert not has_answered  # by scores, not by an endpoint
            for place, judgement in super().answers(comparisons[::-1]):
                yield len(comparisons) - 1 - place, judgement

    with pytest.raises(ConfigError):
        judge_to_file(Backwards(4), MANY, output)
    rest = Backwards()
    votes = judge_to_file(rest, MANY, output, resume=True)
    assert rest.asked == [str(i) for i in range(5, -1, -1)]
    assert votes == read_comparisons(output) == judge_to_file(LONGER, MANY, output.with_name("at_once.jsonl"))
    assert output.read_bytes() == output.with_name("at_once.jsonl").read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_write_that_breaks_off_spoils_nothing(output, monkeypatch, error):
    monkeypatch.setattr(judging, "SECONDS_BETWEEN_WRITES", 0.0)
    synced, fsync = [], os.fsync

    def breaks_off_once(descriptor):
        synced.append(descriptor)
        if len(synced) == 3:
            raise error
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", breaks_off_once)
    with pytest.raises((KeyboardInterrupt, OutputError)):
        judge_to_file(LONGER, MANY, output)
    assert unfinished(output).read_bytes().count(b"\n") == 3  # the third was tried again
    rest = Counting()
    judge_to_file(rest, MANY, output, resume=True)
    assert rest.asked == [str(i) for i in range(3, 10)]
    assert output.read_bytes().count(b"\n") == 10


def test_a_second_process_is_refused_while_one_answers_into_an_output(output):
    class Meanwhile(Counting):
        def answers(self, comparisons, *, has_answered=False):
            with pytest.raises(OutputError, match=r"votes.jsonl: another process is writing answers to it; wait until"):
                judge_to_file(LONGER, MANY, output, resume=True)
            yield from super().answers(comparisons)

    assert judge_to_file(Meanwhile(), MANY, output) == read_comparisons(output)
    assert [path.name for path in output.parent.iterdir()] == ["votes.jsonl"]


def test_a_file_that_was_finished_while_one_looked_is_read_and_not_written_again(output, monkeypatch):
    @contextmanager
    def finished_by_another(path, refusal):
        monkeypatch.undo()
        judge_to_file(LONGER, MANY, output)
        yield

    monkeypatch.setattr(judging, "exclusive", finished_by_another)
    idle = Counting()
    assert judge_to_file(idle, MANY, output, resume=True) == read_comparisons(output)
    assert idle.asked == []


def test_answers_in_memory_are_those_of_the_file_in_order_and_progress_is_told(output):
    seen = []
    votes = judge_comparisons(LONGER, MANY, on_progress=lambda done, total: seen.append((done, total)))
    assert votes == judge_to_file(LONGER, MANY, output)
    assert seen == [(i, 10) for i in range(1, 11)]


def test_a_judge_that_leaves_some_out_is_named_and_nothing_counts_as_finished(output):
    class Lazy(Counting):
        def answers(self, comparisons, *, has_answered=False):
            yield from super().answers(comparisons[:7])

    for judge in (lambda: judge_comparisons(Lazy(), MANY), lambda: judge_to_file(Lazy(), MANY, output)):
        with pytest.raises(ConfigError, match="judge 'longer' answered 7 of 10 comparisons"):
            judge()
    assert not output.exists()
