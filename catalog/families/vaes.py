"""What the VAEs are called that families have. Where a name is of several models, their tensors are
alike."""

from typing import Final

KL_4: Final = "VAE of SDXL or SD 1.5"
KL_16: Final = "VAE of Z-Image, FLUX.1 or SD 3"
KL_32: Final = "VAE of FLUX.2"
QWEN: Final = "VAE of Anima, Qwen-Image or Wan 2.1"
