"""A page to chat with the bot: a small Discord client in the browser.

``server`` opens the port and serves the files in ``playground/web``, ``guard`` keeps other web
sites out, ``rooms`` adds the places beside the two channels, ``stream`` sends the page what
changed, ``views`` renders that for one user, and ``acts`` performs the user's actions with the
methods of ``playground.user.User``.
"""

from playground.page.rooms import furnish
from playground.page.server import PORT, Page

__all__ = ["PORT", "Page", "furnish"]
