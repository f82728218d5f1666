"""The demo upscaler: a compact network (SRVGG) that doubles the sides of an image.

What it learns from is drawn, like the training images of the checkpoints: scenes at full size, and
the same scenes halved. Its tensors have the names of Real-ESRGAN's compact networks.
"""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tools.demo.loop import Loop
from tools.demo.pictures.rendering import render
from tools.demo.pictures.scenes import COLOURS, SHAPES, Group, Scene, draw_scene, held_out
from tools.demo.pictures.styles import STYLES

SCALE: Final = 2
FEATURES: Final = 24
LAYERS: Final = 8
SIDE: Final = 128
CROP: Final = 64
"""Pixels per side of a training image, enlarged."""
STYLE_NAMES: Final = tuple(STYLES)
SEED: Final = 8


class Upscaler(nn.Module):
    """RGB from 0 to 1, doubled. The network learns what to add to the nearest pixels."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, FEATURES, 3, padding=1), nn.PReLU(FEATURES)]
        for _ in range(LAYERS):
            layers += [nn.Conv2d(FEATURES, FEATURES, 3, padding=1), nn.PReLU(FEATURES)]
        layers.append(nn.Conv2d(FEATURES, 3 * SCALE**2, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        added = F.pixel_shuffle(self.body(images), SCALE)
        return added + F.interpolate(images, scale_factor=SCALE, mode="nearest")


def halved(image: Image.Image) -> Image.Image:
    """The small version of an image: each pixel the mean of four."""
    return image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.BOX)


def unseen(seed: int, number: int) -> Iterator[Image.Image]:
    """Images of combinations that no training image has, in each style in turn."""
    every = [
        (shape, colour, ground)
        for shape in SHAPES
        for colour in COLOURS
        for ground in COLOURS
        if colour != ground and held_out(shape, colour, ground)
    ]
    for index in range(number):
        rng = random.Random(f"{seed}/unseen/{index}")
        shape, colour, ground = rng.choice(every)
        scene = Scene((Group(shape, colour),), "plain", ground)
        yield render(scene, rng, STYLE_NAMES[index % len(STYLE_NAMES)])


def psnr(one: Image.Image, other: Image.Image) -> float:
    """How alike two images of a size are, in decibels."""
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    return 10 * math.log10(255**2 / max(float((difference**2).mean()), 1e-10))


def train(folder: Path, steps: int, batch: int = 16) -> Upscaler:
    """Train it, or load it from `folder` where it was trained before."""
    torch.manual_seed(SEED)
    network = Upscaler()

    def loss_of(step: int, _: torch.Generator) -> torch.Tensor:
        rng = random.Random(f"{SEED}/upscaler/{step}")
        large, small = zip(*(_pair(rng) for _ in range(batch)), strict=True)
        enlarged, wanted = network(_tensor(small)), _tensor(large)
        # Squared errors are what PSNR measures; absolute ones keep edges from softening early on.
        return F.l1_loss(enlarged, wanted) + 10 * F.mse_loss(enlarged, wanted)

    Loop(folder, "upscaler", network.parameters(), steps=steps, rate=2e-3, keep=0.995).run(
        SEED, loss_of
    )
    return network.eval().requires_grad_(False)


def write(path: Path, network: Upscaler) -> None:
    """Write the network, fp16."""
    half = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(half, path, {"modelspec.title": "Demo upscaler", "modelspec.license": "MIT"})


def _pair(rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a training image, and what it was halved to."""
    image = render(draw_scene(rng), rng, rng.choice(STYLE_NAMES), SIDE, SIDE)
    left, top = (rng.randrange(0, SIDE - CROP + 1, SCALE) for _ in range(2))
    large = image.crop((left, top, left + CROP, top + CROP))
    return np.asarray(large), np.asarray(halved(large))


def _tensor(images: tuple[np.ndarray, ...]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
