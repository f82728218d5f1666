"""A model in SDXL's architecture that takes almost no time."""

from typing import Final

from benchmarks.sdxl_weights import Shape

TINY: Final = Shape("sdxl-tiny", narrow=8, side=128, depth=(1, 1, 1), text_depth=(2, 2))
