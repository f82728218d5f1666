"""The authors' names of the transformer's modules, in their files and many adapters'.

The approximator is what Chroma has for the layers of FLUX.1 that modulate its blocks
(lodestone-rock/flow src/models/chroma/module/layers.py, `Approximator`).
"""

from typing import Final

from bot.engine.families import flux
from bot.engine.patches.spelling import Originals

_LAYER: Final = "distilled_guidance_layer.layers.{}."

ORIGINALS: Final[Originals] = {
    **flux.ORIGINALS,
    f"{_LAYER}in_layer": f"{_LAYER}linear_1",
    f"{_LAYER}out_layer": f"{_LAYER}linear_2",
    # The same name, but of norms that end in `scale` there.
    "distilled_guidance_layer.norms.{}": "distilled_guidance_layer.norms.{}",
}
