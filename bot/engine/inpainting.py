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
Numbers = NDArray[np.int64]

WHITE: Final = 255

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
    inner: Bytes = np.asarray(pixels.fitted(image, box.width, box.height))
    white: Bytes = np.zeros((box.height, box.width), np.uint8)
    if mask is not None:
        # Which adds nothing around an edge, as LANCZOS does.
        resampling = PIL.Image.Resampling.BILINEAR
        grey = pixels.fitted(mask, box.width, box.height, resampling).convert("L")
        white = np.asarray(grey)
        inner = begun_from(inner, white, init.strength)
    canvas = np.pad(inner, (down, across, (0, 0)), "edge")
    change = np.pad(white, (down, across), constant_values=WHITE)
    seam = max(SEAM_MIN, min(box.width, box.height) // SEAMS)
    return Kept(PIL.Image.fromarray(canvas), with_seam(change, seam))


def begun_from(image: Bytes, white: Bytes, strength: float) -> Bytes:
    """What painting begins with: `image`, (height, width, 3), or where nothing of what is `white`
    is to be left, the colours around in its place, if there are any."""
    return _filled(image, white) if strength >= 1 and white.min() < WHITE else image


def _filled(image: Bytes, white: Bytes) -> Bytes:
    """`image`, (height, width, 3), with the colours around in place of what is `white`."""
    known = 1 - torch.from_numpy(white.astype(np.float32))[None, None] / WHITE
    colours = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    return _flown(colours, known)[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


def _flown(colours: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """What is known of ever larger squares is averaged until there is something in each, and spread
    from there.

    colours: (1, 3, height, width). known: (1, 1, height, width), from 0 to 1.
    """
    if bool((known == 1).all()) or known.numel() == 1:
        return colours
    weight = functional.avg_pool2d(known, 2, ceil_mode=True)
    coarse = functional.avg_pool2d(colours * known, 2, ceil_mode=True) / weight.clamp(min=1e-6)
    around = _flown(coarse, (weight > 0).to(known.dtype))
    size = (colours.shape[2], colours.shape[3])
    smooth = functional.interpolate(around, size, mode="bilinear", align_corners=False)
    return colours * known + smooth * (1 - known)


def with_seam(white: Bytes, seam: int) -> torch.Tensor:
    """How much is changed: all that is `white`, and around it ever less over `seam` pixels.

    What is white grows by half of the seam, and is then averaged over as much on each side. In
    whole numbers, so that none of what is kept changes by a rounding error.
    """
    reach = seam // 2
    window = 2 * reach + 1
    sums = np.pad(white.astype(np.int64), 2 * reach, "edge")
    for axis in (0, 1):
        sums = _sums(_largest(sums, window, axis), window, axis)
    return torch.from_numpy((sums / (WHITE * window**2)).astype(np.float32))


def _largest(values: Numbers, window: int, axis: int) -> Numbers:
    """The largest of each `window` neighbours along an axis; there are so many fewer."""
    wide = 1
    while wide < window:
        step = min(wide, window - wide)
        ends = np.split(values, [step], axis)[1], np.split(values, [-step], axis)[0]
        values, wide = np.maximum(*ends), wide + step
    return values


def _sums(values: Numbers, window: int, axis: int) -> Numbers:
    """The sum of each `window` neighbours along an axis; there are so many fewer."""
    before = np.insert(np.cumsum(values, axis), 0, 0, axis)
    return np.split(before, [window], axis)[1] - np.split(before, [-window], axis)[0]
