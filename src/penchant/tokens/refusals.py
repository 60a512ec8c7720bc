"""Why a text cannot become tokens; each error names the verdict of its row."""

from penchant.tokens.skeleton import THINK_CLOSE

__all__ = ["BoundaryError", "NotWrittenError", "OpenThinkingError", "SpecialTokenError"]


class BoundaryError(ValueError):
    """These messages cannot be written so that it is known which tokens are the response's; code, fix: its verdict."""

    code = "template_boundary"
    fix = "use another chat template or drop the row"


class NotWrittenError(BoundaryError):
    """The template leaves out something that the messages say."""

    code = "not_written"
    fix = "use a chat template that writes it, or remove it from the row"


class OpenThinkingError(BoundaryError):
    """A response that thinks and never comes to its answer."""

    code = "thinking_open"
    fix = f"close it with {THINK_CLOSE} and an answer, or drop the row"


class SpecialTokenError(BoundaryError):
    """A text of the row spells a special token, which would become that token."""

    code = "special_token"
    fix = 'remove it, or say what it is: `special_tokens="text"` (characters) or `special_tokens="control"` (the token)'
