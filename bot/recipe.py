"""Recipe: a request and all that was resolved for it, enough to generate the same bytes again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from bot.request import GenerationRequest

OF_THE_MACHINE: Final = frozenset(
    {
        *("torch", "diffusers", "transformers", "cuda", "cudnn", "engine"),
        *("device", "device_name", "dtype", "cpu_capability", "threads", "attention", "noise"),
    }
)
"""Names in a recipe's environment that are the same for all images of one lane. The others depend
on the image, too, such as `kernels`, or on how much memory was free."""


def environment_id(environment: Mapping[str, str]) -> str:
    """12 hex digits that name the machine of a recipe's environment: of two images with the same
    one, the second repeats the first to the byte if all else is the same.

    Empty if `environment` says nothing about the machine.
    """
    own = {name: environment[name] for name in sorted(OF_THE_MACHINE & environment.keys())}
    return hashlib.sha256(json.dumps(own).encode()).hexdigest()[:12] if own else ""


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of weights that was used.

    name: catalog key (checkpoint, adapter) or the path in the catalog (VAE).
    sha256: hex digest of the file, or of the sorted file digests of a folder.
    short: its hash on Civitai and in AUTOMATIC1111: 10 hex digits of `sha256` for a
        checkpoint, 12 for an embedding, 12 of the tensor data's sha256 ("AutoV3") for an adapter.
    """

    name: str
    sha256: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The request and what it was resolved to on this installation.

    checkpoint: None if none was needed, see `GenerationRequest.model`.
    vae: None if the checkpoint's own was used.
    adapters: in the order of `request.adapters`, which have the strengths.
    reference: the IP-Adapter and its image encoder; empty without a reference image.
    embeddings: in the order of `request.embedding_keys`.
    upscaler: what enlarged the image of `request.upscale`; None without one.
    parts: networks that came from elsewhere, because the checkpoint has not got them.
    variant: of its family, as which the model was sampled; None if that has no others.
    config: hub id or folder of the configuration of a single-file checkpoint; None for a folder.
    scheduler: class name and full configuration, as diffusers reports them.
    environment: versions, device, dtype, threads and whatever else the output depends on.
    """

    request: GenerationRequest
    checkpoint: Weights | None
    vae: Weights | None = None
    adapters: tuple[Weights, ...] = ()
    reference: tuple[Weights, ...] = ()
    embeddings: tuple[Weights, ...] = ()
    scheduler: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    upscaler: Weights | None = None
    parts: tuple[Weights, ...] = ()
    variant: str | None = None
    config: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON types; `from_dict` reverses it."""
        data = {**asdict(self), "request": self.request.to_dict()}
        if not self.embeddings:
            del data["embeddings"]  # so that recipes without any are as ever
        if self.upscaler is None:
            del data["upscaler"]
        if not self.parts:
            del data["parts"]
        for name in ("variant", "config"):
            if data[name] is None:
                del data[name]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Accepts recipes of earlier versions, which lacked the fields that have defaults."""
        checkpoint, vae, upscaler = data["checkpoint"], data["vae"], data.get("upscaler")
        return cls(
            request=GenerationRequest.from_dict(data["request"]),
            checkpoint=Weights(**checkpoint) if checkpoint else None,
            vae=Weights(**vae) if vae else None,
            adapters=tuple(Weights(**weights) for weights in data["adapters"]),
            reference=tuple(Weights(**weights) for weights in data.get("reference", ())),
            embeddings=tuple(Weights(**weights) for weights in data.get("embeddings", ())),
            scheduler=data["scheduler"],
            environment=data["environment"],
            upscaler=Weights(**upscaler) if upscaler else None,
            parts=tuple(Weights(**weights) for weights in data.get("parts", ())),
            variant=data.get("variant"),
            config=data.get("config"),
        )

    def changed_since(self, earlier: Self) -> tuple[str, ...]:
        """Names of what differs from `earlier`, except the request, e.g. `sdxl-base`, `torch`."""
        changed = []
        for now, then in (
            (self.checkpoint, earlier.checkpoint),
            (self.vae, earlier.vae),
            (self.upscaler, earlier.upscaler),
            *zip(self.adapters, earlier.adapters, strict=False),
            *zip(self.reference, earlier.reference, strict=False),
            *zip(self.embeddings, earlier.embeddings, strict=False),
            *zip(self.parts, earlier.parts, strict=False),
        ):
            if now != then and (weights := now or then):
                changed.append(weights.name)
        # Earlier versions did not write these.
        for name in ("variant", "config"):
            now, then = getattr(self, name), getattr(earlier, name)
            if then is not None and now != then:
                changed.append(name)
        if self.scheduler != earlier.scheduler:
            changed.append("scheduler")
        names = sorted({*self.environment, *earlier.environment})
        changed += [n for n in names if self.environment.get(n) != earlier.environment.get(n)]
        return tuple(changed)
