"""Answers in OpenAI's format: complete or as stream events, for chat and completion requests."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from penchant.serving.answer import Piece, Token

__all__ = ["ChatReply", "CompletionReply", "Reply", "event"]

END = b"data: [DONE]\n\n"


@dataclass
class Reply:
    """One reply. num_prompt_tokens: those of all prompts. fingerprint: that of the model's weights."""

    model: str
    fingerprint: str
    num_prompt_tokens: int
    has_logprobs: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))
    num_tokens: dict[int, int] = field(default_factory=dict)

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        """The reply with all answers complete."""
        for piece in pieces:
            self.num_tokens[piece.number] = piece.num_tokens
        choices = [self._choice(piece) for piece in sorted(pieces, key=lambda piece: piece.number)]
        return self._about(is_chunk=False) | {"choices": choices, "usage": self._usage()}

    def events(self, piece: Piece) -> Iterator[bytes]:
        """The events of a piece of an answer."""
        first = piece.number not in self.num_tokens
        self.num_tokens[piece.number] = piece.num_tokens
        for choice in self._changes(piece, first):
            yield event(self._about(is_chunk=True) | {"choices": [choice]})

    def last_events(self, *, counts: bool) -> Iterator[bytes]:
        """The last events of a stream, with token counts if counts is true."""
        if counts:
            yield event(self._about(is_chunk=True) | {"choices": [], "usage": self._usage()})
        yield END

    def _choice(self, piece: Piece) -> dict[str, Any]:
        raise NotImplementedError

    def _changes(self, piece: Piece, first: bool) -> Iterator[dict[str, Any]]:
        raise NotImplementedError

    def _about(self, *, is_chunk: bool) -> dict[str, Any]:
        raise NotImplementedError

    def _head(self, prefix: str, kind: str) -> dict[str, Any]:
        about = {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.model}
        return about | {"system_fingerprint": self.fingerprint}

    def _usage(self) -> dict[str, int]:
        num = sum(self.num_tokens.values())
        prompt = self.num_prompt_tokens
        return {"prompt_tokens": prompt, "completion_tokens": num, "total_tokens": prompt + num}


class ChatReply(Reply):
    """The reply to a chat request."""

    def _about(self, *, is_chunk: bool) -> dict[str, Any]:
        return self._head("chatcmpl", "chat.completion.chunk" if is_chunk else "chat.completion")

    def _choice(self, piece: Piece) -> dict[str, Any]:
        message = {"role": "assistant", "content": piece.text, "refusal": None}
        return self._said(piece, {"message": message, "finish_reason": piece.ending})

    def _changes(self, piece: Piece, first: bool) -> Iterator[dict[str, Any]]:
        if first:
            yield {"index": piece.number, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        if piece.text or piece.tokens:
            yield self._said(piece, {"delta": {"content": piece.text}, "finish_reason": None})
        if piece.ending:
            yield {"index": piece.number, "delta": {}, "finish_reason": piece.ending}

    def _said(self, piece: Piece, what: dict[str, Any]) -> dict[str, Any]:
        listed = {"content": [_chat_token(token) for token in piece.tokens], "refusal": None}
        return {"index": piece.number, **what, "logprobs": listed if self.has_logprobs else None}


class CompletionReply(Reply):
    """The reply to a completion request."""

    def _about(self, *, is_chunk: bool) -> dict[str, Any]:
        return self._head("cmpl", "text_completion")

    def _choice(self, piece: Piece) -> dict[str, Any]:
        listed = _listed(piece.tokens) if self.has_logprobs else None
        return {"index": piece.number, "text": piece.text, "logprobs": listed, "finish_reason": piece.ending}

    def _changes(self, piece: Piece, first: bool) -> Iterator[dict[str, Any]]:
        yield self._choice(piece)


def event(body: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return f"data: {json.dumps(body)}\n\n".encode()


def _chat_token(token: Token) -> dict[str, Any]:
    return _scored(token.text, token.logprob) | {"top_logprobs": [_scored(*one) for one in token.likeliest]}


def _scored(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _listed(tokens: Sequence[Token]) -> dict[str, Any]:
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(token.likeliest) for token in tokens],
        "text_offset": None,
    }
