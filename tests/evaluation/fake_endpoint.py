"""An OpenAI-compatible server in this process, whose model is a function; it keeps what it was sent."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeEndpoint:
    """reply: from the request's body to the model's words, or to (status, body, headers)."""

    reply: Callable[[dict[str, Any]], Any]
    base: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


def shown(body: dict[str, Any]) -> tuple[str, str]:
    """The two responses in a question, in their order."""
    text = body["messages"][-1]["content"]
    first, second = (
        re.search(rf"\[{place} RESPONSE (\w+)\]\n(.*?)\n\[END \1\]", text, re.S).group(2)
        for place in ("FIRST", "SECOND")
    )
    return first, second


def shorter(body: dict[str, Any]) -> str:
    """The words of a model that likes the shorter response."""
    first, second = map(len, shown(body))
    return "TIE" if first == second else "FIRST" if first < second else "SECOND"


@contextmanager
def fake_endpoint(reply: Callable[[dict[str, Any]], Any]) -> Iterator[FakeEndpoint]:
    """Serve `reply` on a free port of this machine."""
    fake = FakeEndpoint(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.paths.append(self.path)
            fake.headers.append(dict(self.headers))
            fake.asked.append(body)
            answer = fake.reply(body)
            if isinstance(answer, str):
                answer = 200, json.dumps({"choices": [{"message": {"content": answer}}]}), {}
            status, text, headers = answer
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.base = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
