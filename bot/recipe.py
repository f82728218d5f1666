"""Recipe: a request and all that was resolved for it, enough to generate the same bytes again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final, Self

from bot.request import Box, GenerationRequest

OF_THE_MACHINE: Final = frozenset(
    {
        *("torch", "diffusers", "transformers", "cuda", "cudnn", "engine"),
        *("device", "device_name", "dtype", "cpu_capability", "threads", "attention"),
    }
)
"""Names in a recipe's environment that are the same for all images of one lane. The others depend
on the image, too, such as `kernels`, or on how much memory was free; how networks are stored
depends on the family (see `Environment`)."""

FORMAT: Final = "_dtype"
"""What follows a network's name in the name of the fact that tells how it is stored."""
FOLLOWING: Final = frozenset({"vae_dtype", "upscaler_dtype"})
"""Such facts that follow from other ones, and so tell nothing by themselves: a VAE's dtype from its
family, its configuration, the machine's dtype and the formats of the other networks; an upscaler's
from its architecture. Recipes of earlier versions do not have them all."""


def environment_id(environment: Mapping[str, str]) -> str:
    """12 hex digits that name the machine of a recipe's environment: of two images with the same
    one, the second repeats the first to the byte if all else is the same.

    Empty if `environment` says nothing about the machine.
    """
    own = {name: environment[name] for name in sorted(OF_THE_MACHINE & environment.keys())}
    return _id(own) if own else ""


def formats_in(environment: Mapping[str, str]) -> dict[str, str]:
    """What of a recipe's environment tells how networks of its model are stored where that is not
    the machine's dtype, such as `{"transformer_dtype": "bfloat16, int8"}`; without what is
    FOLLOWING."""
    return {n: v for n, v in environment.items() if n.endswith(FORMAT) and n not in FOLLOWING}


def place_id(environment: Mapping[str, str], family: str | None) -> str:
    """12 hex digits that name where images of a model come out as one with this environment, down
    to how its networks are stored; among the `Environment.ids` of each lane where they do. Empty if
    `environment` says nothing about the machine.

    family: key of the model's; None for an image that needed no model.
    """
    return _place_id(environment_id(environment), family, formats_in(environment))


def _place_id(machine: str, family: str | None, formats: Mapping[str, str]) -> str:
    return _id([machine, family, dict(formats)]) if machine and family else machine


def _id(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Environment:
    """What images of one lane depend on, besides the request and the weights.

    machine: the `environment_id` of its recipes; "" while that is not known.
    formats: by the key of a family, what `formats_in` finds in the recipes of its models.
    """

    machine: str = ""
    formats: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The `place_id` of images that come out here as before; empty while that is not known."""
        each = (_place_id(self.machine, family, told) for family, told in self.formats.items())
        return frozenset({self.machine, *each} - {""})


def changed_facts(now: Mapping[str, str], then: Mapping[str, str]) -> tuple[str, ...]:
    """Names of what differs between two environments, in alphabetical order.

    What is FOLLOWING counts where both name it. Recipes of earlier versions name the machine's
    dtype for the noise, whatever that was drawn in; it follows from the rest as well.
    """
    return tuple(
        name
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name) and not _implied(name, now.get(name), then.get(name))
    )


def _implied(name: str, now: str | None, then: str | None) -> bool:
    if name in FOLLOWING:
        return now is None or then is None
    if name == "noise":
        return now is None or then is None or _generator(now) == _generator(then)
    return False


def _generator(noise: str) -> str:
    """What drew it, without the dtype."""
    return noise.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """A part of an image that was found and painted again.

    seed: of the image. word: what was looked for. box: in the finished image.
    """

    seed: int
    word: str = field(repr=False)
    box: Box


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of weights that was used.

    name: catalog key (checkpoint, adapter) or the path in the catalog (VAE, text encoder).
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
    vae: None if the checkpoint's own was used, or that in `parts`. text_encoder: the same for the
        text encoder.
    adapters: in the order of `request.adapters`, which have the strengths.
    reference: the IP-Adapter and its image encoder; empty without a reference image.
    controls: the ControlNets, in the order of `request.control_keys`. depth: the network that told
    the depth of an image for one of them; None if none did. pose: the one that told how people in
    it stand, likewise. detector: the network that found these people, or the parts that were
    painted again; found: those parts, in the order in which they were.
    describer: the network that wrote what is in the image of `request.describe`.
    embeddings: in the order of `request.embedding_keys`.
    upscaler: what enlarged the image of `request.upscale`; None without one.
    parts: networks that came from elsewhere, because the checkpoint has not got them.
    variant: of its family, as which the model was sampled; None if that only has other defaults.
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
    text_encoder: Weights | None = None
    controls: tuple[Weights, ...] = ()
    depth: Weights | None = None
    detector: Weights | None = None
    describer: Weights | None = None
    found: tuple[Found, ...] = ()
    pose: Weights | None = None

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON types; `from_dict` reverses it."""
        data = {**asdict(self), "request": self.request.to_dict()}
        if not self.embeddings:
            del data["embeddings"]  # so that recipes without any are as ever
        for name in ("parts", "controls", "found"):
            if not data[name]:
                del data[name]
        optional = ("upscaler", "variant", "config", "text_encoder", "depth", "pose", "detector")
        for name in (*optional, "describer"):
            if data[name] is None:
                del data[name]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Accepts recipes of earlier versions, which lacked the fields that have defaults."""
        checkpoint, vae, upscaler = data["checkpoint"], data["vae"], data.get("upscaler")
        encoder, depth = data.get("text_encoder"), data.get("depth")
        detector, pose = data.get("detector"), data.get("pose")
        describer = data.get("describer")
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
            text_encoder=Weights(**encoder) if encoder else None,
            controls=tuple(Weights(**weights) for weights in data.get("controls", ())),
            depth=Weights(**depth) if depth else None,
            pose=Weights(**pose) if pose else None,
            detector=Weights(**detector) if detector else None,
            describer=Weights(**describer) if describer else None,
            found=tuple(
                Found(each["seed"], each["word"], Box(**each["box"]))
                for each in data.get("found", ())
            ),
        )

    @property
    def by_network(self) -> dict[str, Weights]:
        """`parts`, by what their names end in."""
        return {PurePosixPath(weights.name).name: weights for weights in self.parts}

    def changed_since(self, earlier: Self) -> tuple[str, ...]:
        """Names of what differs from `earlier`, except the request, e.g. `sdxl-base`, `torch`."""
        changed: list[str] = []
        parts, before = self.by_network, earlier.by_network
        for now, then in (
            (self.checkpoint, earlier.checkpoint),
            (self.vae, earlier.vae),
            (self.text_encoder, earlier.text_encoder),
            (self.upscaler, earlier.upscaler),
            *zip(self.adapters, earlier.adapters, strict=False),
            *zip(self.reference, earlier.reference, strict=False),
            *zip(self.embeddings, earlier.embeddings, strict=False),
            *zip(self.controls, earlier.controls, strict=False),
            (self.depth, earlier.depth),
            (self.pose, earlier.pose),
            (self.detector, earlier.detector),
            (self.describer, earlier.describer),
            *((parts[name], before[name]) for name in parts if name in before),
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
        return (*changed, *changed_facts(self.environment, earlier.environment))
