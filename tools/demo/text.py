"""Train the two text encoders on what captions mean, before the UNet is trained on them."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from tools.demo.loop import Loop
from tools.demo.pictures.scenes import (
    COLOURS,
    DECORS,
    GROUNDS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    draw_scene,
)
from tools.demo.words import END, START, TRIGGERS, caption, vocabulary_and_merges, write_tokenizer

WIDTHS = (48, 64)
"""Of the two encoders. They must differ, as diffusers tells them apart by it in a single file."""
LENGTH = 77
LONGEST = 40
"""The most tokens of any caption; the rest is padding, which does not affect the meaning."""
PER_SHAPE = (4, 1 + len(COLOURS), 1 + len(SIZES), 2 + len(PLACES))
"""Number of answers about each shape's count, colour, size and place; the first is "not there"."""
OVERALL = (len(GROUNDS), len(COLOURS), len(DECORS), 1 + len(TRIGGERS))


@dataclass
class Text:
    """Encoders and tokenizers, as a pipeline has them."""

    first: CLIPTextModel
    second: CLIPTextModelWithProjection
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]

    def encode(
        self, captions: list[str], length: int = LENGTH
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The UNet's conditioning, as StableDiffusionXLPipeline.encode_prompt computes it: states
        of the penultimate layers, (batch, length, 112), and the pooled one, (batch, 64)."""
        states, pooled = [], torch.empty(0)
        for encoder, tokenizer in zip((self.first, self.second), self.tokenizers, strict=True):
            answer = encoder(_ids(tokenizer, captions, length), output_hidden_states=True)
            states.append(answer.hidden_states[-2])
            pooled = answer[0]
        return torch.cat(states, dim=-1), pooled


def build(folder: Path) -> Text:
    """The untrained encoders; writes the tokenizers into `folder`."""
    vocabulary, merges = vocabulary_and_merges()
    for name, pad in (("tokenizer", END), ("tokenizer_2", "!")):
        if not (folder / name).is_dir():
            write_tokenizer(folder / name, pad, vocabulary, merges)
    first, second = (
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=4,
            projection_dim=width,
            max_position_embeddings=LENGTH,
            bos_token_id=vocabulary[START],
            eos_token_id=vocabulary[END],
            hidden_act=act,
        )
        for width, act in zip(WIDTHS, ("quick_gelu", "gelu"), strict=True)
    )
    tokenizers = (
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
    )
    return Text(CLIPTextModel(first), CLIPTextModelWithProjection(second), tokenizers)


def _ids(tokenizer: CLIPTokenizer, captions: list[str], length: int) -> torch.Tensor:
    batch = tokenizer(
        captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    ids: torch.Tensor = batch.input_ids
    return ids


class Questions(nn.Module):
    """Classifier heads that train the encoders to understand captions; discarded afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes = [*PER_SHAPE * len(SHAPES), *OVERALL]
        sources = (*WIDTHS, WIDTHS[1])
        self.heads = nn.ModuleList(nn.Linear(width, sum(self._sizes)) for width in sources)

    def loss(self, told: list[torch.Tensor], answers: torch.Tensor) -> torch.Tensor:
        """told: the end token's state in both encoders, and the pooled one.

        answers: (batch, 36).
        """
        total = torch.zeros(())
        for head, state in zip(self.heads, told, strict=True):
            for part, answer in zip(head(state).split(self._sizes, 1), answers.T, strict=True):
                total = total + F.cross_entropy(part, answer)
        return total / len(told)


def answers(scene: Scene, text: str) -> list[int]:
    """The right answers about a scene, in the order of Questions."""
    found: list[int] = []
    groups = {group.shape: group for group in scene.groups}
    for shape in SHAPES:
        group = groups.get(shape)
        if group is None:
            found += [0, 0, 0, 0]
            continue
        place = 1 if not group.place else 2 + PLACES.index(group.place)
        size = 1 + list(SIZES).index(group.size)
        found += [group.count, 1 + list(COLOURS).index(group.colour), size, place]
    style = next((k for k, word in enumerate(TRIGGERS.values(), 1) if word in text.split(", ")), 0)
    ground_colour = list(COLOURS).index(scene.ground_colour)
    return [*found, GROUNDS.index(scene.ground), ground_colour, DECORS.index(scene.decor), style]


def train(folder: Path, seed: int, steps: int, batch: int = 192) -> Text:
    """Train, or resume training. State and tokenizers are in `folder`."""
    torch.manual_seed(seed)
    text, questions = build(folder), Questions()
    modules: list[Any] = [text.first, text.second, questions]

    def loss_of(step: int, _: torch.Generator) -> torch.Tensor:
        rng = random.Random(f"{seed}/words/{step}")
        scenes = [draw_scene(rng) for _ in range(batch)]
        captions = [caption(scene, rng) for scene in scenes]
        right = torch.tensor([answers(s, c) for s, c in zip(scenes, captions, strict=True)])
        ids = _ids(text.tokenizers[0], captions, LONGEST)
        ends = (ids == text.first.config.eos_token_id).int().argmax(1)
        states, pooled = text.encode(captions, LONGEST)
        last = states[torch.arange(batch), ends]
        return questions.loss([*torch.split(last, [*WIDTHS], 1), pooled], right)

    parameters = [parameter for module in modules for parameter in module.parameters()]
    Loop(folder, "text", parameters, steps=steps, rate=3e-3, keep=0.99).run(seed, loss_of)
    for module in modules:
        module.eval().requires_grad_(False)
    return text
