"""The numbers of networks: read from files, kept in RAM, copied into place, patched, restored."""

from bot.engine.weights.contents import Contents, HostMemory, Shelf
from bot.engine.weights.layout import Layout
from bot.engine.weights.part import Part

__all__ = ["Contents", "HostMemory", "Layout", "Part", "Shelf"]
