"""Serving: builds the parts in order, runs them concurrently, closes them in reverse order."""

from bot.serve.serving import serve, serve_api

__all__ = ["serve", "serve_api"]
