"""ControlNets as the extension sd-webui-controlnet has them: units among a request's scripts.

Pure functions. What a unit says in another way than it is done here is named, like any field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.api.automatic.bodies import Img2Img, Txt2Img
from bot.api.original.bodies import Int, Number
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import CONTROL_WEIGHT
from bot.request.dialects.controlnet import (
    LINES,
    MODULES,
    NONE,
    OFFERED_MODULES,
    UNION_TYPES,
    USUAL_MODULES,
    Module,
)
from catalog import ControlNets
from catalog.control_types import CANNY, DEPTH, POSE

SCRIPT: Final = "controlnet"
ADDRESS: Final = f"alwayson_scripts.{SCRIPT}.args"

_NO_MODEL: Final = "None"
_BY_NUMBER: Final = ("Just Resize", "Crop and Resize", "Resize and Fill", "Just Resize")
STRETCH: Final = "Just Resize"
FITTED: Final = (STRETCH, "Crop and Resize", "Inner Fit (Scale to Fit)", "Scale to Fit (Inner Fit)")
"""Values of `resize_mode` that are done here: one that stretches, and one that crops."""
_SIDE_MIN: Final = 64
"""The least `processor_res` that counts there; a lower one stands for the usual."""
_LEVELS: Final = (1, 255)
"""What a threshold of Canny's has to be to count there; any other stands for the usual."""
_THRESHOLDS: Final[Mapping[str, int]] = {"threshold_a": 100, "threshold_b": 200}

NEUTRAL: Final[Mapping[str, Sequence[Any]]] = {
    "mask": (None, ""),
    "mask_image": (None, ""),
    "control_mode": (None, 0, "Balanced"),
    "guessmode": (None, False, 0),
    "effective_region_mask": (None, ""),
    "advanced_weighting": (None, []),
    "input_mode": (None, "simple"),
    "batch_images": (None, "", []),
    "loopback": (None, False),
    "ipadapter_input": (None, "", []),
}
"""Field → the values with which it changes nothing there either."""
WITHOUT_EFFECT: Final = (
    # On the memory of their GPU, on their page, on what else is saved, or with what is not here.
    *("low_vram", "lowvram", "is_ui", "output_dir", "save_detected_map", "pulid_mode"),
    *("inpaint_crop_input_image", "animatediff_batch", "batch_mask_dir", "batch_modifiers"),
    *("batch_image_files", "batch_keyframe_idx"),
)
_UNTYPED: Final = str.maketrans({",": " ", ":": " ", "\n": " "})
"""What separates ControlNets and their weights where they are typed."""
_IMAGES: Final = ("image", "input_image", "mask", "mask_image", "effective_region_mask")


