"""docs/from-trl.md names what there is, on both sides, in both languages; its program runs."""

import inspect
import json
import re
from functools import cache
from pathlib import Path

import pytest

import penchant as pt
from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts
from penchant.errors import DataError
from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, TRL_NAMES, row_in_table
from penchant.training.arguments import SETTING_OF, Arguments
from penchant.training.config import DPOConfig
from penchant.training.settings import known_keys

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("from-trl.md", "from-trl.zh-CN.md")
LINES, OPTIONS, METRICS, COLUMNS, LOSSES = range(5)
NO_SETTING = {"callbacks"}
"""Arguments that are no settings: they take objects."""
CODE = re.compile(r"`([^`]+)`")


@cache
def tables(page):
    """The tables of a page: for each its rows, for each row its cells."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]] for table in found]


def names(cell):
    """What a cell has as code."""
    return CODE.findall(cell)


def settings():
    """Every setting of a DPO run by its dotted name, sections too."""
    return {*known_keys(DPOConfig), *known_keys(DPOConfig, {"model": {"lora": {}}, "dpo": {"moving_reference": {}}})}


def test_both_languages_have_the_same_tables_of_the_same_names():
    english, chinese = ([[[names(cell) for cell in row] for row in table] for table in tables(page)] for page in PAGES)
    assert len(english) == 5
    assert english == chinese


def test_both_languages_have_the_same_sections_and_blocks():
    english, chinese = ((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    blocks = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert [block.split("#")[0] for block in blocks.findall(english)] == [
        block.split("#")[0] for block in blocks.findall(chinese)
    ]
    assert len(re.findall(r"^## ", english, re.MULTILINE)) == len(re.findall(r"^## ", chinese, re.MULTILINE))
    assert len(re.findall(r"^- ", english, re.MULTILINE)) == len(re.findall(r"^- ", chinese, re.MULTILINE))


def test_every_argument_and_setting_in_the_table_is_one():
    taken = {*inspect.signature(pt.dpo).parameters, *Arguments.__annotations__}
    for theirs, argument, setting, _ in tables(PAGES[0])[OPTIONS]:
        for name in names(argument):
            assert name in taken, theirs
            assert name in NO_SETTING or SETTING_OF[name] == names(setting)[0], theirs
        for name in names(setting):
            assert name in settings(), theirs
        assert argument or setting, theirs


def test_every_argument_that_a_run_takes_from_a_setting_is_given_beside_that_setting():
    beside = {name: argument for _, argument, setting, _ in tables(PAGES[0])[OPTIONS] for name in names(setting)}
    lacking = [
        argument
        for argument, setting in SETTING_OF.items()
        if setting in beside and names(beside[setting]) != [argument]
    ]
    assert lacking == []


@pytest.mark.slow(threads=1)
def test_every_option_of_trl_in_the_table_is_one():
    trl = pytest.importorskip("trl", reason="its names are compared with TRL's own; install the extra `oracle`")
    taken = {*trl.DPOConfig.__dataclass_fields__, *inspect.signature(trl.DPOTrainer.__init__).parameters}
    text = (DOCS / PAGES[0]).read_text(encoding="utf-8")
    not_needed = re.search(r"^Not needed: (.*?)\n\n", text, re.MULTILINE | re.DOTALL)[1]
    for name in [*not_needed_names(not_needed), *(names(row[0])[0] for row in tables(PAGES[0])[OPTIONS])]:
        assert name in taken, name


def not_needed_names(text):
    found = names(text)
    assert len(found) == 5
    return found


def test_every_loss_of_trl_is_in_the_table_and_is_the_objective_it_says():
    rows = tables(PAGES[0])[LOSSES]
    for theirs, ours, beta in rows:
        (loss,), (name,) = names(theirs), names(ours)
        row = row_in_table(loss)
        assert row is row_in_table(name)
        assert row.name == name
        assert TRL_NAMES.get(loss, loss) == name
        assert str(row.defaults.get("beta", "")) == beta, loss
    assert {names(theirs)[0] for theirs, *_ in rows} >= set(TRL_NAMES)


@pytest.mark.slow(threads=1)
def test_no_loss_that_trl_has_is_missing_from_the_table():
    pytest.importorskip("trl", reason="its names are compared with TRL's own; install the extra `oracle`")
    from trl.trainer.dpo_trainer import DPOTrainer

    theirs = set(re.findall(r'loss_type == "(\w+)"', inspect.getsource(DPOTrainer._compute_loss)))
    assert len(theirs) > 10
    assert theirs == {names(row[0])[0] for row in tables(PAGES[0])[LOSSES]} - {"kto"}


@pytest.mark.parametrize("page", PAGES)
def test_every_objective_that_the_page_names_is_one(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    named = {*re.findall(r'objective="(\w+)"', text), "dpo_forward_kl", "dpo_js", "dpo_alpha"}
    assert named <= {*OBJECTIVES, *LABELLED_OBJECTIVES}
    assert all(name in text for name in named)


READERS = {"pt.dpo": (load_pairs, load_labelled), "pt.sft": (load_demonstrations,), "pt.sample": (load_prompts,)}


@pytest.mark.parametrize("row", tables(PAGES[0])[COLUMNS], ids=lambda row: row[0])
def test_rows_of_trl_are_read_by_what_the_table_says(row):
    kind, (example, *_), (reader, *_) = row[0], names(row[1]), [*names(row[2]), None]
    rows = [json.loads(example)]
    if reader is None:
        with pytest.raises(DataError, match="no known format"):
            load_pairs(rows)
        return
    load = READERS[reader][kind.startswith("unpaired")]
    assert len(load(rows).records) == 1
    if kind.startswith("unpaired"):
        assert len(load_demonstrations(rows).records) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory, stories260k):
    """The run that the page's program makes, with a tiny model and what fits one."""
    folder = tmp_path_factory.mktemp("from-trl")
    pairs = [
        {"prompt": f"Once there were {i} cats. ", "chosen": "They were happy.", "rejected": "They sat in a box."}
        for i in range(24)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / PAGES[0]).read_text(encoding="utf-8"), re.M | re.S)
    named = []

    def on_a_small_model(model, data, **arguments):
        named.append(model)
        small = {"chat_template": "plain", "settings": {"save.num_samples": 0}, "progress": False}
        return dpo(str(stories260k), data, **arguments, **small)

    dpo = pt.dpo
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(pt, "dpo", on_a_small_model)
        exec(code, {})
    assert named == ["smollm2-135m"]
    return pt.open_run(folder / "runs" / "first")


@pytest.mark.slow(threads=1)
def test_the_program_of_the_page_runs_and_writes_what_it_says(run):
    assert run.ledger["status"] == "finished"
    exported = pt.load(str(run.path.parents[1] / "first"), chat_template="plain")
    for name, weight in run.model.network.state_dict().items():
        assert weight.equal(exported.network.state_dict()[name]), name


@pytest.mark.slow(threads=1)
def test_every_metric_in_the_table_is_one_of_a_run(run, stories260k):
    rows = [{"prompt": f"Once {i} cats", "completion": " sat.", "label": i % 2 == 0} for i in range(8)]
    given = {"chat_template": "plain", "settings": {"save.num_samples": 0}, "progress": False}
    kto = pt.dpo(str(stories260k), rows, objective="kto", **given)
    recorded, of_kto = ({name for row in one.metrics for name in row} for one in (run, kto))
    for _, ours, _ in tables(PAGES[0])[METRICS]:
        for name in names(ours):
            assert name in recorded | of_kto, name
    for *_, what_differs in tables(PAGES[0])[METRICS]:
        assert {name for name in names(what_differs) if name.startswith("eval_")} <= recorded
