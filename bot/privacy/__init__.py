"""What people may do with all that the bot has of them: have it sent, and have it forgotten."""

from bot.privacy.export import EXPORTS, Contents, Exporter, Part
from bot.privacy.forgetter import Forgetter
from bot.privacy.spans import Choice, span_of

__all__ = ["EXPORTS", "Choice", "Contents", "Exporter", "Forgetter", "Part", "span_of"]
