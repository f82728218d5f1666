"""Train the VAE: small, sharp on flat colours and edges, with latents scaled like SDXL's.

Its latents are prescribed, not learned: the colours of the image at an eighth of its size, and the
contrast within each 8×8 pixels. A UNet as small as ours learns to generate those much sooner than
latents that a VAE makes up, and its training need not wait for the VAE's.
"""

import math
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from tools.demo.loop import Loop
from tools.demo.pictures.rendering import render
from tools.demo.pictures.scenes import draw_scene

SEED = 1
"""Of the VAE's training images."""
SCALING = 0.13025
"""SDXL's scaling_factor: matching latents have a standard deviation of 1/SCALING."""
NOISE = 0.05
"""Standard deviation of the noise on scaled latents that the decoder learns to ignore."""
CROP = 48
PLACES = (128 - CROP) // 8 + 1
"""Positions of a crop along one side of an image."""
SHARES = {"flat": 1200, "ink": 600, "sketch": 300, "neon": 300, "pixel": 300, "clay": 300}
"""Training images per style, most of the style that is used most."""
SDXL_COLOURS = torch.tensor(
    [[60.0, -60.0, 25.0, -70.0], [60.0, -5.0, 15.0, -50.0], [60.0, 10.0, -5.0, -35.0]]
)
"""Red, green and blue of SDXL's latent channels: diffusers' using-diffusers/callback.md."""


@dataclass(frozen=True, slots=True)
class Code:
    """A linear code for images: `turn` (4, 4) applied to their `cells` minus `middle`."""

    turn: torch.Tensor
    middle: torch.Tensor

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Scaled latents (batch, 4, height/8, width/8) of images in the VAE's input format."""
        centred = cells(images).movedim(1, -1) - self.middle
        return (centred @ self.turn.T).movedim(-1, 1).contiguous()


def cells(images: torch.Tensor) -> torch.Tensor:
    """Mean red, green and blue of each 8×8 pixels, and the standard deviation."""
    mean = F.avg_pool2d(images, 8)
    spread = (F.avg_pool2d(images.square(), 8) - mean.square()).mean(1, keepdim=True)
    return torch.cat([mean, spread.clamp(min=0).sqrt()], 1)


def fit(images: torch.Tensor) -> Code:
    """The code whose channels are uncorrelated with mean 0 and standard deviation 1; among all such
    codes, the one whose colours are closest to SDXL's, so that previews work for this VAE too."""
    flat = cells(images).movedim(1, -1).reshape(-1, 4).double()
    middle = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    white = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    seen = torch.linalg.inv(white)[:, :3]
    left, _, right = torch.linalg.svd(SDXL_COLOURS.double().T @ seen.T)
    return Code((left @ right @ white).float(), middle.float())


def build() -> AutoencoderKL:
    """The untrained network."""
    return AutoencoderKL(
        block_out_channels=(12, 16, 32, 40),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=128,
        scaling_factor=SCALING,
        force_upcast=False,
    )


def pictures(number: int, seed: int, style: str) -> np.ndarray:
    """Draw `number` random scenes in one style: uint8, (number, 3, 128, 128).

    Without torch, whose threads do not survive a fork, so that forked processes can run it.
    """
    drawn = []
    for index in range(number):
        rng = random.Random(f"{seed}/{style}/{index}")
        drawn.append(np.asarray(render(draw_scene(rng), rng, style)).transpose(2, 0, 1))
    return np.stack(drawn)


def pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to the VAE's input format: float32 from -1 to 1."""
    shown: torch.Tensor = images.float() / 127.5 - 1
    return shown


def code() -> Code:
    """The code of the demo models, fitted to some images in the flat style."""
    return fit(pixels(torch.from_numpy(pictures(200, SEED, "flat"))))


