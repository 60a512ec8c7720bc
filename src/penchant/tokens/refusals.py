"""Errors of texts that cannot be encoded; each has the verdict for its row."""

from penchant.tokens.skeleton import THINK_CLOSE

__all__ = ["BoundaryError", "NotWrittenError", "OpenThinkingError", "SpecialTokenError"]


class BoundaryError(ValueError):
    """The boundary of the response's tokens is unknown for these messages; code, fix: its verdict."""

    code = "template_boundary"
    fix = "use another chat template or drop the row"


class NotWrittenError(BoundaryError):
    """The template omits content of the messages."""

    code = "not_written"
    fix = "use a chat template that writes it, or remove it from the row"


class OpenThinkingError(BoundaryError):
    """A response with thinking but without an answer."""

    code = "thinking_open"
    fix = f"close it with {THINK_CLOSE} and an answer, or drop the row"


class SpecialTokenError(BoundaryError):
    """A text of the row spells a special token, which would become that token."""

    code = "special_token"
    fix = (
        "remove it, or say how to read it: "
        '`special_tokens="text"` (as characters) or `special_tokens="control"` (as the token)'
    )
