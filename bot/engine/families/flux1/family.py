"""The Family interface of FLUX.1; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.families import clip, flow, t5
from bot.engine.families.family import LoadedModel, Recall
from bot.engine.families.flux1 import (
    adapter_names,
    conditioning,
    configurations,
    networks,
    references,
    schedule,
    text,
)
from bot.engine.families.flux1.conditioning import Conditioning, References
from bot.engine.families.flux1.memory import LEAVING, TOO_LARGE_ON, WHOLE
from bot.engine.families.flux1.networks import (
    BLOCKS,
    CLIP,
    DENOISER,
    NETWORKS,
    PIECES,
    T5,
    TOKENIZERS,
)
from bot.engine.families.flux1.text import Encoded, Encoders
from bot.engine.families.kl16 import TOKEN_SIDE, Kl16Family
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.memory import Profile
from bot.engine.patches import AnyTarget
from bot.engine.subject import Subject
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog import ModelEntry
from catalog.families.flux1 import FLUX1 as FACTS
from catalog.weight_files import Header
from catalog.weight_files.prediction import Training


class Flux1(Kl16Family):
    """FLUX.1 schnell, dev, Krea dev and Kontext dev, and the models trained from them."""

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
    text_encoders: tuple[str, ...] = (CLIP.network, T5)
    patched: tuple[str, ...] = (DENOISER, CLIP.network, T5)
    tokenizers: tuple[str, ...] = TOKENIZERS
    files = FACTS.files
    usual_tokens: int | None = text.TOKENS
    whole: Mapping[Profile, float] = WHOLE
    leaving = LEAVING
    too_large_on = TOO_LARGE_ON
    blocks: Mapping[str, str] = BLOCKS
    ays: tuple[int, ...] = ()

    def dtype_of(self, network: str, _: Mapping[str, Any], place: Place) -> torch.dtype:
        return networks.dtype_of(network, place)

    def training(
        self,
        weights: Sequence[tuple[Path, Header]],
        root: Path,
        entry: ModelEntry,
        *,
        single: bool,
    ) -> Training:
        return schedule.training(weights, root, entry, single=single)

    def timesteps(self, training: Training, size: tuple[int, int], steps: int) -> Mapping[str, Any]:
        return flow.levels(training, size, steps, TOKEN_SIDE)

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.PREFIXES[network]

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored, parameters)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        kind = t5 if folder.name == PIECES else clip
        return kind.tokenizer(folder, subject)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, AnyTarget]:
        return adapter_names.targets(networks)

    def encode(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        turns: Sequence[Turn],
        _: Sequence[Learned],
        recall: Recall,
        *,
        guided: bool,
    ) -> tuple[Encoded, ...]:
        transformer = model.network(DENOISER)
        encoders = Encoders(
            words=model.tokenizers[CLIP.tokenizer],
            clip=model.network(CLIP.network),
            pieces=model.tokenizers[PIECES],
            t5=model.network(T5),
        )
        guidance = request.guidance if transformer.config.guidance_embeds else None
        pairs = [(turn.prompt, turn.negative if guided else None) for turn in turns]
        return text.encode(encoders, pairs, guidance, transformer.dtype, recall, model.key)

    def references(
        self, vae: Any, pictures: Sequence[PIL.Image.Image], *, tiled: bool
    ) -> References | None:
        """What `condition` takes of up to one picture, RGB. tiled: as in `decode`."""

        def encoded(pixels: torch.Tensor) -> torch.Tensor:
            latents: torch.Tensor = self.distribution(vae, pixels, tiled=tiled).mode()
            return latents

        return references.encoded(vae, pictures, encoded)

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: References | None
    ) -> Conditioning:
        return Conditioning.of(encoded, size, image)

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        conditioning.rehearse(model.network(DENOISER), place, denoiser, shape)
