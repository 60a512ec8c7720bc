"""Serve a model over OpenAI's API: requests, the batch that answers, and the server."""

from penchant.serving.service import Service, open_service

__all__ = ["Service", "open_service"]
