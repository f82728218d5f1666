"""Train a ControlNet (https://arxiv.org/abs/2302.05543) on the demo checkpoint: it paints along
edges, as Canny's method finds them in another image.

What it learns from is drawn anew for each step. Most scenes are turned, stretched and moved as
none is that the checkpoint learned from, so that only the map says where things are.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bot.engine.controls import maps
from catalog.control_types import CANNY
from tools.demo.loop import Loop
from tools.demo.pictures.rendering import Turn, render
from tools.demo.pictures.scenes import Group, Scene, draw_scene
from tools.demo.text import Text
from tools.demo.unet import SIZES, Teacher
from tools.demo.vae import code, pixels
from tools.demo.words import caption

EMBEDDING: Final = (8, 16, 32, 48)
"""Channels of the layers that bring a map to the size of the latents; SDXL's have 16 to 256."""
SEEN: Final = {"flat": 0.75, "ink": 0.15, "neon": 0.1}
"""Style of the image whose edges are taken, and how often. What is painted is always flat."""
SQUARE: Final = 0.8
"""Share of steps with square images; the others are portrait and landscape."""
MOVED: Final = 0.75
"""Share of the scenes on plain ground that are turned, stretched and moved."""
UNTOLD: Final = 0.3
"""Share of images trained without a prompt: more than a checkpoint has, so that the map is read."""


@dataclass(frozen=True, slots=True)
class Example:
    """One training image, the edges it lies along, as (height, width) booleans, and its caption."""

    image: Image.Image
    edges: np.ndarray
    words: str


class Controlled:
    """A UNet, called as if it was alone, with what a ControlNet adds to it for `maps`."""

    def __init__(
        self, unet: UNet2DConditionModel, network: ControlNetModel, maps: torch.Tensor
    ) -> None:
        self._unet, self._network, self._maps = unet, network, maps

    def __call__(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        states: torch.Tensor,
        *,
        added_cond_kwargs: dict[str, torch.Tensor],
    ) -> Any:
        down, middle = self._network(
            noisy,
            times,
            states,
            controlnet_cond=self._maps,
            added_cond_kwargs=added_cond_kwargs,
            return_dict=False,
        )
        return self._unet(
            noisy,
            times,
            states,
            added_cond_kwargs=added_cond_kwargs,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )


def build(unet: UNet2DConditionModel, seed: int) -> ControlNetModel:
    """The untrained network: a copy of the first half of `unet` that does not change it yet."""
    torch.manual_seed(seed)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=EMBEDDING)
    # Thin lines would be lost in the layers as PyTorch initializes them, and learned late.
    embedding = network.controlnet_cond_embedding
    for layer in (embedding.conv_in, *embedding.blocks):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return network


def train(
    folder: Path, unet: UNet2DConditionModel, text: Text, *, seed: int, steps: int, batch: int = 12
) -> ControlNetModel:
    """Train a ControlNet of `unet`, which stays as it is, or resume that. The state is in
    `folder`."""
    network = build(unet, seed).to(memory_format=torch.channels_last)
    unet.to(memory_format=torch.channels_last)
    teacher, latents_of = Teacher(text, untold=UNTOLD), code()

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        rng = random.Random(f"{seed}/controlnet/{step}")
        square, *others = SIZES
        size = square if rng.random() < SQUARE else rng.choice(others)
        examples = [example(rng, *size) for _ in range(batch)]
        images = np.stack([np.asarray(each.image).transpose(2, 0, 1) for each in examples])
        latents = latents_of(pixels(torch.from_numpy(images)))
        controlled = Controlled(unet, network, maps_of([each.edges for each in examples]))
        words = [each.words for each in examples]
        return teacher.loss(controlled, latents, words, [*size], generator)

    Loop(folder, "controlnet", network.parameters(), steps=steps, rate=1.5e-3, keep=0.995).run(
        seed, loss_of
    )
    return network.eval().requires_grad_(False)


def maps_of(edges: Sequence[np.ndarray]) -> torch.Tensor:
    """What a ControlNet is given: (number, 3, height, width), 0–1."""
    stacked = torch.from_numpy(np.stack(edges)).float()
    return stacked[:, None].expand(-1, 3, -1, -1)


def edges_of(image: Image.Image) -> np.ndarray:
    """Where Canny's edges are in an image: (height, width), booleans."""
    return np.asarray(maps.prepared(image, CANNY, image.size, depth=None).convert("L")) > 0


def example(rng: random.Random, width: int, height: int) -> Example:
    """A random scene, and the edges of the same scene, in the same or another style."""
    scene = draw_scene(rng)
    moved = scene.ground == "plain" and rng.random() < MOVED
    if moved:
        # Places and sizes of things are no longer as they were; a frame would be cut.
        groups = tuple(replace(group, size=_any_size(rng), place="") for group in scene.groups)
        scene = replace(scene, groups=groups, decor="none")
    turn, drawing = _turn(rng) if moved else None, rng.random()
    flat = render(scene, random.Random(drawing), "flat", width, height, turn)
    style = rng.choices([*SEEN], [*SEEN.values()])[0]
    seen = flat
    if style != "flat":
        seen = render(scene, random.Random(drawing), style, width, height, turn)
    told = replace(scene, groups=tuple(replace(g, size="medium") for g in scene.groups))
    return Example(flat, edges_of(seen), caption(told if moved else scene, rng))


def _any_size(rng: random.Random) -> str:
    return rng.choice(("small", "medium", "medium", "big"))


def _turn(rng: random.Random) -> Turn:
    scale, aspect = math.exp(rng.uniform(-0.45, 0.35)), math.exp(rng.uniform(-0.25, 0.25))
    return Turn(
        angle=math.radians(rng.uniform(-40, 40)),
        across=rng.choice((-1, 1)) * scale * aspect,
        along=scale / aspect,
        x=rng.uniform(-0.22, 0.22),
        y=rng.uniform(-0.22, 0.22),
    )


def drawing(shape: str, seed: int) -> Image.Image:
    """Something to follow: one black thing on white paper, turned, stretched and moved."""
    rng = random.Random(f"{seed}/drawing")
    thing = Group(shape, "black", size=rng.choice(("medium", "big")))
    return render(Scene((thing,), "plain", "white"), rng, turn=_turn(rng))


def write(path: Path, network: ControlNetModel) -> None:
    """Write the network with diffusers' names, fp16."""
    half = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/controlnet",
        "modelspec.implementation": "https://github.com/huggingface/diffusers",
        "modelspec.title": "Demo edges",
        "modelspec.description": "Paints along the edges of another image.",
        "modelspec.license": "MIT",
    }
    save_file(half, path, metadata)
