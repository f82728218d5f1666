"""Network weights: read from files, cached in RAM, copied to the device, patched, restored."""

from bot.engine.weights.cache import HostMemory, PristineWeights, WeightCache
from bot.engine.weights.layout import Layout
from bot.engine.weights.part import Part

__all__ = ["HostMemory", "Layout", "Part", "PristineWeights", "WeightCache"]
