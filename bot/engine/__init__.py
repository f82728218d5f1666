"""From an order to images. Importing it does not import torch; see `Engine.warm_up`.

engine.py         the public interface; retries with less memory
pipeline.py       one order from files to images, with one resident model
passes.py         the passes that make one image; denoise.py: the loop of one pass
families/         everything specific to one model architecture, a folder each
residency.py      which model is on the device; weights/: its weights, in RAM and on the device
patches/          adapters: their files, and the changes that they make
sources.py        which files make up an entry; hub.py: downloading those that are missing
reference.py      reference images (IP-Adapter)
kernels.py        compiling the denoiser
"""

from bot.engine.device import DeviceReport
from bot.engine.engine import Engine

__all__ = ["DeviceReport", "Engine"]
