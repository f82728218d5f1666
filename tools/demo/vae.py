"""The VAE: small, sharp on flat colours and edges, with latents scaled as SDXL's are."""

import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from tools.demo.loop import Loop
from tools.demo.scenes import draw_scene, render

SCALING = 0.13025
"""SDXL's scaling_factor: latents of a VAE that fits it have a standard deviation of 1/SCALING."""
NOISE = 0.02
"""Standard deviation of the noise on scaled latents that the decoder learns to see through."""
CROP = 48
PLACES = (128 - CROP) // 8 + 1
"""Of a crop, along one side of a picture."""
SHARES = {"flat": 1200, "ink": 600, "sketch": 300, "neon": 300, "pixel": 300, "clay": 300}
"""Pictures of each style that it learns from: most of the style that is painted most."""
SDXL_COLOURS = torch.tensor(
    [[60.0, -60.0, 25.0, -70.0], [60.0, -5.0, 15.0, -50.0], [60.0, 10.0, -5.0, -35.0]]
)
"""Red, green and blue of SDXL's latent channels: diffusers' using-diffusers/callback.md."""


def build() -> AutoencoderKL:
    """The untrained network."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=128,
        scaling_factor=SCALING,
        force_upcast=False,
    )


def pictures(number: int, seed: int, style: str) -> torch.Tensor:
    """`number` random scenes in one style: uint8, (number, 3, 128, 128)."""
    drawn = []
    for index in range(number):
        rng = random.Random(f"{seed}/{style}/{index}")
        drawn.append(np.asarray(render(draw_scene(rng), rng, style)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(drawn))


def pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 as the VAE takes it: float32 from -1 to 1."""
    shown: torch.Tensor = images.float() / 127.5 - 1
    return shown


def train(folder: Path, seed: int, steps: int, batch: int = 16) -> AutoencoderKL:
    """Train, or go on training, and scale the latents. State and result in `folder`."""
    file = folder / "vae.safetensors"
    if file.is_file():
        trained = build().eval().requires_grad_(False)
        trained.load_state_dict(load_file(file))
        return trained
    torch.manual_seed(seed)
    vae = build().to(memory_format=torch.channels_last)
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(pictures, SHARES.values(), [seed] * len(SHARES), SHARES)
        pool_of_pictures = torch.cat(list(parts))

    chances = _busy(pool_of_pictures)

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        whole = step >= 0.85 * steps
        number = batch // 5 if whole else batch
        chosen = torch.randint(len(pool_of_pictures), (number,), generator=generator)
        images = pixels(pool_of_pictures[chosen])
        if not whole:
            corners = torch.multinomial(chances[chosen], 1, generator=generator).squeeze(1).tolist()
            cuts = zip(images, (divmod(corner, PLACES) for corner in corners), strict=True)
            images = torch.stack(
                [cut[:, 8 * y : 8 * y + CROP, 8 * x : 8 * x + CROP] for cut, (y, x) in cuts]
            )
        images = images.contiguous(memory_format=torch.channels_last)
        latents = vae.encode(images).latent_dist
        noise = torch.randn(latents.mean.shape, generator=generator)
        painted = vae.decode(latents.mean + latents.std * noise).sample
        total: torch.Tensor = _apart(painted, images) + 1e-6 * latents.kl().mean()
        return total

    Loop(folder, "vae", vae.parameters(), steps=steps, rate=2e-3, keep=0.99).run(seed, loss_of)
    vae.eval().requires_grad_(False)
    _scale(vae, pixels(pool_of_pictures[:: max(1, len(pool_of_pictures) // 256)]))
    state = {name: tensor.contiguous() for name, tensor in vae.state_dict().items()}
    save_file(state, file)
    return vae


def sharpen(
    folder: Path, vae: AutoencoderKL, seed: int, steps: int, batch: int = 4
) -> AutoencoderKL:
    """Train the decoder alone on whole pictures, or go on training it: latents stay what they are.

    A UNet can learn those latents meanwhile.
    """
    torch.manual_seed(seed)
    vae.to(memory_format=torch.channels_last)
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
        with torch.no_grad():
            latents = vae.encode(images).latent_dist
            noise = torch.randn(latents.mean.shape, generator=generator)
            # What a UNet paints is not as exact as what the encoder says.
            blurred = latents.mean + NOISE / SCALING * noise
        return _apart(vae.decode(blurred).sample, images)

    Loop(folder, "decoder", learning, steps=steps, rate=1.5e-3, keep=0.995).run(seed, loss_of)
    vae.eval().requires_grad_(False)
    return vae


def _apart(painted: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """How different pictures are, in colour and along their edges."""
    wrong = F.l1_loss(painted, images) + F.mse_loss(painted, images)
    for dim in (-1, -2):
        wrong = wrong + F.l1_loss(painted.diff(dim=dim), images.diff(dim=dim))
    return wrong


def _busy(images: torch.Tensor) -> torch.Tensor:
    """How likely each crop of each picture is to be learnt from: as there are edges in it."""
    found = []
    for part in torch.split(images, 100):
        seen = pixels(part)
        edges = seen.diff(dim=-1).abs().mean(1)[:, :-1] + seen.diff(dim=-2).abs().mean(1)[..., :-1]
        edges = F.pad(edges, (0, 1, 0, 1))[:, None]
        found.append(F.avg_pool2d(edges, CROP, 8).flatten(1))
    busy = torch.cat(found)
    return busy + 0.15 * busy.mean()


def _scale(vae: AutoencoderKL, images: torch.Tensor) -> None:
    """Turn and stretch the latents, the pictures unchanged.

    Each channel gets mean 0 and standard deviation 1/SCALING, uncorrelated; among all such latents
    those are taken whose colours come nearest to SDXL's own, so that previews fit this VAE too.
    """
    with torch.no_grad():
        means = torch.cat([vae.encode(part).latent_dist.mean for part in torch.split(images, 16)])
        flat = means.permute(0, 2, 3, 1).reshape(-1, 4).double()
        middle = flat.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(flat.T))
        white = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        colours = F.avg_pool2d(images, 8).permute(0, 2, 3, 1).reshape(-1, 3).double()
        plain = (flat - middle) @ white
        seen = torch.linalg.lstsq(plain, colours - colours.mean(0)).solution
        left, _, right = torch.linalg.svd(SDXL_COLOURS.double().T @ seen.T)
        turn = left @ right / SCALING @ white.T
        into, out = vae.quant_conv, vae.post_quant_conv
        mean_weight, mean_bias = into.weight[:4, :, 0, 0].double(), into.bias[:4].double()
        # The spread keeps its channels: turned, it would no longer be one number a channel.
        into.weight[:4, :, 0, 0] = (turn @ mean_weight).float()
        into.bias[:4] = (turn @ (mean_bias - middle)).float()
        back, weight = torch.linalg.inv(turn), out.weight[..., 0, 0].double()
        out.bias += (weight @ middle).float()
        out.weight[..., 0, 0] = (weight @ back).float()
