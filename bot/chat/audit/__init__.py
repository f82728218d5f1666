"""Telling a server what was changed and moderated there, and the owners what concerns all."""

from bot.chat.audit.picture import ReportedPictures
from bot.chat.audit.places import Destinations
from bot.chat.audit.telling import Audit

__all__ = ["Audit", "Destinations", "ReportedPictures"]
