"""Adapters: the names they use, the files they come in, the changes they make."""

from bot.engine.patches.cache import AdapterCache
from bot.engine.patches.changes import Change
from bot.engine.patches.file import AdapterFile, read
from bot.engine.patches.fused import OfWhole, Wholes
from bot.engine.patches.names import AnyTarget, Fused, Spellings, Target
from bot.engine.patches.staging import Weighted, staged

__all__ = [
    "AdapterCache",
    "AdapterFile",
    "AnyTarget",
    "Change",
    "Fused",
    "OfWhole",
    "Spellings",
    "Target",
    "Weighted",
    "Wholes",
    "read",
    "staged",
]
