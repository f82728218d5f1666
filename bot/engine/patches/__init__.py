"""Adapters: the names they use, the files they come in, the changes they make."""

from bot.engine.patches.cache import AdapterCache
from bot.engine.patches.changes import Change
from bot.engine.patches.file import AdapterFile, check_header, read
from bot.engine.patches.names import Target
from bot.engine.patches.notices import notices

__all__ = ["AdapterCache", "AdapterFile", "Change", "Target", "check_header", "notices", "read"]
