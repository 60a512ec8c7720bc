"""The web pages on which people compare responses, and on which the owner of a project watches and invites."""

from penchant.feedback.web.app import create_app

__all__ = ["create_app"]
