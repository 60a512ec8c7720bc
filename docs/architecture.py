"""Write docs/architecture.md and its figure from the code: the rooms, what each imports, and three walks through them.

The rooms and their floors are the layers of pyproject.toml, the arrows the imports, and a walk is what the call stack
holds when a tiny model is trained and a project is answered. `make docs` runs it; a test compares the page with this.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import grimp

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PAGE, FIGURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "figures" / "architecture.svg"
OURS = str(SOURCE / "penchant")
GROUND = "the ground"


def floors() -> list[list[str]]:
    """The rooms of every layer, from the top; modules that lie beside the rooms are below them all."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in settings["contracts"] if "penchant.cli" in one.get("layers", ()))
    return [[room.strip().removeprefix("penchant.") for room in layer.split("|")] for layer in layers]


def arrows(rooms: Sequence[str]) -> dict[str, set[str]]:
    """By room: the rooms that its files import from, and GROUND for the modules beside them."""
    graph = grimp.build_graph("penchant", cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        room = room_of(module, rooms)
        if room != GROUND:
            targets = graph.find_modules_directly_imported_by(module)
            found[room] |= {room_of(target, rooms) for target in targets} - {room}
    return found


def room_of(module: str, rooms: Sequence[str]) -> str:
    """The room that a module of ours lies in."""
    return next((part for part in module.split(".")[1:2] if part in rooms), GROUND)


def first_line(path: Path) -> str:
    """What a file or a room says of itself, in its first line."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split()).removesuffix(".")


# the figure

BOX, GAP, FLOOR, MARGIN, BOW = (118, 34), 26, 78, 40, 145  # pixels


def figure(storeys: Sequence[Sequence[str]], imports: dict[str, set[str]]) -> str:
    """The rooms floor by floor as SVG, with an arrow where one imports another and no longer way says so already.

    The lowest floor, on which most rooms stand, is a bar without arrows.
    """
    width = max(len(floor) for floor in storeys) * (BOX[0] + GAP) - GAP + 2 * MARGIN
    centre = {
        room: (width / 2 + (place - (len(floor) - 1) / 2) * (BOX[0] + GAP), MARGIN + BOX[1] / 2 + number * FLOOR)
        for number, floor in enumerate(storeys)
        for place, room in enumerate(floor)
    }
    lines, boxes = [], []
    for room, (x, y) in centre.items():
        for target in sorted(direct(room, imports) & centre.keys() - set(storeys[-1])):
            to_x, to_y = centre[target]
            bow = BOW * (1 if to_x >= x else -1) * (to_y - y > 2 * FLOOR)  # past the rooms of the floors between
            lines.append(
                f'<path d="M{x:g} {y + BOX[1] / 2:g}Q{(x + to_x) / 2 + bow:g} {(y + to_y) / 2:g} '
                f'{to_x:g} {to_y - BOX[1] / 2 - 5:g}" fill="none" stroke="#777" marker-end="url(#tip)"/>'
            )
        wide = width - 2 * MARGIN if room in storeys[-1] else BOX[0]
        boxes.append(
            f'<rect x="{x - wide / 2:g}" y="{y - BOX[1] / 2:g}" width="{wide:g}" height="{BOX[1]}" rx="6" '
            f'fill="#eef3fb" stroke="#4a6fa5"/>\n<text x="{x:g}" y="{y + 5:g}" text-anchor="middle">{room}</text>'
        )
    height = FLOOR * (len(storeys) - 1) + BOX[1] + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" font-size="14" '
        'font-family="sans-serif">\n<title>The rooms of Penchant, and which imports which</title>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>\n<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *lines, *boxes, "</svg>"]) + "\n"


def direct(room: str, imports: dict[str, set[str]]) -> set[str]:
    """What a room imports and does not reach through another room."""
    return {one for one in imports[room] if not any(one in reached(other, imports) for other in imports[room] - {one})}


def reached(room: str, imports: dict[str, set[str]]) -> set[str]:
    """Every room below this one."""
    return set().union(*({one} | reached(one, imports) for one in imports.get(room, ())))


# the walks


class Walk(NamedTuple):
    """From the file where it starts, the files on the call stack whenever a station (file, function) is entered."""

    title: str
    text: str
    start: str
    stations: tuple[tuple[str, str], ...]


GRADIENT = Walk(
    "A pair to its gradient",
    "`penchant dpo` with two pairs: what lies between the command, the model's log-probs and the loss. "
    "[follow-one-batch.md](follow-one-batch.md) says what each file does.",
    "cli/dpo.py",
    (("models/forward.py", "score_pairs"), ("objectives/pairwise.py", "dpo")),
)
VOTE = Walk(
    "A vote to a pair",
    "Somebody answers in the browser, and `penchant votes export` makes pairs of the answers. "
    "[follow-one-vote.md](follow-one-vote.md) says more of the first half.",
    "feedback",
    (
        ("feedback/web/annotating.py", "record"),
        ("feedback/asking/desk.py", "vote"),
        ("feedback/training.py", "training_pairs"),
    ),
)
TREE = Walk(
    "A row to a tree",
    "A line of a file becomes a record, the record tokens, and the tokens of a micro-batch a forest of prefix trees.",
    "data",
    (
        ("data/importers/sides.py", "pair_of"),
        ("tokens/encoding.py", "write_response"),
        ("tokens/packing.py", "pack"),
        ("tokens/forest.py", "plant"),
    ),
)


@contextmanager
def followed(walk: Walk) -> Iterator[list[str]]:
    """Inside, the files of the walk so far, in the order in which they were met."""
    for file in ("training/run.py", *(file for file, _ in walk.stations)):
        importlib.import_module("penchant." + file.removesuffix(".py").replace("/", "."))  # unfollowed, which is faster
    found: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(OURS):
            return
        entered = (file_of(frame), frame.f_code.co_name)
        if entered in walk.stations:
            files = [file_of(one) for one in stack(frame)]
            begin = next((i for i, file in enumerate(files) if file.startswith(walk.start)), 0)
            found.extend(file for file in dict.fromkeys(files[begin:]) if file and file not in found)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def stack(frame: FrameType | None) -> list[FrameType]:
    """The frames from the outermost to this one."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def file_of(frame: FrameType) -> str:
    """The file of ours that a frame runs in; empty for everybody else's."""
    path = frame.f_code.co_filename
    return path.removeprefix(OURS + os.sep).replace(os.sep, "/") if path.startswith(OURS + os.sep) else ""


def prepare(folder: Path) -> None:
    """A model that has learned nothing, and two pairs."""
    from penchant.life.untrained import ModelSize, write_untrained_model

    rows = [{"prompt": "What is the sea?", "chosen": f"Much water, {i}.", "rejected": "A hill."} for i in range(2)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_untrained_model(folder / "model", [json.dumps(rows)] * 9, 0, ModelSize(300, 16, 32, 1, 2, 64))


def run(*call: str | Path) -> None:
    """The command `penchant`."""
    from typer.testing import CliRunner

    from penchant.cli.main import app

    result = CliRunner().invoke(app, [str(word) for word in call])
    assert result.exit_code == 0, result.output


def read_the_rows(folder: Path) -> None:
    """The pairs as trees, as training makes them."""
    from penchant.data import load_pairs
    from penchant.models.encoder import load_text_side
    from penchant.tokens import Forest, Limits, pack, tokenise_pairs

    encoder = load_text_side(str(folder / "model")).encoder
    pairs = tokenise_pairs(encoder, load_pairs(folder / "pairs.jsonl").records, Limits(64, 63, 64)).items
    for batch in pack([pair.sequences for pair in pairs], 1024):
        Forest.plant([sequence for i in batch for sequence in pairs[i].sequences])


def train_on_the_rows(folder: Path) -> None:
    """One step of DPO."""
    files = ("--model", folder / "model", "--data", folder / "pairs.jsonl", "--output", folder / "run")
    run("dpo", *files, "--epochs", "1", "--device", "cpu")


def answer_a_pair(folder: Path) -> None:
    """One answer given through the pages of a project, which is then exported."""
    from starlette.testclient import TestClient

    from penchant.data import Candidate, Comparison, Message
    from penchant.feedback import Project, Store
    from penchant.feedback.web import create_app
    from penchant.feedback.web.sessions import cookie_name, csrf_token

    sides = {"a": Candidate(text="Much water."), "b": Candidate(text="A hill.")}
    task = Comparison(id="sea", prompt=(Message(role="user", content="What is the sea?"),), **sides)
    project, host = Project.open(folder / "project", create=True), "127.0.0.1:8765"
    with Store.open(project) as store:
        store.add_tasks([task], origin="docs")
        token = store.invite("kim", "annotator").token
        app = create_app(store, project, allowed_hosts=("127.0.0.1",), secure=False)
        browser = TestClient(app, base_url=f"http://{host}", cookies={cookie_name(host): token})
        asked = browser.get("/api/next").json()["current"]["id"]
        answer: dict[str, Any] = {"key": "the-only-answer", "assignment_id": asked, "outcome": "left", "seconds": 3.0}
        headers = {"Origin": f"http://{host}", "X-CSRF-Token": csrf_token(token)}
        reply = browser.post("/api/answers", json=answer, headers=headers)
        assert reply.status_code == 200, reply.text
    run("votes", "export", folder / "project", "--to", "pairs", "--output", folder / "answered.jsonl")


WALKS: dict[Walk, Callable[[Path], None]] = {
    GRADIENT: train_on_the_rows,
    VOTE: answer_a_pair,
    TREE: read_the_rows,
}


def walks() -> dict[str, list[str]]:
    """By title: the files of every walk."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("PENCHANT_CACHE", str(Path(scratch) / "cache"))
        prepare(Path(scratch))
        for walk, action in WALKS.items():
            with followed(walk) as files:
                action(Path(scratch))
            found[walk.title] = files
    return found


# the page

HEAD = """# Architecture

Written by `make docs` from the code itself (`docs/architecture.py`): the rooms and what each imports, and three walks.

A room is a folder of `src/penchant`. It imports only from rooms on floors below its own, and rooms on one floor do not
know each other; `make check` holds it to that. What rooms take from each other is public.

![The rooms, floor by floor, with an arrow from each to those that it imports](figures/architecture.svg)

An arrow is left out where a longer way leads to the same room, and to the ground floor, on which most rooms stand. In
full:
"""


def pages() -> dict[Path, str]:
    """The page and its figure, by where they lie."""
    storeys = floors()
    rooms = [room for floor in storeys for room in floor]
    imports = arrows(rooms)
    table = ["| room | what it is | imports |", "|---|---|---|"]
    for room in rooms:
        below = ", ".join(one for one in rooms if one in imports[room])
        table.append(f"| `{room}` | {first_line(SOURCE / 'penchant' / room / '__init__.py')} | {below or 'nothing'} |")
    ground = [
        f"- `{path.name}`: {first_line(path)}"
        for path in sorted((SOURCE / "penchant").glob("*.py"))
        if not path.name.startswith("__")
    ]
    parts = [HEAD, "\n".join(table), "\nBeside the rooms lie modules that any of them may use:\n", "\n".join(ground)]
    found = walks()
    for walk in WALKS:
        parts.append(f"\n## {walk.title}\n\n{walk.text}\n")
        parts += [
            f"{number}. `src/penchant/{file}`: {first_line(SOURCE / 'penchant' / file)}"
            for number, file in enumerate(found[walk.title], 1)
        ]
    return {PAGE: "\n".join(parts) + "\n", FIGURE: figure(storeys, imports)}


def main() -> None:
    """Write both."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