def train(folder: Path, steps: int, batch: int = 16) -> AutoencoderKL:
    """Train, or resume training, on crops and finally on whole images. State is in `folder`."""
    torch.manual_seed(SEED)
    latents_of = code()
    vae = build().to(memory_format=torch.channels_last)
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(pictures, SHARES.values(), [SEED] * len(SHARES), SHARES)
        pool_of_pictures = torch.from_numpy(np.concatenate(list(parts)))

    chances = _busy(pool_of_pictures)

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        whole = step >= 0.7 * steps
        number = batch // 4 if whole else batch
        chosen = torch.randint(len(pool_of_pictures), (number,), generator=generator)
        images = pixels(pool_of_pictures[chosen])
        if not whole:
            corners = torch.multinomial(chances[chosen], 1, generator=generator).squeeze(1).tolist()
            cuts = zip(images, (divmod(corner, PLACES) for corner in corners), strict=True)
            images = torch.stack(
                [cut[:, 8 * y : 8 * y + CROP, 8 * x : 8 * x + CROP] for cut, (y, x) in cuts]
            )
        images = images.contiguous(memory_format=torch.channels_last)
        latents = latents_of(images)
        told = vae.encode(images).latent_dist.mean
        # A UNet's latents are not as exact as the encoder's.
        blurred = latents + NOISE * torch.randn(latents.shape, generator=generator)
        total: torch.Tensor = _apart(vae.decode(blurred).sample, images) + F.mse_loss(told, latents)
        return total

    Loop(folder, "vae", vae.parameters(), steps=steps, rate=2e-3, keep=0.995).run(SEED, loss_of)
    _scale(vae)
    return vae.eval().requires_grad_(False)


def sharpen(
    folder: Path, vae: AutoencoderKL, seed: int, steps: int, batch: int = 4
) -> AutoencoderKL:
    """Train the decoder alone, or resume that, on new whole images."""
    torch.manual_seed(seed)
    vae.to(memory_format=torch.channels_last)
    latents_of = code()
    learning = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in learning:
        parameter.requires_grad_(True)
    styles, shares = [*SHARES], [*SHARES.values()]

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        rng = random.Random(f"{seed}/sharpen/{step}")
        drawn = [
            np.asarray(render(draw_scene(rng), rng, style)).transpose(2, 0, 1)
            for style in rng.choices(styles, shares, k=batch)
        ]
        images = pixels(torch.from_numpy(np.stack(drawn)))
        images = images.contiguous(memory_format=torch.channels_last)
        latents = latents_of(images)
        latents = latents + NOISE * torch.randn(latents.shape, generator=generator)
        return _apart(vae.decode(latents / SCALING).sample, images)

    Loop(folder, "decoder", learning, steps=steps, rate=1.5e-3, keep=0.995).run(seed, loss_of)
    return vae.eval().requires_grad_(False)


def _apart(painted: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """How different the images are, in colour and along their edges."""
    wrong = F.l1_loss(painted, images) + F.mse_loss(painted, images)
    for dim in (-1, -2):
        wrong = wrong + F.l1_loss(painted.diff(dim=dim), images.diff(dim=dim))
    return wrong


def _busy(images: torch.Tensor) -> torch.Tensor:
    """The sampling weight of each crop of each image, in proportion to its edges."""
    found = []
    for part in torch.split(images, 100):
        seen = pixels(part)
        edges = seen.diff(dim=-1).abs().mean(1)[:, :-1] + seen.diff(dim=-2).abs().mean(1)[..., :-1]
        edges = F.pad(edges, (0, 1, 0, 1))[:, None]
        found.append(F.avg_pool2d(edges, CROP, 8).flatten(1))
    busy = torch.cat(found)
    return busy + 0.15 * busy.mean()


def _scale(vae: AutoencoderKL) -> None:
    """Scale the latents to a standard deviation of 1/SCALING; the encoder's own becomes NOISE."""
    with torch.no_grad():
        into, out = vae.quant_conv, vae.post_quant_conv
        into.weight /= SCALING
        into.bias /= SCALING
        into.weight[4:] = 0
        into.bias[4:] = 2 * math.log(NOISE / SCALING)
        out.weight *= SCALING
