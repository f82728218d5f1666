"""What the bot says, read once for all tests of a process."""

from typing import Final

from bot.texts.language import Texts

TEXTS: Final = Texts.read()
