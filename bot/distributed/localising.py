"""Orders with digests in place of paths, and back: the bot's paths mean nothing to a worker.

What comes over the wire is never used to open anything. A worker looks its digest up among the
parts that it has, and opens those where they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, TypeVar

from bot.distributed.inventory import UNKNOWN, Inventory
from bot.distributed.parts import (
    Kind,
    Other,
    Part,
    config_of,
    is_digest,
    part_of,
    part_of_model,
    replacing,
)
from bot.engine.subject import Subject, SubjectKind, public
from bot.errors import ImagenError, JobFailed, WireError
from bot.order import Order
from bot.recipe import Recipe, Weights
from catalog import (
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
)

SCHEME: Final = "sha256:"
"""What the path of an entry begins with that names a digest."""
_SOME_FILE: Final = "part.safetensors"
_SOME_FOLDER: Final = "encoder"
"""Stand for names that an entry must have, and that a worker has its own for."""

_SUBJECTS: Final[Mapping[Kind, SubjectKind]] = {
    Kind.ADAPTER: "adapter",
    Kind.EMBEDDING: "embedding",
    Kind.REFERENCE: "reference",
    Kind.UPSCALER: "upscaler",
    Kind.CONTROL: "control",
    Kind.DEPTH: "depth",
    Kind.POSE: "pose",
    Kind.DETECTOR: "detector",
    Kind.DESCRIBER: "describer",
}
"""What people call the entries of parts; the others are a model's."""

Place = Callable[[Part, str], Part]
"""A part as an entry says it, and the entry's key → what stands in the entry instead."""
_One = TypeVar(
    "_One",
    AdapterEntry,
    EmbeddingEntry,
    UpscalerEntry,
    ReferenceEntry,
    ControlNetEntry,
    DepthEntry,
    PoseEntry,
    DescriberEntry,
    DetectorEntry,
)


class NotHashed(ImagenError):
    """An order needs a file whose digest is not known yet; the text names the entry."""


class NotAnAddress(WireError):
    """An order from elsewhere has something else than a digest where one belongs."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A part of an order that is not on this machine. key: of its entry. on_hub: whether an engine
    here downloads it from the hub when it needs it."""

    kind: Kind
    key: str
    digest: str
    on_hub: bool


class PartMissing(JobFailed):
    """This machine lacks a part of an order. digest: the part's, of this kind."""

    def __init__(self, kind: Kind, key: str, digest: str) -> None:
        super().__init__("part.missing", name=key)
        self.kind = kind
        self.key = key
        self.digest = digest


def addressed(order: Order, inventory: Inventory) -> Order:
    """The order with digests in place of paths, for any machine.

    Raises NotHashed if one is not known yet, and JobFailed if a file is not there.
    """
    place = addressing(inventory)
    if order.model is not None:
        lent = inventory.lent_of(order.model)
        order = replace(order, lent=dict.fromkeys(lent, order.model.lent_by))
    # Its configuration is named also if that is its family's usual one.
    return _with_parts(order, place, lambda entry: _with_places(entry, config_of(entry), place))


def addressing(inventory: Inventory) -> Place:
    """What puts digests in place of paths; raises as `addressed`."""

    def address(part: Part, key: str) -> Part:
        digest = inventory.digest_of(part)
        if digest == UNKNOWN:
            raise NotHashed(f"{part.kind} {key}: its files are not hashed yet")
        if digest is None:
            raise _missing(part, key)
        if part.kind is Kind.NETWORK:
            return Part(part.kind, SCHEME + digest)
        named = _SOME_FILE if part.kind is Kind.REFERENCE else None
        beside = {Kind.REFERENCE: _SOME_FOLDER, Kind.EMBEDDING: _SOME_FILE}.get(part.kind, "")
        return Part(part.kind, SCHEME + digest, named, beside=beside if part.beside else "")

    return address


def localise(order: Order, inventory: Inventory) -> Order:
    """An order from elsewhere with this machine's own files. Blocks briefly.

    Raises PartMissing for the first that is not here, and NotAnAddress.
    """
    place = localising(inventory)
    return _with_parts(order, place, lambda entry: _with_places(entry, entry.config, place))


def localising(inventory: Inventory) -> Place:
    def local(part: Part, key: str) -> Part:
        digest = digest_in(part.path)
        if (held := inventory.holding(digest)) is None:
            raise PartMissing(part.kind, key, digest)
        return held.opened

    return local


def lacks_of(order: Order, inventory: Inventory) -> list[Lack]:
    """All that an order from elsewhere needs and that is not here. Blocks briefly. Raises
    NotAnAddress."""
    found: dict[str, Lack] = {}

    def look(part: Part, key: str) -> Part:
        digest = digest_in(part.path)
        held = inventory.holding(digest)
        if held is None or not held.here:
            found.setdefault(digest, Lack(part.kind, key, digest, on_hub=held is not None))
        return part

    _with_parts(order, look, lambda entry: _with_places(entry, entry.config, look))
    return [*found.values()]


