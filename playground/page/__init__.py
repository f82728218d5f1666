"""A page on which people chat with the bot: a small Discord client, in a browser.

``server`` opens the port and serves the files in ``playground/web``, ``guard`` keeps other web
sites out, ``stream`` tells the page what changed, ``views`` how that looks to one person, and
``acts`` does what the person does, by the methods of ``playground.user.User``.
"""

from playground.page.server import PORT, Page

__all__ = ["PORT", "Page"]
