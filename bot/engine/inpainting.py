"""Keep a part of an image while the rest is generated: inpainting, and outpainting.

Works with every model: before each step, the latents that are kept are those of the image, with the
noise of that step (arXiv 2201.09865, equation 8), and those in the seam around them are released
one after the other, the sooner the less of them is kept (arXiv 2306.00950). In the end the image's
own pixels are put back, so that what is kept, but for the seam, is kept exactly.

Imports torch; runs in the engine thread only.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from bot.engine import pixels, sampling
from bot.engine.denoise import Keep
from bot.request.parts import Box, InitImage

Bytes = NDArray[np.uint8]

SEAMS: Final = 32
"""A seam is as wide as the shorter side of the image divided by this, and at least SEAM_MIN."""
SEAM_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """An image, and how much of it is changed.

    image: RGB, of the result's size. change: float32, (height, width), from 0, kept, to 1.
    """

    image: PIL.Image.Image
    change: torch.Tensor

    def over(self, painted: PIL.Image.Image) -> PIL.Image.Image:
        """What was generated, with what is kept of the image in its place."""
        change = self.change.numpy()[..., None]
        new, old = (np.asarray(each, np.float32) for each in (painted, self.image))
        return PIL.Image.fromarray(np.rint(old + (new - old) * change).astype(np.uint8))

    def keep(
        self, scheduler: Any, timesteps: torch.Tensor, clean: torch.Tensor, noise: torch.Tensor
    ) -> Keep:
        """Puts the image's latents back where they are kept.

        timesteps: those that are run. clean, noise: the image's latents, and the noise they get.
        """
        _, _, height, width = clean.shape
        change = functional.adaptive_avg_pool2d(self.change[None, None], (height, width))
        change = change.to(clean.device)
        steps = -(-len(timesteps) // scheduler.order)

        def keep(latents: torch.Tensor, done: int) -> torch.Tensor:
            if done == len(timesteps):
                return torch.where(change > 0, latents, clean)
            here = sampling.noisy(scheduler, clean, noise, timesteps[done:])
            free = change > 1 - (done // scheduler.order + 1) / steps
            return torch.where(free, latents, here)

        return keep


def kept_of(
    init: InitImage, image: PIL.Image.Image, mask: PIL.Image.Image | None, size: tuple[int, int]
) -> Kept:
    """The image to start from at its place in a result of `size`, and what of that is changed.

    Where nothing of it is to be left, the colours around flow in, if there are any.
    """
    box = init.box or Box(0, 0, *size)
    across = (box.left, size[0] - box.left - box.width)
    down = (box.top, size[1] - box.top - box.height)
    inner = np.asarray(pixels.fitted(image, box.width, box.height))
    white = torch.zeros(box.height, box.width)
    if mask is not None:
        # Which adds nothing around an edge, as LANCZOS does.
        resampling = PIL.Image.Resampling.BILINEAR
        grey = pixels.fitted(mask, box.width, box.height, resampling).convert("L")
        white = torch.from_numpy(np.asarray(grey, np.float32) / np.float32(255))
        if init.strength >= 1 and bool((white < 1).any()):
            inner = _filled(inner, 1 - white)
    canvas = np.pad(inner, (down, across, (0, 0)), "edge")
    seam = max(SEAM_MIN, min(box.width, box.height) // SEAMS)
    change = functional.pad(white, (*across, *down), value=1.0)
    return Kept(PIL.Image.fromarray(canvas), _with_seam(change, seam))


def _filled(image: Bytes, known: torch.Tensor) -> Bytes:
    """`image`, and the colours around flown into where it is not known.

    image: (height, width, 3). known: (height, width), from 0 to 1.
    """
    colours = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    filled = _flown(colours, known[None, None])[0].permute(1, 2, 0)
    return filled.round().to(torch.uint8).numpy()


def _flown(colours: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """As `_filled`, of shape (1, 3, height, width) and (1, 1, height, width): what is known of ever
    larger squares is averaged until there is something in each, and spread from there."""
    if bool((known == 1).all()) or known.numel() == 1:
        return colours
    weight = functional.avg_pool2d(known, 2, ceil_mode=True)
    coarse = functional.avg_pool2d(colours * known, 2, ceil_mode=True) / weight.clamp(min=1e-6)
    around = _flown(coarse, (weight > 0).to(known.dtype))
    size = (colours.shape[2], colours.shape[3])
    smooth = functional.interpolate(around, size, mode="bilinear", align_corners=False)
    return colours * known + smooth * (1 - known)


def _with_seam(change: torch.Tensor, seam: int) -> torch.Tensor:
    """The same, and fading out over `seam` pixels around what is changed, which stays as it is."""
    reach = seam // 2
    window = 2 * reach + 1
    wide = functional.max_pool2d(change[None, None], window, 1, reach)
    padded = functional.pad(wide, (reach,) * 4, mode="replicate")
    for kernel in ((1, window), (window, 1)):
        padded = functional.avg_pool2d(padded, kernel, 1)
    return padded[0, 0]
