"""A project, people in it, and two ways to visit: a client in this process, and real browsers before a real server."""

import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from penchant.data.records import Candidate, Comparison, Message, Source
from penchant.feedback.project import Project
from penchant.feedback.storing import Store
from penchant.feedback.web import create_app
from penchant.feedback.web.sessions import cookie_name, csrf_token
from penchant.listening import listen

HOST = "127.0.0.1:8765"
ORIGIN = f"http://{HOST}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def log_records():
    """What was logged, from the lowest level on."""
    records: list[logging.LogRecord] = []
    kept = logging.Handler()
    kept.emit = records.append
    root = logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield records
    root.setLevel(level)
    root.removeHandler(kept)


def task(number, a="the first answer", b="the second answer", prompt="a question", **more):
    return Comparison(
        id=f"task-{number}",
        prompt=(Message(role="user", content=f"{prompt} {number}"),),
        a=Candidate(text=f"{a} {number}", source=Source(model="secret-model-one")),
        b=Candidate(text=f"{b} {number}", source=Source(model="secret-model-two")),
        **more,
    )


class Site:
    """A project with its store; `ann` and `boss` are invited as annotator and admin."""

    def __init__(self, folder: Path, tasks, **config) -> None:
        Project.open(folder, create=True)
        (folder / "project.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.project = Project.open(folder)
        self.store = Store.open(self.project)
        self.store.add_tasks(tasks, origin="test")
        self.tokens: dict[str, str] = {}
        self.invite("ann")
        self.invite("boss", "admin")

    def invite(self, name, role="annotator"):
        self.tokens[name] = self.store.invite(name, role).token
        return self.tokens[name]

    def id_of(self, name):
        return next(person.id for person in self.store.annotators() if person.name == name)

    def app(self, hosts=("127.0.0.1",), **options):
        return create_app(self.store, self.project, allowed_hosts=hosts, **{"secure": False} | options)

    def visitor(self, name=None, **options):
        visitor = Visitor(self.app(**options), base_url=ORIGIN, follow_redirects=False)
        if name:
            visitor.cookies.set(cookie_name(HOST), self.tokens[name], domain="127.0.0.1", path="/")
            visitor.csrf = csrf_token(self.tokens[name])
        return visitor

    def answer_all(self, name, outcomes):
        """`name` answers everything there is: outcomes[number of the task % their number], with sides by their text."""
        visitor = self.visitor(name)
        while current := visitor.get("/api/next").json()["current"]:
            outcome = outcomes[int(current["prompt"][0]["raw"].split()[-1]) % len(outcomes)]
            if outcome in ("first", "second"):
                outcome = "left" if outcome in current["left"]["raw"] else "right"
            assert visitor.answer(current["id"], outcome).status_code == 200

    def answers(self):
        return [(c.id, c.annotator, c.outcome, c.shown_first) for c in self.store.comparisons()]


class Visitor(TestClient):
    """A client that sends what our pages send."""

    csrf = ""

    def send_json(self, path, body, **headers):
        sent = {"Origin": ORIGIN, "X-CSRF-Token": self.csrf, "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(path, content=json.dumps(body), headers={k: v for k, v in sent.items() if v is not None})

    def answer(self, assignment, outcome, **more):
        body = {"key": f"key-{time.monotonic_ns()}", "assignment_id": assignment, "outcome": outcome, "seconds": 3.0}
        return self.send_json("/api/answers", body | more)


@pytest.fixture(scope="module")
def make_site(tmp_path_factory) -> Iterator:
    """`make_site(tasks, overlap=2)`: a new project with these tasks and settings."""
    made = []

    def make(tasks=None, **config):
        folder = tmp_path_factory.mktemp("site") / "project"
        made.append(Site(folder, tasks or [task(i) for i in range(3)], **config))
        return made[-1]

    yield make
    for site in made:
        site.store.close()


@pytest.fixture
def site(make_site) -> Site:
    return make_site()


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The site on a real port; yields its address."""
    import uvicorn

    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(site.app(), access_log=False, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A real browser, headless, as long as a file needs it; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """A person before a browser: opens a link, presses keys, looks at the page; notes everything that went wrong."""

    def __init__(self, chromium, base, token, **options) -> None:
        self.context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US"} | options)
        self.context.set_default_timeout(30_000)
        self.base = base
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.problems.append(f"error {error}"))
        self.page.on("console", lambda message: self.problems.append(message.text) if self._bad(message) else None)
        self.page.goto(f"{base}/join/{token}")
        self.page.wait_for_url(f"{base}/")
        self.wait()

    @staticmethod
    def _bad(message):
        expected = "ERR_INTERNET_DISCONNECTED" in message.text or "ERR_CONNECTION_REFUSED" in message.text
        return message.type in ("error", "warning") and not expected  # offline on purpose, or after the test

    def wait(self):
        """Until there is a pair, or the end, on screen."""
        self.page.wait_for_selector("body[data-view]:not([data-view=loading])")

    @property
    def shown(self):
        return self.page.get_attribute("body", "data-assignment")

    @property
    def view(self):
        return self.page.get_attribute("body", "data-view")

    def press(self, *keys):
        """Press keys, each once the page listens to what is on screen."""
        for key in keys:
            self.listened()
            self.page.keyboard.press(key)

    def listened(self):
        """Until presses count: they do not in the first moment of a pair, which nobody can have seen."""
        self.until("!(performance.now() < Number(document.body.dataset.listensFrom))")

    def answer(self, *keys):
        """Press keys and wait until another pair, or the end, is shown."""
        before = self.shown
        self.press(*keys)
        self.page.wait_for_function("before => document.body.dataset.assignment !== before", arg=before)
        self.wait()

    def settle(self):
        """Until everything has been saved."""
        self.until("document.body.dataset.queue === '0'")

    def until(self, condition):
        """Until a JavaScript expression holds; given as a function, since the page's policy forbids eval."""
        self.page.wait_for_function(f"() => {condition}")

    def text(self, selector="body"):
        return re.sub(r"\s+", " ", self.page.inner_text(selector))


@pytest.fixture
def read(chromium):
    """`read(base, token)`: a person before a browser; at the end, nothing may have gone wrong in it."""
    readers = []

    def start(base, token, **options):
        readers.append(Reader(chromium, base, token, **options))
        return readers[-1]

    yield start
    for reader in readers:
        problems = reader.problems
        reader.context.close()
        assert problems == []
