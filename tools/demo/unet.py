"""Train the UNet: from noise to the latents of a scene, conditioned by the text encoders."""

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from tools.demo.loop import Loop
from tools.demo.pictures.rendering import render
from tools.demo.pictures.scenes import SIDE, Scene, draw_scene
from tools.demo.text import WIDTHS, Text
from tools.demo.vae import code, pixels
from tools.demo.words import caption

SIZES = ((SIDE, SIDE), (104, 152), (152, 104))
"""Width and height of the training images; each chunk of CHUNK images has one size."""
CHUNK = 500
PER_ROUND = 10
"""Of this many chunks, the last two are portrait and landscape."""
CLEAR = 0.6
"""Share of images chosen from those of one thing that is not small, which teach shapes best."""
FORMING = 0.7, (350, 950)
"""Share of samples at the timesteps (of 1000) at which shapes form, and those timesteps."""
UNTOLD = 0.1
"""Share of images trained without a prompt, for classifier-free guidance."""


def build() -> UNet2DConditionModel:
    """The untrained network: SDXL's blocks, one layer each, on two levels instead of three."""
    return UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(64, 88),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1),
        attention_head_dim=(4, 4),
        norm_num_groups=8,
        cross_attention_dim=sum(WIDTHS),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 16,
    )


def scheduler() -> EulerDiscreteScheduler:
    """SDXL's noise schedule with velocity prediction, so that the noisiest steps too teach the
    colours of the whole image (https://arxiv.org/abs/2202.00512)."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
    )


@dataclass(frozen=True, slots=True)
class Pictures:
    """Encoded training images. latents: one tensor (CHUNK, 4, height/8, width/8) per chunk, scaled;
    image k of chunk c shows the scene that `scene_rng(seed, c, k)` draws."""

    seed: int
    latents: list[torch.Tensor]

    def batches(self, step: int, number: int) -> tuple[torch.Tensor, list[str], list[int]]:
        """Latents, captions and (width, height) of one training step."""
        rng = random.Random(f"{self.seed}/batch/{step}")
        # All sizes in proportion, but one size per batch.
        chunks = self._alike(rng.randrange(len(self.latents)))
        chosen = [(chunk, self._picture(chunk, rng)) for chunk in rng.choices(chunks, k=number)]
        latents = torch.stack([self.latents[c][k] for c, k in chosen]).float()
        captions = [caption(draw_scene(scene_rng(self.seed, c, k)), rng) for c, k in chosen]
        return latents, captions, [8 * latents.shape[-1], 8 * latents.shape[-2]]

    def _picture(self, chunk: int, rng: random.Random) -> int:
        index = rng.randrange(CHUNK)
        if rng.random() >= CLEAR:
            return index
        others = (rng.randrange(CHUNK) for _ in range(20))
        scenes = ((other, draw_scene(scene_rng(self.seed, chunk, other))) for other in others)
        return next((other for other, scene in scenes if _clear(scene)), index)

    def _alike(self, chunk: int) -> list[int]:
        shape = self.latents[chunk].shape
        return [c for c, latents in enumerate(self.latents) if latents.shape == shape]


def _clear(scene: Scene) -> bool:
    """Whether the scene shows a single thing that is not small."""
    [first, *others] = scene.groups
    return not others and first.count == 1 and first.size != "small"


def scene_rng(seed: int, chunk: int, index: int) -> random.Random:
    """The random generator of one training image: first for its scene, then for drawing it."""
    return random.Random(f"{seed}/scene/{chunk}/{index}")


def _size(chunk: int) -> tuple[int, int]:
    return SIZES[max(0, chunk % PER_ROUND - (PER_ROUND - 3))]


def _drawn(seed: int, style: str, chunk: int) -> np.ndarray:
    width, height = _size(chunk)
    drawn = []
    for index in range(CHUNK):
        rng = scene_rng(seed, chunk, index)
        image = render(draw_scene(rng), rng, style, width, height)
        drawn.append(np.asarray(image).transpose(2, 0, 1))
    return np.stack(drawn)


def pictures(folder: Path, seed: int, style: str, chunks: int) -> Pictures:
    """Draw and encode `chunks` × CHUNK scenes in one style, or load them from `folder`."""
    file = folder / f"latents-{style}-{chunks}.safetensors"
    if not file.is_file():
        found = {str(c): part for c, part in _encoded(seed, style, chunks)}
        save_file(found, file)
    stored = load_file(file)
    return Pictures(seed, [stored[str(chunk)] for chunk in range(chunks)])


def _encoded(seed: int, style: str, chunks: int) -> Iterator[tuple[int, torch.Tensor]]:
    latents_of = code()
    with ProcessPoolExecutor(2) as pool:
        drawn = pool.map(_drawn, repeat(seed), repeat(style), range(chunks))
        for chunk, images in enumerate(drawn):
            yield chunk, latents_of(pixels(torch.from_numpy(images))).half()


class Denoiser(Protocol):
    """A UNet, or one that something is added to."""

    def __call__(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        states: torch.Tensor,
        *,
        added_cond_kwargs: dict[str, torch.Tensor],
    ) -> Any: ...


class Teacher:
    """Computes the loss of a step: the error of the UNet's velocity on noisy latents."""

    def __init__(self, text: Text, untold: float = UNTOLD) -> None:
        """untold: share of images without a prompt."""
        self._text = text
        self._untold = untold
        self._noise = DDPMScheduler.from_config(scheduler().config)

    def loss(
        self,
        unet: Denoiser,
        latents: torch.Tensor,
        captions: list[str],
        size: list[int],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """latents: (batch, 4, h, w), scaled. captions: one each. size: width, height in pixels."""
        batch = len(latents)
        with torch.no_grad():
            states, pooled = self._text.encode(captions)
            told = (torch.rand(batch, generator=generator) >= self._untold).float()
            states, pooled = states * told[:, None, None], pooled * told[:, None]
        noise = torch.randn(latents.shape, generator=generator)
        share, (low, high) = FORMING
        forming = torch.rand(batch, generator=generator) < share
        times = torch.where(
            forming,
            torch.randint(low, high, (batch,), generator=generator),
            torch.randint(0, 1000, (batch,), generator=generator),
        )
        noisy = self._noise.add_noise(latents, noise, times)
        # Original size, crop and target size; the first is random, so that it is ignored.
        original = 2 ** torch.randint(0, 4, (batch, 1), generator=generator) * torch.tensor(
            [size[::-1]]
        )
        target = torch.tensor([size[::-1]]).expand(batch, 2)
        time_ids = torch.cat([original, torch.zeros(batch, 2, dtype=torch.long), target], 1).float()
        added = {"text_embeds": pooled, "time_ids": time_ids}
        velocity = unet(noisy, times, states, added_cond_kwargs=added).sample
        return F.mse_loss(velocity, self._noise.get_velocity(latents, noise, times))


def train(
    folder: Path,
    name: str,
    unet: UNet2DConditionModel,
    text: Text,
    pictures: Pictures,
    *,
    steps: int,
    rate: float,
    batch: int = 24,
) -> UNet2DConditionModel:
    """Train `unet` in place, or resume training. The state is in `folder`."""
    teacher = Teacher(text)

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        latents, captions, size = pictures.batches(step, batch)
        return teacher.loss(unet, latents, captions, size, generator)

    Loop(folder, name, unet.parameters(), steps=steps, rate=rate, keep=0.999).run(
        pictures.seed, loss_of
    )
    unet.eval().requires_grad_(False)
    return unet
