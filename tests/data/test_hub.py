"""Data sets of the Hub, streamed: found by name, split and revision, or refused in one sentence; no code is run."""

import json
import sys
from types import SimpleNamespace

import pytest

from penchant.data import guess_kind, load_pairs
from penchant.data.given import sources_of
from penchant.errors import DataError

datasets = pytest.importorskip("datasets", reason="needs datasets")
huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")

load_dataset = datasets.load_dataset


def rows(*numbers):
    return [{"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in numbers]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub that holds one data set, a folder without a script; what is asked of it is kept."""
    folder, asked = tmp_path / "elsewhere", []
    folder.mkdir()
    for split, numbers in (("train", range(5)), ("test", range(90, 92))):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(*numbers)))

    def load(path, name=None, *, revision=None, streaming=False):
        asked.append((path, name, revision, streaming))
        if path != "owner/name":
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{path}' doesn't exist on the Hub")
        return load_dataset(str(folder), streaming=streaming)

    def info(self, repository, *, revision=None, timeout=None):
        return SimpleNamespace(sha={None: "c0ffee", "v1": "1dea"}.get(revision, "none"))

    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    return asked


def refusal(name):
    with pytest.raises(DataError) as caught:
        load_pairs(name)
    return str(caught.value)


def test_rows_are_streamed_from_the_split_and_the_revision_that_are_named(hub):
    loaded = load_pairs("hub:owner/name")
    assert [one.chosen for one in loaded.records] == [f"good {n}" for n in range(5)], "several splits: train"
    assert str(loaded.records[3].origin) == "hub:owner/name:train[3]"
    assert loaded.by_source == {"hub:owner/name": {"keep": 5}}
    assert hub == [("owner/name", None, "c0ffee", True)], "the commit is pinned for every later scan"
    found = load_pairs("hub:owner/name/config@v1:test")
    assert [one.chosen for one in found.records] == ["good 90", "good 91"]
    assert str(found.records[0].origin) == "hub:owner/name/config@v1:test[0]"
    assert hub[-1] == ("owner/name", "config", "1dea", True)
    assert guess_kind("hub:owner/name") == "pairs"


def test_the_digest_is_of_the_rows_and_the_revision(hub):
    first, again = load_pairs("hub:owner/name"), load_pairs("hub:owner/name")
    assert first.digest == again.digest
    assert len({first.digest, load_pairs("hub:owner/name@v1").digest, load_pairs("hub:owner/name:test").digest}) == 3


def test_a_data_set_may_be_a_part_of_a_mixture(hub, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(rows(7)[0]))
    loaded = load_pairs([tmp_path / "a.jsonl", "hub:owner/name:train::weight=0.5,max_rows=2"])
    assert [(one.chosen, one.weight) for one in loaded.records] == [("good 7", 1.0), ("good 0", 0.5), ("good 1", 0.5)]


def test_what_cannot_be_found_is_one_sentence(hub, monkeypatch, tmp_path):
    words = "hub:owner/name:dev: has no split dev; name one of train, test, as in hub:owner/name:train."
    assert refusal("hub:owner/name:dev") == words
    assert "hub:owner/other: cannot be read from the Hub (Dataset 'owner/other' doesn't" in refusal("hub:owner/other")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert "`datasets` would read the folder owner/name in place of the Hub" in refusal("hub:owner/name")

    def unreachable(*_, **__):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    assert "cannot be read from the Hub (Name or service not known); check the name" in refusal("hub:else/where")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "reading from the Hub needs the package datasets; run pip install datasets" in refusal("hub:else/where")


@pytest.mark.parametrize(
    "name", ["hub:", "hub:name", "hub:../x/y", "hub:a/..", "hub:a/b*", "hub:a/b@../..", "hub:a/b:x/y"]
)
def test_what_is_no_name_is_refused_before_anything_is_asked(hub, name):
    assert f"{name}: is not the name of a data set on the Hub; write hub:owner/name@revision:split." == refusal(name)
    assert not hub


def test_a_stream_that_breaks_is_named(hub, monkeypatch):
    (source,) = sources_of("hub:owner/name")

    class Broken:
        def __iter__(self):
            yield rows(1)[0]
            raise ConnectionError("reset by peer")

    source._stream = Broken()
    with pytest.raises(DataError, match=r"hub:owner/name: cannot be read from the Hub \(reset by peer\)"):
        load_pairs(source)
