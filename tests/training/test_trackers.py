"""Built-in trackers: what a run looks like in each library, and what happens where one is absent or fails."""

import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

import penchant as pt
from penchant.extras import EXTRAS
from penchant.training.trackers import TRACKERS, Tracker, grouped, open_tracker

ROWS = [
    {"prompt": f"One day {name} went to the park and", "chosen": " played a game.", "rejected": " lost the ball."}
    for name in ("Lily", "Tom", "Ben", "Mia")
]


class Stops(pt.Callback):
    """Interrupts a run after its first step."""

    def on_step(self, training, row):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def train(stories260k):
    """A run of two steps with an evaluation after each, which the tracker of this name is told of."""
    model = pt.load(stories260k, device="cpu", dtype="float32", chat_template="plain", progress=False)

    def run(name, **more):
        settings = {"save.num_samples": 1, "save.sample_tokens": 4, "save.eval_every": 1, "save.trackers": [name]}
        given = {"held_out": 0.25, "batch_size": 1, "max_steps": 2, "learning_rate": 1e-4, "progress": False}
        return pt.dpo(model, ROWS, settings=settings, **given, **more)

    return run


@pytest.fixture
def interrupted(train):
    """A run that was stopped after one step and resumed, with its tracker."""

    def run(name):
        with pytest.raises(pt.Interrupted):
            train(name, output="runs/first", callbacks=[Stops()])
        return train(name, output="runs/first", resume=True)

    return run


def needs(name):
    return pytest.importorskip(name, reason=f"its own files are read back; install the extra `{name}`")


def margins(run, prefix=""):
    return [row[f"{prefix}rewards/margins"] for row in run.metrics if f"{prefix}rewards/margins" in row]


