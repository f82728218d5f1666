"""Train four small adapters of four kinds on the demo checkpoint."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn.utils import parametrize

from tools.demo.loop import Loop
from tools.demo.pictures.scenes import draw_scene
from tools.demo.text import Text
from tools.demo.unet import CHUNK, Pictures, Teacher, scene_rng
from tools.demo.words import PRAISE, TRIGGERS, beside, caption

PLAIN_SHARE: Final = 0.2
"""Share of the training images in the checkpoint's own style without the trigger word, so that only
the word brings the adapter's style."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One adapter: its kind, size and layers.

    style: of its training images. algo: LyCORIS' name of the algorithm, "" for plain LoRA.
    convolutions: whether it changes those too. steps: of training.
    """

    style: str
    title: str
    description: str
    algo: str
    rank: int
    convolutions: bool
    steps: int

    @property
    def trigger(self) -> str:
        """The trigger word of the style."""
        return TRIGGERS[self.style]


PLANS: Final = (
    Plan("sketch", "Sketch", "Coloured pencil on paper.", "", 4, False, 600),
    Plan("neon", "Neon", "Tubes of light before a dark wall.", "lokr", 4, False, 1500),
    Plan("pixel", "Pixel", "Large blocks, as on an old screen.", "loha", 4, True, 1500),
    Plan("clay", "Clay", "Soft solid things with light and shadow.", "locon", 4, True, 1500),
)


class Delta(nn.Module):
    """The difference added to one weight (out, in, …), computed from small parameters."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        self.out, self.into = weight.shape[0], weight[0].numel()
        self.rank = rank
        self._whole = weight.shape

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.delta().reshape(self._whole)

    def delta(self) -> torch.Tensor:
        """The difference, (out, in); alpha equals the rank, so the scale is 1."""
        raise NotImplementedError

    def tensors(self) -> dict[str, torch.Tensor]:
        """The parameters as in the algorithm's files, without the layer's name."""
        raise NotImplementedError


class Lora(Delta):
    """LoRA (https://arxiv.org/abs/2106.09685); called LoCon when it includes convolutions."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight, rank)
        self.down = nn.Parameter(torch.randn(rank, self.into) / self.into**0.5)
        self.up = nn.Parameter(torch.zeros(self.out, rank))

    def delta(self) -> torch.Tensor:
        return self.up @ self.down

    def tensors(self) -> dict[str, torch.Tensor]:
        down = self.down.reshape(self.rank, *self._whole[1:])
        up = self.up.reshape(self.out, self.rank, *(1 for _ in self._whole[2:]))
        return {"lora_down.weight": down, "lora_up.weight": up}


class Loha(Delta):
    """The Hadamard product of two low-rank matrices (https://arxiv.org/abs/2108.06098)."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight, rank)
        self.w1_a = nn.Parameter(torch.randn(self.out, rank) * 0.1)
        self.w1_b = nn.Parameter(torch.randn(rank, self.into))
        self.w2_a = nn.Parameter(torch.zeros(self.out, rank))
        self.w2_b = nn.Parameter(torch.randn(rank, self.into) * 0.1)

    def delta(self) -> torch.Tensor:
        return (self.w1_a @ self.w1_b) * (self.w2_a @ self.w2_b)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f"hada_{name}": value for name, value in self.named_parameters()}


class Lokr(Delta):
    """The Kronecker product of a small matrix and a low-rank one (LyCORIS, "lokr")."""

    FACTOR = 4

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight, rank)
        self.w1 = nn.Parameter(torch.randn(self.FACTOR, self.FACTOR))
        self.w2_a = nn.Parameter(torch.zeros(self.out // self.FACTOR, rank))
        self.w2_b = nn.Parameter(torch.randn(rank, self.into // self.FACTOR) / self.into**0.5)

    def delta(self) -> torch.Tensor:
        return torch.kron(self.w1, self.w2_a @ self.w2_b)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f"lokr_{name}": value for name, value in self.named_parameters()}


FAMILIES: Final[dict[str, Callable[[torch.Tensor, int], Delta]]] = {
    "": Lora,
    "locon": Lora,
    "loha": Loha,
    "lokr": Lokr,
}


def put_on(unet: UNet2DConditionModel, plan: Plan, seed: int) -> dict[str, Delta]:
    """Add a new adapter to the weights of `unet`; returns its parts by layer name."""
    torch.manual_seed(seed)
    parts: dict[str, Delta] = {}
    for name, layer in list(unet.named_modules()):
        attention = isinstance(layer, nn.Linear) and ".attentions." in name
        convolution = isinstance(layer, nn.Conv2d) and ".resnets." in name
        if attention or (plan.convolutions and convolution):
            parts[name] = FAMILIES[plan.algo](layer.weight, plan.rank)
            parametrize.register_parametrization(layer, "weight", parts[name])
    return parts


def take_off(unet: UNet2DConditionModel) -> None:
    """Remove the adapter; the weights are as they were."""
    for layer in list(unet.modules()):
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def train(
    folder: Path,
    unet: UNet2DConditionModel,
    text: Text,
    plan: Plan,
    styled: Pictures,
    plain: Pictures,
    *,
    seed: int,
    batch: int = 16,
) -> dict[str, torch.Tensor]:
    """Train one adapter on `unet`, which is unchanged afterwards; returns its tensors, float32.

    styled, plain: the same scenes, in the adapter's style and in the checkpoint's own.
    """
    parts = put_on(unet, plan, seed)
    teacher = Teacher(text)

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        rng = random.Random(f"{seed}/{plan.style}/{step}")
        own = rng.random() >= PLAIN_SHARE
        chunks = (styled if own else plain).latents[: len(styled.latents)]
        chunk = rng.randrange(len(chunks))
        chosen = [rng.randrange(CHUNK) for _ in range(batch)]
        captions = [_caption(plan, styled.seed, chunk, k, own, rng) for k in chosen]
        latents = chunks[chunk][chosen].float()
        size = [8 * latents.shape[-1], 8 * latents.shape[-2]]
        return teacher.loss(unet, latents, captions, size, generator)

    parameters = [parameter for part in parts.values() for parameter in part.parameters()]
    Loop(folder, plan.style, parameters, steps=plan.steps, rate=4e-3, decay=0.0, keep=0.99).run(
        seed, loss_of
    )
    found: dict[str, torch.Tensor] = {}
    for name, part in parts.items():
        prefix = f"lora_unet_{name.replace('.', '_')}"
        found |= {
            f"{prefix}.{kind}": value.detach().clone() for kind, value in part.tensors().items()
        }
        found[f"{prefix}.alpha"] = torch.tensor(float(plan.rank))
    take_off(unet)
    return found


def _caption(plan: Plan, seed: int, chunk: int, k: int, own: bool, rng: random.Random) -> str:
    words = caption(draw_scene(scene_rng(seed, chunk, k)), rng)
    others = (*TRIGGERS.values(), *PRAISE)
    bare = ", ".join(part for part in words.split(", ") if part not in others)
    return beside(bare or words, plan.trigger, rng) if own else bare or words
