"""The Family interface of Z-Image; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bot.engine.environment import Place
from bot.engine.families import flow, qwen3
from bot.engine.families.kl16 import TOKEN_SIDE, Kl16Family
from bot.engine.families.zimage import (
    configurations,
    networks,
    schedule,
    text,
)
from bot.engine.families.zimage.conditioning import Conditioning
from bot.engine.families.zimage.memory import LEAVING, TOO_LARGE_ON, WHOLE
from bot.engine.families.zimage.networks import (
    BLOCKS,
    DENOISER,
    NETWORKS,
    TEXT_ENCODER,
    TOKENIZER,
)
from bot.engine.families.zimage.original import ORIGINALS
from bot.engine.families.zimage.text import Encoded
from bot.engine.memory import Profile
from bot.engine.patches.names import AnyTarget
from bot.engine.patches.spelling import denoiser_names, encoder_names
from bot.engine.subject import Subject
from catalog import ModelEntry
from catalog.families.zimage import ZIMAGE as FACTS
from catalog.weight_files import Header
from catalog.weight_files.prediction import Training


class ZImage(Kl16Family):
    """Z-Image, Turbo and base, and the models trained from them."""

    # Up here, `networks` is the module; below, it is the names of the networks.
    checked_config = staticmethod(configurations.checked)
    build = staticmethod(networks.build)
    formats = staticmethod(networks.formats)
    unread = staticmethod(networks.unread)
    encode_texts = staticmethod(text.encode)

    facts = FACTS
    key = FACTS.key
    adapter_bases = FACTS.adapter_bases
    networks: tuple[str, ...] = NETWORKS
    denoiser = DENOISER
    text_encoders: tuple[str, ...] = (TEXT_ENCODER,)
    patched: tuple[str, ...] = (DENOISER, TEXT_ENCODER)
    tokenizers: tuple[str, ...] = (TOKENIZER,)
    files = FACTS.files
    # The transformer is given as many as a prompt has, and code is for one number of them.
    usual_tokens: int | None = None
    whole: Mapping[Profile, float] = WHOLE
    leaving = LEAVING
    too_large_on = TOO_LARGE_ON
    blocks: Mapping[str, str] = BLOCKS
    ays: tuple[int, ...] = ()

    def dtype_of(self, network: str, _: Mapping[str, Any], place: Place) -> torch.dtype:
        return networks.dtype_of(network, place)

    def latents_dtype(self, _: torch.dtype) -> torch.dtype:
        return torch.float32

    def training(
        self,
        _: Sequence[tuple[Path, Header]],
        root: Path,
        entry: ModelEntry,
        *,
        single: bool,
    ) -> Training:
        return schedule.training(root, entry, single=single)

    def timesteps(self, training: Training, size: tuple[int, int], steps: int) -> Mapping[str, Any]:
        return flow.levels(training, size, steps, TOKEN_SIDE)

    def guided(self, without: torch.Tensor, asked: torch.Tensor, scale: float) -> torch.Tensor:
        return asked + (scale - 1.0) * (asked - without)

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.PREFIXES[network]

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        _: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        return qwen3.tokenizer(folder, text.MARKS, subject)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, AnyTarget]:
        return {
            **denoiser_names(DENOISER, networks[DENOISER], ORIGINALS),
            **encoder_names(TEXT_ENCODER, networks[TEXT_ENCODER], "qwen3_4b"),
        }

    def condition(self, encoded: Encoded, _: tuple[int, int], __: object) -> Conditioning:
        return Conditioning(encoded.prompt, encoded.negative)