class Unit(BaseModel):
    """One ControlNet with what it follows, as sd-webui-controlnet and Forge name its fields."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    enabled: bool | None = None
    module: str | None = None
    model: str | None = None
    weight: Number | None = Field(default=None, ge=CONTROL_WEIGHT[0], le=CONTROL_WEIGHT[2])
    image: Any = None
    input_image: Any = None
    resize_mode: Int | str | None = None
    guidance_start: Number | None = Field(default=None, ge=0, le=1)
    guidance_end: Number | None = Field(default=None, ge=0, le=1)
    guidance: Number | None = Field(default=None, ge=0, le=1)
    pixel_perfect: bool | None = None
    processor_res: Number | None = None
    threshold_a: Number | None = None
    threshold_b: Number | None = None
    hr_option: str | None = None
    union_control_type: str | None = None

    @property
    def acts(self) -> bool:
        """Unless it says so, one that names a model does: in older versions of the extension, all
        did."""
        if self.enabled is None:
            return self.model not in (None, "", _NO_MODEL)
        return self.enabled

    @property
    def fitted(self) -> str:
        """How its image is brought to the size of the result."""
        mode = FITTED[1] if self.resize_mode is None else self.resize_mode
        if isinstance(mode, int):
            return _BY_NUMBER[mode] if 0 <= mode < len(_BY_NUMBER) else str(mode)
        return mode


@dataclass(frozen=True, slots=True)
class Followed:
    """An image that a ControlNet follows: as it was sent, in base64, and whether to stretch it to
    the size of the result. name: what the caller calls it."""

    name: str
    picture: str = field(repr=False)
    stretched: bool


@dataclass(frozen=True, slots=True)
class Units:
    """control, other_types: as of a draft; None without any. images: for the draft's, in order;
    none if all follow the image to start from. warnings: what was left out."""

    control: str | None = None
    other_types: tuple[str, ...] = ()
    images: tuple[Followed, ...] = ()
    warnings: tuple[Notice, ...] = ()


def understood(body: Txt2Img | Img2Img, controlnets: ControlNets) -> Units:
    """The units of a request that act.

    Raises RequestValidationError, and InvalidRequest for what is not possible here.
    """
    units = {number: unit for number, unit in enumerate(_units(body)) if unit.acts}
    if not units:
        return Units()
    pictures = {number: _picture(number, unit) for number, unit in units.items()}
    images: tuple[Followed, ...] = ()
    if any(pictures.values()):
        images = tuple(
            picture or _started_from(body, number) for number, picture in pictures.items()
        )
    asked = [_asked(*each, controlnets) for each in units.items()]
    return Units(
        control=", ".join(_typed(*each) for each in zip(units.values(), asked, strict=True)),
        # Which module makes a map is said apart from what follows it.
        other_types=tuple(asked),
        images=images,
        warnings=tuple(notice for each in units.items() for notice in _unused(*each, body)),
    )


def is_controlnet(script: str) -> bool:
    return script.strip().casefold() == SCRIPT


def without_images(scripts: Mapping[str, Any]) -> dict[str, Any]:
    """A request's scripts to be sent back: without the images in its units."""
    return {
        name: {"args": [unit | {i: None for i in _IMAGES if i in unit} for unit in _args(script)]}
        if is_controlnet(name)
        else script
        for name, script in scripts.items()
    }


def _units(body: Txt2Img | Img2Img) -> Iterator[Unit]:
    scripts = body.alwayson_scripts or {}
    sent = [unit for name in scripts if is_controlnet(name) for unit in _args(scripts[name])]
    for number, unit in enumerate(sent):
        try:
            yield Unit.model_validate(unit)
        except ValidationError as error:
            place = ("body", f"{ADDRESS}[{number}]")
            raise RequestValidationError(
                [{**each, "loc": (*place, *each["loc"])} for each in error.errors()]
            ) from None


def _args(script: Any) -> list[dict[str, Any]]:
    args = script.get("args") if isinstance(script, dict) else script
    return [unit for unit in args if isinstance(unit, dict)] if isinstance(args, list) else []


def _named(number: int, name: str) -> str:
    return f"{ADDRESS}[{number}].{name}"


def _asked(number: int, unit: Unit, controlnets: ControlNets) -> str:
    """The ControlNet, with the type of its map if one is said. Raises InvalidRequest if there is no
    such module."""
    name = (unit.model or _NO_MODEL).strip()
    entry = controlnets.find(name) or controlnets.find(name.partition(" [")[0])
    if entry and entry.nsfw:
        entry = None  # who may not know of it is only told what they sent
    key = entry.key if entry else name.translate(_UNTYPED)
    module = _module(number, unit)
    kind = module.type or UNION_TYPES.get(_told_type(unit))
    own = controlnets.type_of(entry.key) if entry else None
    if kind == LINES[0] and own in LINES:
        kind = own  # their maps are made in the same way
    return f"{key}/{kind}" if kind else key


def _typed(unit: Unit, asked: str) -> str:
    """As it is typed here. asked: what `_asked` returned."""
    _, usual, _ = CONTROL_WEIGHT
    weight = usual if unit.weight is None else unit.weight
    start = unit.guidance_start or 0.0
    ends = (each for each in (unit.guidance_end, unit.guidance) if each is not None)
    end = next(ends, 1.0)
    text = f"{asked}:{_decimal(weight)}"
    text += f" from {_decimal(100 * start)}%" if start > 0 else ""
    text += f" until {_decimal(100 * end)}%" if end < 1 else ""
    return f"{text} as map" if _is_map(unit) else text


