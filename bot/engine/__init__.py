"""From a request to pictures. Importing it does not import torch, see `Engine.warm_up`."""

from bot.engine.engine import Engine
from bot.engine.results import DeviceReport, PaintedImage, Painting

__all__ = ["DeviceReport", "Engine", "PaintedImage", "Painting"]
