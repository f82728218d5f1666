"""A part of an image, painted at a size of its own and put back: "only masked" inpainting.

The smallest box around the mask, with padding, is widened to the shape of what the model paints,
as AUTOMATIC1111's web UI and diffusers' `padding_mask_crop` do it, cut out, scaled, and kept as
`bot.engine.inpainting` keeps an image. What was painted is scaled back, and takes the place of what
is masked; every pixel outside the mask and its seam stays as it was.

Imports torch; runs in the engine thread only.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import PIL.Image
import torch

from bot.engine import pixels
from bot.engine.denoise import Keep
from bot.engine.inpainting import SEAM_MIN, SEAMS, Bytes, Kept, begun_from, with_seam
from bot.request.parts import Box

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an image that is painted.

    whole: the image, RGB. box: the part, which reaches beyond the image where that is too small to
    have one of the right shape. change: float32, (box.height, box.width), how much of each pixel is
    replaced, from 0 to 1. kept: the part at the size at which it is painted.
    """

    whole: PIL.Image.Image
    box: Box
    change: np.ndarray[Any, np.dtype[np.float32]]
    kept: Kept

    @classmethod
    def of(
        cls,
        image: PIL.Image.Image,
        mask: PIL.Image.Image,
        padding: int,
        size: Size,
        strength: float,
    ) -> Self:
        """The part of `image`, RGB, around what is white in `mask`, of any size; where nothing is,
        all of it.

        padding: pixels of the image around the mask and its seam. size: at which it is painted.
        strength: see `InitImage`.
        """
        grey = pixels.fitted(mask, *image.size, PIL.Image.Resampling.BILINEAR).convert("L")
        white: Bytes = np.asarray(grey)
        left, top, right, bottom = grey.getbbox() or (0, 0, *image.size)
        seam = _seam(right - left, bottom - top)
        soft = _within((left, top, right, bottom), 2 * (seam // 2) + 1, image.size)
        changed = np.zeros(white.shape, np.float32)
        across, down = slice(soft[0], soft[2]), slice(soft[1], soft[3])
        changed[down, across] = with_seam(white[down, across], seam).numpy()
        box = shaped(_bounds(changed) or soft, padding, image.size, size)
        change = cut(changed, box, "constant")
        inner = PIL.Image.fromarray(cut(np.asarray(image), box)).resize(
            size, PIL.Image.Resampling.LANCZOS
        )
        masked = PIL.Image.fromarray(cut(white, box)).resize(size, PIL.Image.Resampling.BILINEAR)
        # Bilinear adds nothing around an edge: what is kept outside is kept inside, too.
        large = PIL.Image.fromarray(change).resize(size, PIL.Image.Resampling.BILINEAR)
        begun = begun_from(np.asarray(inner), np.asarray(masked), strength)
        kept = Kept(PIL.Image.fromarray(begun), torch.from_numpy(np.array(large, np.float32)))
        return cls(image, box, change, kept)

    @property
    def image(self) -> PIL.Image.Image:
        """What painting begins with."""
        return self.kept.image

    def keep(
        self, scheduler: Any, timesteps: torch.Tensor, clean: torch.Tensor, noise: torch.Tensor
    ) -> Keep:
        """See `Kept.keep`."""
        return self.kept.keep(scheduler, timesteps, clean, noise)

    def over(self, painted: PIL.Image.Image) -> PIL.Image.Image:
        """The image with what was painted in its place."""
        box = self.box
        small = painted.resize((box.width, box.height), PIL.Image.Resampling.LANCZOS)
        whole = np.array(self.whole)
        left, top = max(box.left, 0), max(box.top, 0)
        right, bottom = (
            min(box.left + box.width, self.whole.width),
            min(box.top + box.height, self.whole.height),
        )
        place = np.s_[top:bottom, left:right]
        own = np.s_[top - box.top : bottom - box.top, left - box.left : right - box.left]
        old, new = whole[place].astype(np.float32), np.asarray(small, np.float32)[own]
        whole[place] = np.rint(old + (new - old) * self.change[own][..., None])
        return PIL.Image.fromarray(whole)

    def part_of(self, picture: PIL.Image.Image, of: Size | None = None) -> PIL.Image.Image:
        """What of another picture lies where the part does, if it is cropped to the image's shape.

        of: the size of the picture that this one belongs to, and is scaled to first.
        """
        if of is not None and of != picture.size:
            picture = picture.resize(of, PIL.Image.Resampling.BICUBIC)
        return PIL.Image.fromarray(cut(np.asarray(picture), self.box_in(picture.size)))

    def box_in(self, size: Size) -> Box:
        """Where the part is in another picture of that size, likewise, in its pixels; it may extend
        beyond its edges."""
        left, top, right, _ = pixels.covering(size, *self.whole.size)
        scale, box = (right - left) / self.whole.width, self.box
        begin = round(left + box.left * scale), round(top + box.top * scale)
        end = (
            round(left + (box.left + box.width) * scale),
            round(top + (box.top + box.height) * scale),
        )
        sides = (max(1, to - at) for at, to in zip(begin, end, strict=True))
        return Box(*begin, *sides)


def off_edges(box: Box, whole: Size) -> Box | None:
    """As much of `box` as can be painted without changing a pixel at an edge of an image of the
    size `whole`, seam included; None if nothing can."""
    more = 2 * (_seam(box.width, box.height) // 2) + 1
    left, top = max(box.left, more), max(box.top, more)
    right = min(box.left + box.width, whole[0] - more)
    bottom = min(box.top + box.height, whole[1] - more)
    return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _seam(width: int, height: int) -> int:
    """Pixels in which what is painted turns into what is around a part of that size."""
    return max(SEAM_MIN, min(width, height) // SEAMS)


def shaped(bounds: tuple[int, int, int, int], padding: int, whole: Size, size: Size) -> Box:
    """The smallest box around `bounds`, and `padding` pixels of the image around these, that has
    the shape of `size`.

    bounds: left, top, right and bottom in an image of the size `whole`. Within that, unless it is
    too small: then it reaches beyond both of its edges alike.
    """
    left, top, right, bottom = _within(bounds, padding, whole)
    ratio = size[0] / size[1]
    if (right - left) / (bottom - top) > ratio:
        top, bottom = _widened(top, bottom, int((right - left) / ratio), whole[1])
    else:
        left, right = _widened(left, right, int((bottom - top) * ratio), whole[0])
    return Box(left, top, right - left, bottom - top)


def _widened(begin: int, end: int, length: int, whole: int) -> tuple[int, int]:
    """A stretch that is made at least so long, on both sides alike, as far as these have room."""
    more = max(0, length - (end - begin))
    begin, end = begin - more // 2, end + more - more // 2
    if end - begin > whole:
        return begin, end
    over = max(0, end - whole) + min(0, begin)
    return begin - over, end - over


def _within(bounds: tuple[int, int, int, int], more: int, whole: Size) -> tuple[int, int, int, int]:
    left, top, right, bottom = bounds
    return (
        *(max(0, left - more), max(0, top - more)),
        *(min(whole[0], right + more), min(whole[1], bottom + more)),
    )


def _bounds(
    changed: np.ndarray[Any, np.dtype[np.float32]],
) -> tuple[int, int, int, int] | None:
    """The smallest rectangle around what is not 0; None if nothing is."""
    down, across = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    if not len(down):
        return None
    return int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1


def cut(values: Any, box: Box, beyond: Any = "edge") -> Any:
    """What is in `box` of an image, (height, width) or (height, width, channels).

    beyond: what is outside of the image, as numpy's `pad` calls it.
    """
    height, width = values.shape[:2]
    right, bottom = box.left + box.width, box.top + box.height
    # At least a pixel of it, so that there is an edge to go on with.
    left, top = min(max(box.left, 0), width - 1), min(max(box.top, 0), height - 1)
    inner = values[top : max(min(bottom, height), top + 1), left : max(min(right, width), left + 1)]
    around = [
        (max(0, -box.top), max(0, bottom - height)),
        (max(0, -box.left), max(0, right - width)),
    ]
    around += [(0, 0)] * (values.ndim - 2)
    return np.ascontiguousarray(np.pad(inner, around, beyond))
