"""The interface of the image server that this bot began as. Its clients rely on every name."""

from bot.api.original.refusing import FORM
from bot.api.original.routes import routes

__all__ = ["FORM", "routes"]
