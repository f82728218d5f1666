"""From an order to pictures. Importing it does not import torch, see `Engine.warm_up`.

engine.py         what the rest of the bot sees; tries once more with less memory
pipeline.py       one order from files to pictures, with one resident model
passes.py         what one picture goes through; denoise.py: the loop of one pass
families/         all that one model architecture does its own way, a folder each
residency.py      which model is on the device; weights/: its numbers, in RAM and in place
patches/          adapters: their files, and the changes that they make
sources.py        which files make up an entry; hub.py: downloading those that are missing
reference.py      being guided by a picture
kernels.py        compiling the denoiser
"""

from bot.engine.device import DeviceReport
from bot.engine.engine import Engine

__all__ = ["DeviceReport", "Engine"]
