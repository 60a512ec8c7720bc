"""`penchant check` shows what training would do with a file before it does it."""

import json

import pytest

GOOD = {"prompt": "Once upon a time", "chosen": "there was a cat.", "rejected": "there was a very sad dog."}


def write(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def check(penchant, tmp_path, stories260k):
    def run(rows, *more):
        path = write(tmp_path / "rows.jsonl", rows)
        return penchant("check", path, "--model", stories260k, "--chat-template", "plain", *more)

    return run


def findings(result):
    return json.loads(result.out)


def test_a_file_without_fault_exits_0_and_names_its_format_and_shows_rows_with_their_end_token(check, tmp_path):
    result = check([GOOD])
    assert result.code == 0, result.err
    assert "format prompt_chosen_rejected" in result.out
    assert "1 row of pairs" in result.out
    assert f"{tmp_path / 'rows.jsonl'}:1" in result.out
    assert "there was a cat.</s>" in result.out


def test_every_bad_row_is_named_with_its_line_reason_and_fix_and_the_exit_code_is_1(check, tmp_path):
    result = check([GOOD, GOOD | {"rejected": ""}, "{torn", GOOD | {"chosen": "x", "rejected": "x"}])
    assert result.code == 1
    for line, reason in ((2, "the rejected response is empty"), (3, "not JSON"), (4, "the same text")):
        assert f"error: {tmp_path / 'rows.jsonl'}:{line}: " in result.out
        assert reason in result.out
    assert "3 cannot be used" in result.out
    assert "remove the row" in result.out


def test_a_warning_is_shown_but_is_no_bad_row(check):
    result = check([GOOD, GOOD])
    assert result.code == 0
    assert "warning: " in result.out
    assert "duplicate" in result.out


def test_the_first_twenty_problems_are_listed_unless_all_are_asked_for(check):
    rows = [GOOD, *[GOOD | {"rejected": ""}] * 25]
    short, long = check(rows), check(rows, "--all")
    assert short.out.count("error: ") == 20
    assert "and 5 more" in short.out
    assert long.out.count("error: ") == 25


def test_a_file_that_is_not_there_or_of_no_known_format_exits_2(penchant, check, tmp_path, stories260k):
    result = penchant("check", tmp_path / "none.jsonl", "--model", stories260k, "--chat-template", "plain")
    assert result.code == 2
    assert "no such file" in result.err
    assert check([{"strange": 1}]).code == 2


def test_foreign_text_never_reaches_the_terminal_raw(check):
    result = check([GOOD | {"chosen": "a\x1b[31mred\u202egnidaer\x07", "rejected": "\x9b2Jx"}], "--num-examples", "1")
    assert not [c for c in result.out + result.err if c in "\x1b\u202e\x07\x9b"]
    assert "�[31mred" in result.out


def test_lengths_are_those_before_any_cut_and_cuts_are_counted_as_training_counts_them(check):
    long = GOOD | {"chosen": "the cat ran and ran and ran. " * 20}
    result = check([GOOD, long], "--json", "--max-length", "40")
    found = findings(result)
    assert found["num_cut"] == 1
    assert found["tokens"]["chosen"]["max"] > 100
    assert found["tokens"]["chosen"]["num"] == found["tokens"]["rejected"]["num"] == 2
    assert found["tokens"]["prompt"]["num"] == 1  # one prompt, however many pairs it has
    assert found["remarks"][-1]["code"] == "length_gap"


def test_a_prompt_over_the_limit_is_a_bad_row_and_the_counts_still_add_up(check):
    row = GOOD | {"prompt": "word " * 100}
    found = findings(check([GOOD, row, row], "--json", "--max-length", "60"))
    assert found["rows"] == {"keep": 1, "prompt_too_long": 2}  # the second was a duplicate; it has one verdict, not two
    assert sum(found["rows"].values()) == found["num_rows"] == 3


def test_a_list_whose_prompt_is_too_long_counts_as_one_row_however_many_pairs_it_has(check):
    row = {"prompt": "Once", "responses": ["a cat.", "a dog.", "an owl."], "scores": [1, 2, 3]}
    long = row | {"prompt": "word " * 100}
    found = findings(check([row, long], "--json", "--max-length", "60"))
    assert found["rows"] == {"keep": 1, "prompt_too_long": 1}
    assert found["num_bad"] == len(found["problems"]) == 1
    best = findings(check([row], "--json", "--pairing", "best_worst"))
    assert (found["tokens"]["chosen"]["num"], best["tokens"]["chosen"]["num"]) == (6, 1)
    refused = check([row], "--pairing", "best")
    assert (refused.code, "pairing must be all, best_worst" in refused.err) == (2, True)


def test_a_limit_beyond_the_models_context_is_its_context(check):
    assert findings(check([GOOD], "--json", "--max-length", "100000"))["max_length"] == 512
    assert "cut at 512 tokens (the most the model takes)" in check([GOOD], "--max-length", "100000").out
    assert "cut at 64 tokens (--max-length)" in check([GOOD], "--max-length", "64").out


def test_sharing_saves_the_prompt_of_every_second_response(check):
    prompt = "Once upon a time there was a little cat who liked to play with a ball in the park"
    rows = [{"prompt": prompt, "chosen": "yes.", "rejected": "no."}]
    assert 0.4 < findings(check(rows, "--json"))["saved_by_sharing"] < 0.5


def test_a_response_that_goes_on_after_an_end_token_in_its_text_is_remarked(check, tmp_path):
    rows = [GOOD, GOOD | {"chosen": "a cat.</s> and a lost tail"}]
    found = findings(check(rows, "--json", "--special-tokens", "control"))
    (remark,) = [r for r in found["remarks"] if r["code"] == "special_inside"]
    assert remark["count"] == 1
    assert remark["first"] == f"{tmp_path / 'rows.jsonl'}:2"


def test_two_end_tokens_in_a_row_are_remarked(penchant, tmp_path, stories260k):
    template = tmp_path / "chat.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}</s>{% endif %}{% endfor %}"
    )
    path = write(tmp_path / "rows.jsonl", [GOOD, GOOD | {"chosen": "a cat.</s>"}])
    control = ("--special-tokens", "control")
    result = penchant("check", path, "--model", stories260k, "--chat-template", template, "--json", *control)
    assert {r["code"]: r["count"] for r in findings(result)["remarks"] if r["count"]} == {"double_end": 1}


