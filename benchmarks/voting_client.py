"""Annotators who vote as fast as the server lets them: the load of annotation_load.py, in a process of its own.

Each opens an invitation, reads the CSRF token off the page and answers pair after pair over one connection that is kept
open, with the headers a browser sends. What is not acknowledged is sent again under its key until it is, as the page
does. Reads a job (JSON) from standard input; one line "voting" tells that it began; the last line is the result.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import uuid
from collections import deque
from typing import Any
from urllib.parse import urlsplit

HEAD = (
    "Host: {host}\r\nCookie: {cookie}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0\r\nAccept: */*\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nSec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: http://{host}/\r\nConnection: keep-alive\r\n"
)
CHANGE = "Origin: http://{host}\r\nX-CSRF-Token: {csrf}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n"
OUTCOMES = ("left", "right", "left", "right", "tie", "right", "left", "both_bad")
RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 30
GIVE_UP_SECONDS = 60


class Unreachable(Exception):
    """The server did not answer, or said that it cannot just now: try again."""


class Connection:
    """One kept-open connection of one person."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.host, self.port, self.netloc = parts.hostname, parts.port, parts.netloc
        self.cookie = self.csrf = ""
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Status, head and body; raises Unreachable."""
        head = f"{method} {path} HTTP/1.1\r\n" + HEAD.format(host=self.netloc, cookie=self.cookie)
        if method == "POST":
            head += CHANGE.format(host=self.netloc, csrf=self.csrf, size=len(body))
        try:
            return await asyncio.wait_for(self._exchange(head.encode() + b"\r\n" + body), PATIENCE_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Unreachable from error

    async def _exchange(self, request: bytes) -> tuple[int, str, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port, limit=2**20)
        reader, writer = self.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        size = re.search(r"content-length: (\d+)", head, re.I)
        body = await reader.readexactly(int(size[1])) if size else b""
        status = int(head[9:12])
        if status >= 500:
            raise EOFError(status)
        return status, head, body

    def close(self) -> None:
        if self.streams:
            self.streams[1].close()
        self.streams = None


class Annotator:
    """A person and what was measured of them: seconds of votes and of waits for a pair, keys acknowledged."""

    def __init__(self, link: str, until: float) -> None:
        self.base, self.token = link.split("/join/")
        self.until = until
        self.connection = Connection(self.base)
        self.pairs: deque[int] = deque()
        self.votes: list[float] = []
        self.nexts: list[float] = []
        self.acknowledged: list[str] = []
        self.resent = 0
        self.refused: list[str] = []

    async def enter(self) -> None:
        """As a browser does: the link gives the cookie, the page gives the CSRF token."""
        _, head, _ = await self.connection.ask("GET", f"/join/{self.token}")
        self.connection.cookie = re.search(r"set-cookie: ([^;]+)", head, re.I)[1]
        _, _, page = await self.connection.ask("GET", "/")
        self.connection.csrf = re.search(r'name="csrf-token" content="(\w+)"', page.decode())[1]

    async def vote(self) -> None:
        """Answer until the time is over or nothing is left; what is under way is brought to its end."""
        await self.enter()
        while time.perf_counter() < self.until:
            if not self.pairs:
                reply = await self._insist("GET", "/api/next", b"", self.nexts)
                self._take(reply, "current", "then")
                if not self.pairs:
                    return
            await self._answer(self.pairs.popleft())

    async def _answer(self, assignment_id: int) -> None:
        key = str(uuid.uuid4())
        outcome = OUTCOMES[int(key[:2], 16) % len(OUTCOMES)]
        answer = {"key": key, "assignment_id": assignment_id, "outcome": outcome, "strength": None, "reasons": []}
        body = json.dumps(answer | {"comment": "", "seconds": 4.2}).encode()
        reply = await self._insist("POST", "/api/answers", body, self.votes)
        if reply.get("key") == key:
            self.acknowledged.append(key)
            self._take(reply, "then")

    def _take(self, reply: dict[str, Any], *names: str) -> None:
        for name in names:
            if (pair := reply.get(name)) and pair["id"] not in self.pairs:
                self.pairs.append(pair["id"])

    async def _insist(self, method: str, path: str, body: bytes, seconds: list[float]) -> dict[str, Any]:
        """Ask until there is an answer; the time runs from the first attempt. Raises Unreachable after a minute."""
        began = time.perf_counter()
        while True:
            try:
                status, _, content = await self.connection.ask(method, path, body)
                break
            except Unreachable:
                if time.perf_counter() - began > GIVE_UP_SECONDS:
                    raise
                self.resent += 1
                await asyncio.sleep(RETRY_SECONDS)
        seconds.append(time.perf_counter() - began)
        reply = json.loads(content)
        if status != 200:
            self.refused.append(f"{path} {status} {reply.get('error')}")
        return reply


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Everybody at once, for job["seconds"]; the times are in milliseconds."""
    began = time.perf_counter()
    people = [Annotator(link, began + job["seconds"]) for link in job["links"]]
    await asyncio.gather(*(person.vote() for person in people))
    return {
        "seconds": time.perf_counter() - began,
        "votes_ms": [1000 * seconds for person in people for seconds in person.votes],
        "nexts_ms": [1000 * seconds for person in people for seconds in person.nexts],
        "acknowledged": [key for person in people for key in person.acknowledged],
        "resent": sum(person.resent for person in people),
        "refused": [reason for person in people for reason in person.refused],
    }


if __name__ == "__main__":
    job = json.loads(sys.stdin.readline())
    print("voting", flush=True)
    print(json.dumps(asyncio.run(run(job))))
