"""OpenAI's images interface, for clients that were written for it. See docs/openai.md."""

from bot.api.openai.refusing import FORM
from bot.api.openai.routes import routes

__all__ = ["FORM", "routes"]
