"""OpenAI's images interface, for clients that were written for it. See docs/api.md, "OpenAI"."""

from bot.api.openai.refusing import FORM
from bot.api.openai.routes import routes

__all__ = ["FORM", "routes"]
