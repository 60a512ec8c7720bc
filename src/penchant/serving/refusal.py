"""An error response in OpenAI's form."""

from __future__ import annotations

from typing import Any

from penchant.wording import MAX_REASON, one_line

__all__ = ["Refusal"]


class Refusal(Exception):
    """status: the HTTP code. param: the field concerned. code: an identifier for programs."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(one_line(message, MAX_REASON))
        self.status, self.param, self.code = status, param and one_line(param, MAX_REASON), code

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
