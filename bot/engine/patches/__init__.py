"""Adapters: the names they use, the files they come in, the changes that they make."""

from bot.engine.patches.changes import Change
from bot.engine.patches.file import AdapterFile, check_header, read
from bot.engine.patches.library import Library
from bot.engine.patches.names import Target

__all__ = ["AdapterFile", "Change", "Library", "Target", "check_header", "read"]
