"""What families whose denoiser is a UNet have in common."""

from typing import Final

from catalog.families.family import PromptLimit

FIRST: Final = "text_encoder"
SECOND: Final = "text_encoder_2"
"""Their text encoders, named after their folders in a diffusers pipeline."""

SD1_CONTEXT: Final = 768
SD2_CONTEXT: Final = 1024
"""Width of the text embeddings that the UNet of Stable Diffusion 1 reads, and that of 2."""
SD2: Final = "SD 2"
"""What the models and adapters of Stable Diffusion 2 are called."""

CLIP: Final = PromptLimit(75, chunks=32)
"""CLIP has 77 positions, of which the first and the last are for its own start and end tokens."""

BLOCKS: Final = ("down_blocks_", "input_blocks_")
"""With `_` for every dot: in Stability's names and in diffusers', what an adapter of a UNet has."""
