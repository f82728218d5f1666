"""What ControlNets add to a UNet while it denoises one pass. Imports torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.subject import Subject
from bot.request import ControlUse

UNION_TYPES: Final = {
    "openpose": 0,
    "depth": 1,
    **dict.fromkeys(("softedge", "scribble"), 2),
    **dict.fromkeys(("canny", "lineart", "mlsd"), 3),
    "normal": 4,
    "segment": 5,
    "tile": 6,
}
"""The number of each type in a Union, as xinsir's ControlNet++ has them; 6 only in its ProMax."""

BLOCKS: Final = r".+\.transformer_blocks\.\d+"
"""Modules of a ControlNet that are called one after the other: of SDXL's, 2.0 of 2.3 GiB."""
SIDE: Final = 64
"""Sides of a T2I-Adapter's map are multiples of it, so that each level halves them evenly."""


@dataclass(slots=True)
class Added:
    """What is added to a UNet at one step; nothing where a field is None.

    down: to each of the states that its first half hands to the second. middle: to the one between
    them. within: inside of its first half, from T2I-Adapters.
    """

    down: list[torch.Tensor] | None = None
    middle: torch.Tensor | None = None
    within: list[torch.Tensor] | None = None

    def residuals(self, down: Sequence[torch.Tensor], middle: torch.Tensor) -> None:
        self.down = _sum(self.down, down)
        self.middle = middle if self.middle is None else self.middle + middle

    def features(self, within: Sequence[torch.Tensor]) -> None:
        self.within = _sum(self.within, within)

    @property
    def arguments(self) -> dict[str, Any]:
        """As diffusers' UNet takes them."""
        given: dict[str, Any] = {}
        if self.down is not None:
            given["down_block_additional_residuals"] = tuple(self.down)
            given["mid_block_additional_residual"] = self.middle
        if self.within is not None:
            given["down_intrablock_additional_residuals"] = list(self.within)
        return given


def _sum(before: list[torch.Tensor] | None, more: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    if before is None:
        return list(more)
    return [one + other for one, other in zip(before, more, strict=True)]


class Acting(Protocol):
    """One ControlNet in one pass."""

    @property
    def use(self) -> ControlUse:
        """What was asked of it."""

    def add(self, added: Added, latents: torch.Tensor, timestep: torch.Tensor, **told: Any) -> None:
        """Add to `added` for these inputs of the UNet. told: what else the UNet is told."""


@dataclass(frozen=True, slots=True)
class Network:
    """A ControlNet, or a Union of several; see `families.ControlNetwork`."""

    module: Any
    union: bool
    blocks = BLOCKS

    def check(self, use: ControlUse, subject: Subject) -> None:
        if not self.union:
            return
        most = int(self.module.config.num_control_type)
        if UNION_TYPES.get(use.type, most) >= most:
            known = [name for name, number in UNION_TYPES.items() if number < most]
            raise subject.failed("control.type", value=use.type, allowed=tuple(known))

    def acting(self, use: ControlUse, map_: PIL.Image.Image, place: Place) -> "ActingNetwork":
        number = UNION_TYPES[use.type] if self.union else None
        return ActingNetwork(use, self.module, _tensor(map_, place), number)


@dataclass(frozen=True, slots=True)
class ActingNetwork:
    """A ControlNet that looks at the latents of each step.

    map: shape (1, 3, height, width), 0–1. number: of the type in a Union.
    """

    use: ControlUse
    module: Any
    map: torch.Tensor
    number: int | None

    def add(self, added: Added, latents: torch.Tensor, timestep: torch.Tensor, **told: Any) -> None:
        rows = latents.shape[0]
        condition = self.map.expand(rows, -1, -1, -1)
        given: dict[str, Any] = {"controlnet_cond": condition}
        if self.number is not None:
            types = torch.zeros(rows, self.module.config.num_control_type, device=latents.device)
            types[:, self.number] = 1
            given = {
                "controlnet_cond": [condition],
                "control_type": types.to(latents.dtype),
                "control_type_idx": [self.number],
            }
        down, middle = self.module(
            latents,
            timestep,
            conditioning_scale=self.use.weight,
            return_dict=False,
            **given,
            **told,
        )
        added.residuals(down, middle)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A T2I-Adapter; see `families.ControlNetwork`."""

    module: Any
    blocks = ""

    def check(self, use: ControlUse, subject: Subject) -> None:
        """It does not know what it follows."""

    def acting(self, use: ControlUse, map_: PIL.Image.Image, place: Place) -> "ActingAdapter":
        if self.module.config.in_channels == 1:
            map_ = map_.convert("L")
        pixels = _tensor(map_, place)
        missing = (0, -map_.width % SIDE, 0, -map_.height % SIDE)
        if any(missing):
            pixels = torch.nn.functional.pad(pixels, missing, mode="replicate")
        features = []
        for feature in self.module(pixels):
            shrunk = pixels.shape[2] // feature.shape[2]
            down, across = math.ceil(map_.height / shrunk), math.ceil(map_.width / shrunk)
            features.append(feature[:, :, :down, :across] * use.weight)
        return ActingAdapter(use, tuple(features))


@dataclass(frozen=True, slots=True)
class ActingAdapter:
    """A T2I-Adapter: features of the map, the same at each step, times its weight."""

    use: ControlUse
    features: tuple[torch.Tensor, ...]

    def add(self, added: Added, latents: torch.Tensor, timestep: torch.Tensor, **told: Any) -> None:
        rows = latents.shape[0]
        added.features([feature.expand(rows, -1, -1, -1) for feature in self.features])


@dataclass(slots=True)
class Controlled:
    """A UNet with what ControlNets add to it, to be called like it in one pass.

    acting: in the order in which their sums are built. steps: of the pass. order: evaluations of
    each step.
    """

    unet: Any
    acting: Sequence[Acting]
    steps: int
    order: int
    _evaluations: int = field(default=0, init=False)

    def __call__(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        *,
        encoder_hidden_states: torch.Tensor,
        added_cond_kwargs: Any,
        return_dict: bool,
    ) -> Any:
        step, added = self._evaluations // self.order, Added()
        self._evaluations += 1
        told = {
            "encoder_hidden_states": encoder_hidden_states,
            "added_cond_kwargs": added_cond_kwargs,
        }
        for each in self.acting:
            # As diffusers counts: a step belongs to it that lies within its share as a whole.
            if each.use.start <= step / self.steps and (step + 1) / self.steps <= each.use.end:
                each.add(added, latents, timestep, **told)
        return self.unet(latents, timestep, **told, return_dict=return_dict, **added.arguments)


def _tensor(map_: PIL.Image.Image, place: Place) -> torch.Tensor:
    """Shape (1, 3, height, width), 0–1; (1, 1, height, width) of a grey image."""
    levels = np.asarray(map_, np.float32) / np.float32(255)
    channels = levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(channels))[None].to(place.device, place.dtype)