def test_a_text_that_spells_a_special_token_is_refused_and_read_as_text_where_it_is_said_to_be(check, tmp_path):
    rows = [GOOD, GOOD | {"chosen": "a cat.</s> and a lost tail"}]
    (problem,) = findings(check(rows, "--json"))["problems"]
    assert (problem["code"], problem["where"]) == ("special_token", f"{tmp_path / 'rows.jsonl'}:2")
    assert "the assistant's content spells the special token </s>" in problem["reason"]
    assert "--special-tokens" in problem["fix"]
    found = findings(check(rows, "--json", "--special-tokens", "text"))
    assert found["problems"] == [r for r in found["remarks"] if r["code"] == "special_inside"] == []
    refused = check(rows, "--special-tokens", "maybe")
    assert refused.code == 2
    assert "--special-tokens must be refuse, text or control, got 'maybe'" in refused.err


def test_two_beginnings_in_a_row_are_remarked(penchant, tmp_path, stories260k):
    template = tmp_path / "chat.jinja"
    template.write_text("<s><s>{% for m in messages %}{{ m['content'] }}{% endfor %}")
    path = write(tmp_path / "rows.jsonl", [GOOD])
    result = penchant("check", path, "--model", stories260k, "--chat-template", template, "--json")
    assert "double_bos" in {r["code"] for r in findings(result)["remarks"]}


def test_token_ids_are_shown_when_asked_for(check):
    assert "1 403 " in check([GOOD], "--ids").out  # <s>, Once
    assert "1 403 " not in check([GOOD]).out


def test_demonstrations_are_checked_too_and_what_is_scored_is_in_brackets(check):
    messages = [{"role": "user", "content": "Once"}, {"role": "assistant", "content": " upon a time"}]
    result = check([{"messages": messages}])
    assert result.code == 0, result.err
    assert "1 row of demonstrations, format messages" in result.out
    assert "[[" in result.out
    assert result.out.rstrip().endswith("</s>]]")


def test_labelled_responses_are_checked_too_with_lengths_of_good_and_bad(check):
    rows = [{"prompt": "Once", "completion": c, "label": g} for c, g in ((" upon a time", True), (" a cat", False))]
    result = check([*rows, {"prompt": "Once", "completion": " ", "label": True}])
    assert result.code == 1
    assert "3 rows of labelled, format labelled; 1 cannot be used" in result.out
    assert "`penchant dpo` with `--objective kto` reads them so; `penchant sft` imitates" in result.out
    lengths = [line.split()[:2] for line in result.out.splitlines() if line.split()[:1] in (["good"], ["bad"])]
    assert lengths == [["good", "1"], ["bad", "1"]]


def test_documents_are_checked_too(check):
    result = check([{"text": "Once upon a time there was a cat."}])
    assert result.code == 0, result.err
    assert "format text" in result.out


def test_fields_that_nobody_reads_are_listed_once_with_their_rows_and_the_first_place(check, tmp_path):
    rows = [GOOD, GOOD | {"prompt": "x", "mine": 1, "score": 2}, GOOD | {"prompt": "y", "mine": 2}]
    listed = f"mine (in 2 rows, first at {tmp_path / 'rows.jsonl'}:2)"
    assert f"fields not read: {listed}\n" in check(rows).out
    assert findings(check(rows, "--json"))["fields_not_read"] == [
        {"name": "mine", "num_rows": 2, "first": f"{tmp_path / 'rows.jsonl'}:2"}
    ]
    assert "fields not read" not in check([GOOD]).out


@pytest.mark.parametrize("place", [0, 1, 30])
def test_one_row_without_a_rejected_response_leaves_a_file_of_pairs_what_it_is(check, place):
    pairs = [{"conversations": [{"from": "human", "value": f"Hi {i}"}]} for i in range(40)]
    sides = {"chosen": {"from": "gpt", "value": "Hello"}, "rejected": {"from": "gpt", "value": "No"}}
    rows = [row | sides for row in pairs]
    del rows[place]["rejected"]
    result = check(rows)
    assert result.code == 1
    assert "40 rows of pairs, format sharegpt_pair; 1 cannot be used" in result.out
    assert f"rows.jsonl:{place + 1}: the field 'rejected' is missing" in result.out
