"""ControlNets for UNets: their networks as files have them, and what they add to a UNet."""

from bot.engine.families.unet.controls.acting import Controlled
from bot.engine.families.unet.controls.networks import read

__all__ = ["Controlled", "read"]
