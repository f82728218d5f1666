"""From words to the tensors that condition the UNet: any length, any weights.

    chunks.py    tokens and weights → chunks of 75
    encoding.py  chunks → tensors

The grammar is `bot.request.emphasis`, because a request is checked with it long before torch.
"""

from bot.engine.prompt.chunks import CHUNK
from bot.engine.prompt.encoding import (
    SDXL_LAYER,
    Encoded,
    Encoders,
    deepest_clip_skip,
    encode,
)

__all__ = ["CHUNK", "SDXL_LAYER", "Encoded", "Encoders", "deepest_clip_skip", "encode"]