def records_of(file):
    """The records of a .wandb file: seven bytes, then LevelDB's log, each piece with its checksum, length and kind."""
    place, pieces = 7, []
    while place < len(file):
        place += 32768 - place % 32768 if place % 32768 > 32768 - 7 else 0
        length, kind = int.from_bytes(file[place + 4 : place + 6], "little"), file[place + 6]
        pieces.append(file[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield b"".join(pieces)
            pieces = []


class Fake(Tracker):
    """A library that keeps what it is told, and fails where it is asked to."""

    name = "fake"

    def __init__(self, fails=()):
        self.told, self.fails = [], fails

    def begin(self, title, settings, known_as, step):
        self._tell_me("begin", title, known_as, step)
        return known_as or "id 7"

    def log(self, row, step):
        self._tell_me("log", step, "eval_loss" in row)

    def table(self, rows, step):
        self._tell_me("table", step, rows[0]["prompt"][:7])

    def close(self, finished):
        self._tell_me("close", finished)

    def _tell_me(self, *what):
        if what[0] in self.fails:
            raise OSError("no route to the server")
        self.told.append(what)


@pytest.mark.slow(threads=1)
def test_a_tracker_hears_of_the_beginning_every_step_evaluation_and_table_and_the_end(train, monkeypatch):
    fake = Fake()
    monkeypatch.setitem(TRACKERS, "fake", lambda: fake)
    train("fake", output="runs/first")
    logged = [("log", 1, False), ("log", 1, True), ("table", 1, "One day"), ("log", 2, False), ("log", 2, True)]
    tables = [("table", 0, "One day"), *logged, ("table", 2, "One day")]
    assert fake.told == [("begin", "runs/first", None, 0), *tables, ("close", True)]


@pytest.mark.slow(threads=1)
def test_a_resumed_run_goes_on_in_the_same_run_of_the_tracker(interrupted, monkeypatch):
    fake = Fake()
    monkeypatch.setitem(TRACKERS, "fake", lambda: fake)
    run = interrupted("fake")
    assert [what for what in fake.told if what[0] in ("begin", "close")] == [
        ("begin", "runs/first", None, 0),
        ("close", False),
        ("begin", "runs/first", "id 7", 1),
        ("close", True),
    ]
    assert run.ledger["trackers"] == {"fake": "id 7"}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("fails", ["log", "table", "close"])
def test_a_tracker_that_fails_is_told_no_more_and_training_goes_on(train, monkeypatch, fails):
    fake = Fake(fails=[fails])
    monkeypatch.setitem(TRACKERS, "fake", lambda: fake)
    assert train("fake").metrics.column("loss")
    assert fake.told[1:] == {"log": [("table", 0, "One day")], "table": []}.get(fails, fake.told[1:])


def test_a_tracker_that_cannot_begin_refuses_the_run_and_leaves_nothing(train, monkeypatch, tmp_path):
    monkeypatch.setitem(TRACKERS, "fake", lambda: Fake(fails=["begin"]))
    with pytest.raises(pt.ConfigError, match=r"fake cannot begin \(.*no route to the server\); fix that, or leave"):
        train("fake", output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_whose_library_is_absent_says_how_to_install_it(name, monkeypatch):
    assert EXTRAS[name] == {name: name}
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(pt.ConfigError, match=f"^save.trackers: {name} is not installed; run pip install {name}$"):
        open_tracker(name)


@pytest.mark.slow(threads=1)
def test_names_are_those_of_trl():
    assert grouped({"loss": 1, "rewards/margins": 2, "eval_rewards/accuracies": 3}) == {
        "train/loss": 1,
        "train/rewards/margins": 2,
        "eval/rewards/accuracies": 3,
    }


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("default")
def test_tensorboard_has_the_run(interrupted, tmp_path):
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = interrupted("tensorboard")
    events = EventAccumulator(str(tmp_path / "runs/first/tensorboard")).Reload()
    scalars = {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert scalars["train/rewards/margins"] == [(i, pytest.approx(v)) for i, v in enumerate(margins(run), 1)]
    assert scalars["eval/rewards/margins"] == [(i, pytest.approx(v)) for i, v in enumerate(margins(run, "eval_"), 1)]
    texts = [e.tensor_proto.string_val[0].decode() for e in events.Tensors("completions/text_summary")]
    assert texts[0].splitlines()[0] == "| step | prompt | response | num_tokens | ended |"
    assert len(texts) == 3
    (settings, _) = [e.tensor_proto.string_val[0].decode() for e in events.Tensors("config/text_summary")]
    assert json.loads(settings.strip("`\n").removeprefix("json")) == run.ledger["config"]


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("default")
def test_wandb_has_the_run_offline(interrupted, tmp_path):
    needs("wandb")
    from wandb.proto import wandb_internal_pb2

    run = interrupted("wandb")
    rows, ids, settings = [], set(), {}
    for file in sorted(tmp_path.glob("wandb/offline-run-*/*.wandb")):
        for data in records_of(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                ids.add(record.run.run_id)
                settings |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            if record.HasField("history"):
                items = record.history.item
                rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    assert ids == {run.ledger["trackers"]["wandb"]}
    assert settings["optimiser"] == run.ledger["config"]["optimiser"]
    found = [(r["train/global_step"], r["train/rewards/margins"]) for r in rows if "train/rewards/margins" in r]
    assert found == list(enumerate(margins(run), 1))
    assert [r["eval/rewards/margins"] for r in rows if "eval/rewards/margins" in r] == margins(run, "eval_")
    assert [r["completions/_type"] for r in rows if "completions/_type" in r] == ["table-file"] * 3


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("default")
def test_trackio_has_the_run(interrupted, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read where it is imported
    needs("trackio")
    run = interrupted("trackio")
    with sqlite3.connect(tmp_path / "trackio" / "penchant.db") as database:
        logged = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
        (config,) = database.execute("select config from configs").fetchone()
    assert {name for name, _, _ in logged} == {"runs/first"}
    rows = [(step, json.loads(metrics)) for _, step, metrics in logged]
    found = [(step, row["train/rewards/margins"]) for step, row in rows if "train/rewards/margins" in row]
    assert found == list(enumerate(margins(run), 1))
    assert [step for step, row in rows if "completions" in row] == [0, 1, 2]
    assert json.loads(config)["optimiser"] == run.ledger["config"]["optimiser"]


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("default")
def test_mlflow_has_the_run(interrupted):
    mlflow = needs("mlflow")
    run = interrupted("mlflow")
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("penchant").experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "runs/first")
    history = client.get_metric_history(found.info.run_id, "rewards/margins")
    assert [(m.step, m.value) for m in history] == list(enumerate(margins(run), 1))
    evaluated = client.get_metric_history(found.info.run_id, "eval_rewards/margins")
    assert [m.value for m in evaluated] == margins(run, "eval_")
    assert found.data.params["optimiser.batch_size"] == "1"
    assert found.data.params["dpo.objective"] == "dpo"
    table = json.loads(Path(client.download_artifacts(found.info.run_id, "completions.json")).read_text())
    assert [row[table["columns"].index("step")] for row in table["data"]] == [0, 1, 2]
