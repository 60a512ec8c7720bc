"""The web pages on which people compare responses, and on which the owner monitors a project and invites people."""

from penchant.feedback.web.app import create_app

__all__ = ["create_app"]