def _decimal(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _module(number: int, unit: Unit) -> Module:
    """Raises InvalidRequest if there is no such module."""
    return module_called(_named(number, "module"), unit.module)


def module_called(field: str, name: str | None) -> Module:
    """The module that a request names in that field; without a name, what makes no map.

    Raises InvalidRequest if there is no such module.
    """
    module = MODULES.get((name or NONE).strip().casefold())
    if module is None:
        raise InvalidRequest(
            field,
            "api.automatic.module",
            value=(name or "")[:100],
            allowed=OFFERED_MODULES[1:],
        )
    return module


def _told_type(unit: Unit) -> str:
    """Of a Union; empty where none is told."""
    return (unit.union_control_type or "").strip().casefold()


def _is_map(unit: Unit) -> bool:
    return (unit.module or NONE).strip().casefold() == NONE


def _picture(number: int, unit: Unit) -> Followed | None:
    """The image that was sent with it. Raises InvalidRequest for what is none."""
    name = "image" if unit.image else "input_image"
    given, _ = _image_and_mask(getattr(unit, name))
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise InvalidRequest(_named(number, name), "api.picture.encoding")
    return Followed(_named(number, name), given, stretched=unit.fitted == STRETCH)


def _image_and_mask(given: Any) -> tuple[Any, Any]:
    """Of an image alone, of `[image, mask]`, of `{"image", "mask"}`, or of a list with one such."""
    if isinstance(given, list) and len(given) == 1:
        (given,) = given
    if isinstance(given, list) and len(given) == 2:
        return given[0], given[1]
    if isinstance(given, dict):
        return given.get("image"), given.get("mask")
    return given, None


def _started_from(body: Txt2Img | Img2Img, number: int) -> Followed:
    """The image that a unit without one follows, beside others that have theirs."""
    if isinstance(body, Img2Img) and body.init_images:
        return Followed("init_images", body.init_images[0], stretched=not body.resize_mode)
    raise InvalidRequest(_named(number, "image"), "api.field.missing")


def _unused(number: int, unit: Unit, body: Txt2Img | Img2Img) -> Iterator[Notice]:
    """What of it has no effect, though it was meant to have one."""
    for name, value in (unit.model_extra or {}).items():
        if name not in (*NEUTRAL, *WITHOUT_EFFECT):
            yield Notice("api.field.unknown", {"field": _named(number, name[:100])})
        elif name in NEUTRAL and value not in NEUTRAL[name]:
            yield _ignored(number, name)
    module = _module(number, unit)
    if module.type is not None and not module.same:
        said = {"field": _named(number, "module"), "value": unit.module or ""}
        yield Notice("api.automatic.module_other", said | {"instead": USUAL_MODULES[module.type]})
    for name in ("image", "input_image"):
        if _image_and_mask(getattr(unit, name))[1]:
            yield _ignored(number, name)
    if _told_type(unit) not in (*UNION_TYPES, "unknown", ""):
        yield _ignored(number, "union_control_type")
    if (body.width or body.height) and unit.fitted not in FITTED:
        yield _ignored(number, "resize_mode")
    if isinstance(body, Txt2Img) and body.enable_hr and unit.hr_option not in (None, "Both"):
        yield _ignored(number, "hr_option")
    if module.type in (CANNY, DEPTH, POSE) and not _is_sharp(unit, body):
        yield _ignored(number, "processor_res")
    if module.type == CANNY:
        low, high = _LEVELS
        for name, usual in _THRESHOLDS.items():
            level = getattr(unit, name)
            if level is not None and low <= level <= high and int(level) != usual:
                yield _ignored(number, name)


def _is_sharp(unit: Unit, body: Txt2Img | Img2Img) -> bool:
    """Whether its map is made at the size of the result, as far as that was sent."""
    if unit.pixel_perfect or unit.processor_res is None or unit.processor_res < _SIDE_MIN:
        return True
    return unit.processor_res == min(filter(None, (body.width, body.height)), default=0)


def _ignored(number: int, name: str) -> Notice:
    return Notice("api.automatic.ignored", {"field": _named(number, name)})
