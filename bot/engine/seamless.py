"""Images whose opposite edges meet: convolutions that wrap around. Imports torch.

Networks of convolutions see nothing beyond an image's edges but zeros. Where they see its other
side instead, the image continues there, as AUTOMATIC1111, InvokeAI and ComfyUI's extensions for
tiling have it. They set `padding_mode` of every convolution to `circular`; here, nothing about a
network is changed. What is called is looked at while a job runs, and in its thread alone, so that
nothing can be left behind, and what is compiled beside it stays as it is.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bot.engine.memory import TILE

OVERLAP: Final = TILE // 4
"""Pixels by which an image in tiles is extended by its other side: as much as its tiles overlap."""


def wrapping(wraps: bool) -> AbstractContextManager[Any]:
    """Within it, what convolutions of this thread see beyond an image is its other side, if it
    `wraps`."""
    return _Wrapping() if wraps else nullcontext()


class _Wrapping(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        # Not asked again by what is called from here.
        if func is functional.conv2d:
            return _convolved(*args, **(kwargs or {}))
        if func is functional.pad:
            return _padded(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _convolved(
    seen: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> torch.Tensor:
    down, across = (padding, padding) if isinstance(padding, int) else padding
    around = functional.pad(seen, (across, across, down, down), mode="circular")
    return functional.conv2d(around, weight, bias, stride, 0, dilation, groups)


def _padded(
    seen: torch.Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> torch.Tensor:
    """An image or features, which a VAE pads before it halves them; nothing else, such as masks."""
    if mode == "constant" and seen.dim() == len(pad) == 4:
        return functional.pad(seen, tuple(pad), mode="circular")
    return functional.pad(seen, tuple(pad), mode, value)


def decoded(
    decode: Callable[[torch.Tensor], torch.Tensor],
    latents: torch.Tensor,
    scale: int,
    *,
    tiled: bool,
) -> torch.Tensor:
    """What `decode` makes of latents, (1, 4, height, width), so that opposite edges meet.

    scale: pixels per latent along each side. tiled: whether `decode` goes by tiles, which do not
    wrap around themselves: then the other side is beside the image as well, and blended into it.
    """
    if not tiled:
        with wrapping(wraps=True):
            return decode(latents)
    more = min(OVERLAP // scale, *latents.shape[-2:])
    return _joined(decode(_extended(latents, more)), more * scale)


def distribution(
    encode: Callable[[torch.Tensor], Any], pixels: torch.Tensor, scale: int, *, tiled: bool
) -> Any:
    """The reverse: diffusers' distribution of the latents of pixels, (1, 3, height, width)."""
    if not tiled:
        with wrapping(wraps=True):
            return encode(pixels)
    more = min(OVERLAP, *pixels.shape[-2:]) // scale
    found = encode(_extended(pixels, more * scale))
    return type(found)(_joined(found.parameters, more))


def _extended(image: torch.Tensor, more: int) -> torch.Tensor:
    """With so much of the left behind the right, and of the top below the bottom."""
    return functional.pad(image, (0, more, 0, more), mode="circular")


def _joined(extended: torch.Tensor, more: int) -> torch.Tensor:
    """As large as before `_extended`: what is behind the right turns into the left step by step."""
    for side in (-2, -1):
        length = extended.shape[side] - more
        begins, ends = extended.narrow(side, 0, more), extended.narrow(side, length, more)
        shape = [1] * extended.dim()
        shape[side] = more
        share = torch.linspace(0, 1, more + 1, device=extended.device)[:-1].reshape(shape)
        blended = torch.lerp(ends.float(), begins.float(), share).to(extended.dtype)
        rest = extended.narrow(side, more, length - more)
        extended = torch.cat((blended, rest), side)
    return extended
