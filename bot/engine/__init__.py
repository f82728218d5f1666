"""From a request to pictures. Importing it does not import torch, see `Engine.warm_up`."""

from bot.engine.device import DeviceReport
from bot.engine.engine import Engine

__all__ = ["DeviceReport", "Engine"]
