"""The history of each person: an index of what they asked for, and what it finds."""

from bot.store.history.history import Found, History, Query

__all__ = ["Found", "History", "Query"]
