"""Recipe: a request and everything resolved to paint it, enough to paint the same bytes again."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from bot.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of weights that took part.

    name: catalog key (checkpoint, adapter) or the path in the catalog (VAE).
    sha256: hex digest of the file, or of the sorted file digests of a folder.
    short: the hash that Civitai and AUTOMATIC1111 know it by: 10 hex digits of `sha256` for a
        checkpoint, 12 of the tensor data's sha256 ("AutoV3") for an adapter.
    """

    name: str
    sha256: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The request plus what it became on this install.

    vae: None when the checkpoint's own was used.
    adapters: in the order of `request.adapters`, which carry the weights.
    reference: the IP-Adapter and its image encoder; empty when no picture guided the painting.
    scheduler: class name and full configuration, as diffusers reports them.
    environment: versions, device, dtype, threads – whatever else the bits depend on.
    """

    request: GenerationRequest
    checkpoint: Weights
    vae: Weights | None = None
    adapters: tuple[Weights, ...] = ()
    reference: tuple[Weights, ...] = ()
    scheduler: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; `from_dict` reads it back."""
        return {**asdict(self), "request": self.request.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Of any age: older ones knew of no `reference`."""
        vae = data["vae"]
        return cls(
            request=GenerationRequest.from_dict(data["request"]),
            checkpoint=Weights(**data["checkpoint"]),
            vae=Weights(**vae) if vae else None,
            adapters=tuple(Weights(**weights) for weights in data["adapters"]),
            reference=tuple(Weights(**weights) for weights in data.get("reference", ())),
            scheduler=data["scheduler"],
            environment=data["environment"],
        )

    def changed_since(self, earlier: Self) -> tuple[str, ...]:
        """Names of what differs from `earlier` besides the request, e.g. `sdxl-base`, `torch`."""
        changed = []
        for now, then in (
            (self.checkpoint, earlier.checkpoint),
            (self.vae, earlier.vae),
            *zip(self.adapters, earlier.adapters, strict=False),
            *zip(self.reference, earlier.reference, strict=False),
        ):
            if now != then:
                changed.append((now or then or self.checkpoint).name)
        if self.scheduler != earlier.scheduler:
            changed.append("scheduler")
        names = sorted({*self.environment, *earlier.environment})
        changed += [n for n in names if self.environment.get(n) != earlier.environment.get(n)]
        return tuple(changed)