def digests_of(order: Order) -> frozenset[str]:
    """All that an order from elsewhere needs. Raises NotAnAddress."""
    found: set[str] = set()

    def note(part: Part, _: str) -> Part:
        found.add(digest_in(part.path))
        return part

    _with_parts(order, note, lambda entry: _with_places(entry, entry.config, note))
    return frozenset(found)


def digest_in(path: str) -> str:
    """The digest that stands for a path. Raises NotAnAddress."""
    digest = path.removeprefix(SCHEME)
    if digest == path or not is_digest(digest):
        raise NotAnAddress("an order names a path, where a digest belongs")
    return digest


def named_as(recipe: Recipe, order: Order) -> Recipe:
    """A recipe from a worker with the names that the bot's own engine would have given.

    Some are those of files, which may be called otherwise there.
    """
    reference = recipe.reference
    if order.reference is not None:
        names = (order.reference.weight_name, order.reference.encoder)
        reference = tuple(
            replace(weights, name=PurePath(name).name)
            for weights, name in zip(reference, names, strict=False)
        )
    vae, encoder, parts, config = recipe.vae, recipe.text_encoder, recipe.parts, recipe.config
    if order.model is not None:
        vae = _called(vae, order.model.vae_path)
        encoder = _called(encoder, order.model.text_encoder_path)
        config = config and public(order.model.completed_by)
        lender = public(order.model.lent_by)
        parts = tuple(
            replace(weights, name=f"{lender}/{PurePath(weights.name).name}") for weights in parts
        )
    depth = _called(recipe.depth, order.depth.path) if order.depth else recipe.depth
    pose = _called(recipe.pose, order.pose.path) if order.pose else recipe.pose
    detector = recipe.detector
    if order.detector:
        detector = _called(detector, order.detector.path)
    describer = recipe.describer
    if order.describer:
        describer = _called(describer, order.describer.path)
    named = replace(recipe, vae=vae, text_encoder=encoder, reference=reference, depth=depth)
    named = replace(named, pose=pose, detector=detector, describer=describer)
    return replace(named, parts=parts, config=config)


def _called(weights: Weights | None, path: str | None) -> Weights | None:
    """Weights that an entry has at `path`, by that name."""
    return replace(weights, name=public(path)) if weights and path else weights


def _with_parts(order: Order, place: Place, model: Callable[[ModelEntry], ModelEntry]) -> Order:
    return replace(
        order,
        model=order.model and model(order.model),
        adapters=tuple(_with_place(entry, place) for entry in order.adapters),
        reference=order.reference and _with_place(order.reference, place),
        embeddings=tuple(_with_place(entry, place) for entry in order.embeddings),
        upscaler=order.upscaler and _with_place(order.upscaler, place),
        controls=tuple(_with_place(entry, place) for entry in order.controls),
        depth=order.depth and _with_place(order.depth, place),
        pose=order.pose and _with_place(order.pose, place),
        detector=order.detector and _with_place(order.detector, place),
        describer=order.describer and _with_place(order.describer, place),
        lent={
            network: place(Part(Kind.NETWORK, path, beside=network), order.request.model).path
            for network, path in order.lent.items()
        },
    )


def _with_places(entry: ModelEntry, config: str | None, place: Place) -> ModelEntry:
    """The entry of a model with other places for its parts."""
    key = entry.key
    main = place(part_of_model(entry), key)
    instead = {f"{part.kind}_path": place(part, key).path for part in replacing(entry)}
    config = place(Part(Kind.CONFIG, config), key).path if config else None
    named = {"path": main.path, "weight_name": main.weight_name, "revision": main.revision}
    # Elsewhere, no name of a file tells it.
    variant = entry.told_variant and entry.told_variant.name
    return entry.model_copy(update={**named, **instead, "config": config, "variant": variant})


def _with_place(entry: _One, place: Place) -> _One:
    part = part_of(entry)
    found = place(part, _key_of(entry))
    named = {"path": found.path, "weight_name": found.weight_name, "revision": found.revision}
    match entry:
        case DepthEntry() | PoseEntry() | DetectorEntry() | DescriberEntry():
            del named["weight_name"]
        case ControlNetEntry():
            named["type"] = entry.told_type  # elsewhere, no name of a file tells it
        case AdapterEntry():
            named["token"] = entry.word  # neither does it tell this
        case EmbeddingEntry():
            named["second"] = found.beside or None
        case ReferenceEntry():
            named["encoder"] = found.beside
    return entry.model_copy(update=named)


def _key_of(entry: Other) -> str:
    looking = DepthEntry | PoseEntry | DetectorEntry | DescriberEntry
    if isinstance(entry, ReferenceEntry | looking):
        return public(entry.path)
    return entry.key


def _missing(part: Part, key: str) -> JobFailed:
    """What the engine here would say."""
    if part.kind is Kind.NETWORK:
        return JobFailed("model.incomplete", model=key, part=part.beside)
    subject = Subject(_SUBJECTS.get(part.kind, "model"), key, lambda _: None, lambda: None)
    return subject.failed(
        "model.missing",
        "adapter.missing",
        "embedding.missing",
        "upscaler.missing",
        "reference.missing",
        "control.missing",
        "depth.missing",
        "pose.missing",
        "detector.missing",
        "describer.missing",
        path=public(part.path),
    )
