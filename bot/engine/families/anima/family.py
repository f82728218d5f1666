"""The Family interface of Anima; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bot.engine.environment import Place
from bot.engine.families import flow, qwen3, t5
from bot.engine.families.anima import (
    conditioning,
    configurations,
    networks,
    text,
)
from bot.engine.families.anima.conditioning import Conditioning
from bot.engine.families.anima.memory import LEAVING, TOO_LARGE_ON, WHOLE
from bot.engine.families.anima.networks import (
    CONDITIONER,
    DENOISER,
    NETWORKS,
    PIECES,
    TEXT_ENCODER,
    TOKENIZER,
    TOKENIZERS,
)
from bot.engine.families.anima.original import CONDITIONER as WITHIN
from bot.engine.families.anima.original import ORIGINALS
from bot.engine.families.anima.text import Encoded, Encoders
from bot.engine.families.family import LoadedModel, Recall
from bot.engine.families.qwen_vae import QwenVaeFamily
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.memory import Profile
from bot.engine.patches.names import AnyTarget
from bot.engine.patches.spelling import Prefixes, denoiser_names, encoder_names
from bot.engine.subject import Subject
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog import ModelEntry
from catalog.families.anima import ANIMA as FACTS
from catalog.weight_files import Header
from catalog.weight_files.prediction import Training

_OF_CONDITIONER: Final = Prefixes(
    dotted=("text_conditioner.",),
    underscored=("lora_text_conditioner_", "lycoris_text_conditioner_", "lora_llm_adapter_"),
)
"""Before its paths where a file does not take it for a part of the transformer: in diffusers, by
analogy in LyCORIS, and in SD.Next (vladmandic/sdnext pull request 4795)."""


class Anima(QwenVaeFamily):
    """Anima, base, Aesthetic and Turbo, and the models trained from them."""

    # Up here, `networks` is the module; below, it is the names of the networks.
    checked_config = staticmethod(configurations.checked)
    build = staticmethod(networks.build)
    formats = staticmethod(networks.formats)
    unread = staticmethod(networks.unread)

    facts = FACTS
    key = FACTS.key
    adapter_bases = FACTS.adapter_bases
    networks: tuple[str, ...] = NETWORKS
    denoiser = DENOISER
    text_encoders: tuple[str, ...] = (TEXT_ENCODER, CONDITIONER)
    patched: tuple[str, ...] = (DENOISER, CONDITIONER, TEXT_ENCODER)
    tokenizers: tuple[str, ...] = TOKENIZERS
    files = FACTS.files
    usual_tokens: int | None = text.TOKENS
    whole: Mapping[Profile, float] = WHOLE
    leaving = LEAVING
    too_large_on = TOO_LARGE_ON
    blocks: Mapping[str, str] = {}
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
        return flow.training(root, entry, FACTS.name)

    def timesteps(self, _: Training, __: tuple[int, int], steps: int) -> Mapping[str, Any]:
        return {"sigmas": np.linspace(1.0, 1 / steps, steps)}

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.PREFIXES[network]

    def renamed(
        self,
        network: str,
        _: Any,
        stored: dict[str, torch.Tensor],
        __: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, stored)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        if folder.name == PIECES:
            return t5.tokenizer(folder, subject)
        return qwen3.tokenizer(folder, (), subject)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, AnyTarget]:
        conditioner = networks[CONDITIONER]
        within = {WITHIN + path: path for path, _ in conditioner.named_modules() if path}
        return {
            **denoiser_names(DENOISER, networks[DENOISER], ORIGINALS),
            **denoiser_names(CONDITIONER, conditioner, within, own=_OF_CONDITIONER),
            **encoder_names(TEXT_ENCODER, networks[TEXT_ENCODER], "qwen3_06b"),
        }

    def encode(
        self,
        model: LoadedModel,
        _: GenerationRequest,
        turns: Sequence[Turn],
        __: Sequence[Learned],
        recall: Recall,
        *,
        guided: bool,
    ) -> tuple[Encoded, ...]:
        encoders = Encoders(
            words=model.tokenizers[TOKENIZER],
            encoder=model.network(TEXT_ENCODER),
            pieces=model.tokenizers[PIECES],
            conditioner=model.network(CONDITIONER),
        )
        pairs = [(turn.prompt, turn.negative if guided else None) for turn in turns]
        return text.encode(encoders, pairs, model.network(DENOISER).dtype, recall, model.key)

    def condition(self, encoded: Encoded, _: tuple[int, int], __: object) -> Conditioning:
        return Conditioning.of(encoded)

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        conditioning.rehearse(model.network(DENOISER), place, denoiser, shape)
