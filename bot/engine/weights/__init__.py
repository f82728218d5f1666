"""Network weights: read from files, cached in RAM, copied to the device, patched, restored."""

from bot.engine.weights.cache import PristineWeights, WeightCache
from bot.engine.weights.files import FileChanged, FileTensors, WeightFile
from bot.engine.weights.formats import Formats
from bot.engine.weights.host import HostMemory
from bot.engine.weights.layout import Layout
from bot.engine.weights.part import Part

__all__ = [
    "FileChanged",
    "FileTensors",
    "Formats",
    "HostMemory",
    "Layout",
    "Part",
    "PristineWeights",
    "WeightCache",
    "WeightFile",
]
