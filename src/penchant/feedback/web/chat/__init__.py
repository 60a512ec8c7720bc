"""A page on which a person talks to a model and now and then chooses between two of its answers."""

from penchant.feedback.web.chat.routes import chat_router
from penchant.feedback.web.chat.talker import Talker

__all__ = ["Talker", "chat_router"]
