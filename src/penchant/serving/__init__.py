"""A model at an address that speaks OpenAI's API: what is asked, the batch that answers, the server around both."""

from penchant.serving.service import Service, open_service

__all__ = ["Service", "open_service"]
