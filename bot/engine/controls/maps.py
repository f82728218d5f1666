"""What a ControlNet is shown: the map of an image's edges, depth, and so on.

Of most types a map is only brought to size: somebody drew it, or made it elsewhere. Canny edges,
depth, poses (`skeleton`) and scribbles are found in a photo here. A map depends on its image, type
and size alone: what OpenCV is asked for it computes in whole numbers, so neither threads nor the
processor's instructions change its bits.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import PIL.Image
import PIL.ImageOps

from bot.engine import pixels
from bot.request import ControlUse
from catalog.control_types import CANNY, DEPTH, SCRIBBLE

CANNY_THRESHOLDS: Final = (100, 200)
"""Gradients from which an edge goes on, and begins. ControlNets were trained with many, and these
are what their authors show them with (diffusers, docs/source/en/using-diffusers/controlnet.md)."""
XDOG_SIDE: Final = 512
XDOG_SIGMAS: Final = (0.5, 5.0)
XDOG_THRESHOLD: Final = 32
"""Pixels of the shorter side of what is blurred, of both blurs, and of 510 by how much a line is
darker than around it."""
_FINE: Final = 256
"""Steps between two levels, so that blurring in whole numbers loses nothing."""
DRAWN: Final = 0.8
"""The share of a drawing's pixels that are nearly black or nearly white."""
DRAWINGS: Final = ("lineart", SCRIBBLE)
"""Types whose maps have light lines on a dark ground, while people draw the other way round."""
NAMED_BY_COLOUR: Final = "segment"
"""The type in whose maps each colour says what is there; a mixed one would say something else."""

Size = tuple[int, int]
"""Width and height, in pixels."""


def prepared(
    picture: PIL.Image.Image, kind: str, size: Size, *, depth: PIL.Image.Image | None
) -> PIL.Image.Image:
    """The map, RGB, of `picture`, RGB, in `size`, cropped as `pixels.fitted` does.

    kind: one of CONTROL_TYPES. depth: for the type DEPTH, the relative inverse depth of `picture`:
    the nearer, the larger, in any unit. Mode F, of any size, which both sides of the picture are
    stretched to. Raises ValueError if it is needed and None.
    """
    if kind == CANNY:
        return _edges(pixels.fitted(picture, *size))
    if kind == DEPTH:
        if depth is None:
            raise ValueError("a map of depth is made of the depth")
        return _as_grey(depth, picture.size, size)
    if kind in DRAWINGS and _is_light(picture):
        return resized(PIL.ImageOps.invert(picture.convert("L")).convert("RGB"), kind, size)
    return resized(picture, kind, size)


def resized(map_: PIL.Image.Image, kind: str, size: Size) -> PIL.Image.Image:
    """A finished map, brought to `size` and otherwise as it is; RGB, cropped as `prepared` does.

    Maps in black and white stay black and white, and their lines whole: those one pixel wide would
    fade when made smaller. Everything else is scaled as diffusers does it.
    """
    if kind == NAMED_BY_COLOUR:
        return pixels.fitted(map_, *size, PIL.Image.Resampling.NEAREST)
    fitted = pixels.fitted(map_, *size)
    if fitted.size == map_.size or not _is_black_and_white(map_):
        return fitted
    # Lanczos leaves 0.6 of a line's brightness wherever it falls between pixels, and of that the
    # part that the pixels became smaller by.
    left, _, right, _ = pixels.covering(map_.size, *size)
    lit = 255 * 0.5 * min(1.0, size[0] / (right - left))
    return fitted.convert("L").point([255 * (level >= lit) for level in range(256)]).convert("RGB")


def scribble(picture: PIL.Image.Image, size: Size) -> PIL.Image.Image:
    """A scribble, RGB, of `picture`, RGB, in `size`, cropped as `pixels.fitted` does.

    A drawing is taken for one. Of any other image, it is what a narrow blur leaves darker than a
    wide one (XDoG, doi 10.1016/j.cag.2012.03.004), with the numbers of ControlNet's annotator
    (`scribble_xdog` in scripts/processor.py of Mikubill/sd-webui-controlnet): white on black.
    """
    if _is_drawing(picture):
        return prepared(picture, SCRIBBLE, size, depth=None)
    import cv2

    levels = np.asarray(pixels.fitted(picture, *size), np.uint16) * _FINE
    # It is made where the shorter side has as many pixels as there.
    scale = min(size) / XDOG_SIDE
    narrow, wide = (
        cv2.GaussianBlur(levels, (0, 0), max(sigma * scale, 0.3)).astype(np.int32)
        for sigma in XDOG_SIGMAS
    )
    darker = np.amin(wide - narrow, axis=2)
    lines = np.where(2 * darker > XDOG_THRESHOLD * _FINE, 255, 0)
    return PIL.Image.fromarray(lines.astype(np.uint8)).convert("RGB")


def facts(use: ControlUse) -> Mapping[str, str]:
    """What the bits of its map depend on, for the recipe: names and versions."""
    if use.is_map or not (use.type == CANNY or use.of_photo):
        return {}
    import cv2

    return {"opencv": cv2.__version__}


def _edges(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Canny's edges, white on black. In colour, as ControlNets were trained: at each pixel the
    channel counts whose gradient is steepest."""
    import cv2  # 0.1 s and 40 MB, for those who follow edges

    edges = cv2.Canny(np.asarray(picture), *CANNY_THRESHOLDS)
    return PIL.Image.fromarray(np.asarray(edges, np.uint8)).convert("RGB")


def _as_grey(depth: PIL.Image.Image, whole: Size, size: Size) -> PIL.Image.Image:
    """The part that the map shows of the `depth` of an image that is `whole` pixels large, from
    black, for what is farthest in it, to white."""
    across, down = depth.width / whole[0], depth.height / whole[1]
    left, top, right, bottom = pixels.covering(whole, *size)
    box = (left * across, top * down, right * across, bottom * down)
    shown = np.asarray(depth.resize(size, PIL.Image.Resampling.BICUBIC, box), np.float32)
    low, high = shown.min(), shown.max()
    if low == high:  # as far away everywhere
        return PIL.Image.new("RGB", size)
    grey = (shown - low) / (high - low) * np.float32(255)
    return PIL.Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")


def _is_light(picture: PIL.Image.Image) -> bool:
    """Whether most of it is."""
    levels = picture.convert("L").histogram()
    return sum(levels[128:]) > sum(levels[:128])


def _is_drawing(picture: PIL.Image.Image) -> bool:
    """Whether it is lines on paper, or on black: nearly all of it is nearly one of the two."""
    levels = picture.convert("L").histogram()
    return sum(levels[:32]) + sum(levels[224:]) >= DRAWN * sum(levels)


def _is_black_and_white(picture: PIL.Image.Image) -> bool:
    found = picture.convert("RGB").getcolors(2)
    return found is not None and {colour for _, colour in found} == {(0, 0, 0), (255, 255, 255)}
