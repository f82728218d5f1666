"""What the file of a ControlNet says about itself: whose models it is for, and its kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from catalog.control_types import OF_UNIONS
from catalog.families import Family, of_architecture
from catalog.families.recognition import Shapes
from catalog.weight_files import quantisation, unet
from catalog.weight_files.checkpoint import UNKNOWN_MODEL, what_else
from catalog.weight_files.control_networks import (
    CONTROLNET,
    HINTS,
    T2I_ADAPTER,
    UNIONS,
    another,
    first_layer,
    prefix_of,
)
from catalog.weight_files.header import Header, HeaderError
from catalog.weight_files.refusal import with_article

ControlKind: TypeAlias = Literal["controlnet", "union", "t2i_adapter"]

NOT_ONE: Final = ", not a ControlNet"
"""What the reason ends in why a file is refused that belongs elsewhere."""
_RATES: Final = {8: "SD 1.5", 16: "SDXL"}
"""Pixels on each side of the squares that a T2I-Adapter folds into channels → whose it is."""
_CHANNELS: Final = (1, 3)
"""Of the images that a T2I-Adapter follows."""
_COLOURS: Final = 3
"""Channels of the images that a ControlNet follows."""
_LATENTS: Final = 4
"""Channels of the latents of the models that ControlNets are for."""
_KOLORS: Final = "encoder_hid_proj.weight"


@dataclass(frozen=True, slots=True)
class ControlNetFacts:
    """kind: `controlnet` (arXiv 2302.05543), `union` for one that follows several types,
    `t2i_adapter` (arXiv 2302.08453). family: key of the family whose models it is for.

    types: those that a union follows; none of others, whose files do not say it.
    """

    kind: ControlKind
    family: str
    types: tuple[str, ...] = ()


def controlnet_facts(header: Header, file: Path | None = None) -> ControlNetFacts:
    """What a file with this header is.

    file: the one, in which layers may name their formats. Raises HeaderError if it is no ControlNet
    or T2I-Adapter that can be used; it says why. Raises OSError.
    """
    packed = quantisation.refusal(header, file)
    if not packed and any(map(quantisation.is_companion, header.shapes)):
        packed = "they are scaled 8-bit floats"
    shapes = header.shapes
    if name := another(shapes):
        raise HeaderError(f"it is {with_article(name)}, which cannot be used")
    prefix, first = prefix_of(shapes), first_layer(shapes)
    if prefix is None and first is None:
        what = what_else(shapes, header.metadata)
        if what == UNKNOWN_MODEL:
            raise HeaderError("it has the tensors of no ControlNet or T2I-Adapter known here")
        raise HeaderError(f"it is {with_article(what)}{NOT_ONE}")
    if packed:
        raise HeaderError(f"its weights cannot be read: {packed}")
    if prefix is None:
        return ControlNetFacts("t2i_adapter", _family_of_adapter(first or ()).key)
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    family = _family_of_controlnet(own)
    if not any(name in own for name in UNIONS):
        return ControlNetFacts("controlnet", family.key)
    count = (own.get(UNIONS[0]) or (0,))[0]
    if (types := OF_UNIONS.get(count)) is None:
        known = " and ".join(map(str, OF_UNIONS))
        raise HeaderError(f"it is a union of {count} kinds of maps; known are those of {known}")
    return ControlNetFacts("union", family.key, types)


def _family_of_controlnet(shapes: Shapes) -> Family:
    """shapes: of the ControlNet alone, without a prefix."""
    latents = _second(shapes, "conv_in.weight", "input_blocks.0.0.weight")
    if latents != _LATENTS:
        raise HeaderError(f"it is for latents of {latents} channels; allowed are {_LATENTS}")
    colours = _second(shapes, *HINTS)
    if colours != _COLOURS:
        raise HeaderError(f"it follows images of {colours} channels; allowed are {_COLOURS}")
    model = "Kolors" if _KOLORS in shapes else unet.model_of(shapes)
    return _usable(model, CONTROLNET)


def _family_of_adapter(first: tuple[int, ...]) -> Family:
    """first: shape of its first layer."""
    channels = first[1] if len(first) == len(("out", "in", "height", "width")) else 0
    for rate, model in _RATES.items():
        if channels in (each * rate**2 for each in _CHANNELS):
            return _usable(model, T2I_ADAPTER)
    raise HeaderError(f"it is a {T2I_ADAPTER} whose first layer takes {channels} channels")


def _usable(model: str, what: str) -> Family:
    family = of_architecture(model)
    if family is None or not family.takes_control:
        raise HeaderError(f"it is {with_article(what)} for {model} models, which cannot be used")
    return family


def _second(shapes: Shapes, *names: str) -> int:
    """The second axis of the first of these tensors that is there; 0 if none is."""
    found = next((shapes[name] for name in names if name in shapes), ())
    return found[1] if len(found) > 1 else 0
