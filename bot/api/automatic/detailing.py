"""Faces and hands as the extension ADetailer has them: units among a request's scripts.

Pure functions. What a unit says in another way than it is done here is named, like any field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.api.automatic.bodies import Img2Img, Txt2Img
from bot.api.original.bodies import Number
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import DetailUse
from bot.request.dialects import adetailer

SCRIPT: Final = "adetailer"
ADDRESS: Final = "alwayson_scripts.ADetailer.args"

_NONE: Final = (None, "", "None")
NEUTRAL: Final[Mapping[str, Sequence[Any]]] = {
    "ad_model_classes": (None, ""),
    "ad_prompt": (None, ""),
    "ad_negative_prompt": (None, ""),
    "ad_confidence": (None, adetailer.CONFIDENCE),
    "ad_mask_filter_method": (None, "Area"),
    "ad_mask_k": (None, 0),
    "ad_mask_k_largest": (None, 0),
    "ad_mask_min_ratio": (None, 0),
    "ad_mask_max_ratio": (None, 1),
    "ad_dilate_erode": (None, 4),
    "ad_x_offset": (None, 0),
    "ad_y_offset": (None, 0),
    "ad_mask_merge_invert": (*_NONE,),
    "ad_mask_blur": (None, 4),
    "ad_inpaint_only_masked": (None, True),
    "ad_inpaint_only_masked_padding": (None, adetailer.PADDING),
    "ad_use_inpaint_width_height": (None, False),
    "ad_use_steps": (None, False),
    "ad_use_cfg_scale": (None, False),
    "ad_use_checkpoint": (None, False),
    "ad_use_vae": (None, False),
    "ad_use_sampler": (None, False),
    "ad_use_noise_multiplier": (None, False),
    "ad_use_clip_skip": (None, False),
    "ad_restore_face": (None, False),
    "ad_controlnet_model": (*_NONE, "Passthrough"),
}
"""Field → the values with which it asks for nothing that is not done here."""
WITHOUT_EFFECT: Final = (
    # What counts only with one of the fields above, or on their page.
    *("ad_inpaint_width", "ad_inpaint_height", "ad_steps", "ad_cfg_scale", "ad_checkpoint"),
    *("ad_vae", "ad_sampler", "ad_scheduler", "ad_noise_multiplier", "ad_clip_skip"),
    *("ad_controlnet_module", "ad_controlnet_weight", "ad_controlnet_guidance_start"),
    *("ad_controlnet_guidance_end", "is_api", "ad_tap_enable", "ad_tab_enable"),
)


class Unit(BaseModel):
    """One detector, as ADetailer names its fields."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    ad_model: str | None = None
    ad_tab_enable: bool | None = True
    ad_denoising_strength: Number | None = None

    @property
    def acts(self) -> bool:
        return self.ad_tab_enable is not False and self.ad_model not in _NONE


@dataclass(frozen=True, slots=True)
class Details:
    """detail: as it is typed; None for nothing. warnings: what was left out."""

    detail: str | None = None
    warnings: tuple[Notice, ...] = ()


def is_adetailer(script: str) -> bool:
    return script.strip().casefold() == SCRIPT


def understood(body: Txt2Img | Img2Img) -> Details:
    """The units of a request that act.

    Raises RequestValidationError, and InvalidRequest for a model that is not known.
    """
    units = {number: unit for number, unit in _units(body) if unit.acts}
    if not units:
        return Details()
    detail: dict[str, DetailUse] = {}
    for number, unit in units.items():
        word = adetailer.word_of(unit.ad_model or "")
        if word is None:
            field, value = _named(number, "ad_model"), (unit.ad_model or "")[:100]
            raise InvalidRequest(field, "api.automatic.detector", value=value)
        strength = unit.ad_denoising_strength
        own = DetailUse(word, adetailer.STRENGTH if strength is None else strength)
        detail.setdefault(word, own)
    warnings = tuple(notice for each in units.items() for notice in _unused(*each))
    return Details(", ".join(map(str, detail.values())), (*_skipping(body), *warnings))


def _args(body: Txt2Img | Img2Img) -> list[Any]:
    for name, script in (body.alwayson_scripts or {}).items():
        if is_adetailer(name):
            args = script.get("args") if isinstance(script, dict) else script
            return args if isinstance(args, list) else []
    return []


def _units(body: Txt2Img | Img2Img) -> Iterator[tuple[int, Unit]]:
    """Those of an extension that is not switched off: what comes first may say so."""
    args = _args(body)
    if args and args[0] is False:
        return
    for number, unit in enumerate(args):
        if not isinstance(unit, dict):
            continue
        try:
            yield number, Unit.model_validate(unit)
        except ValidationError as error:
            place = ("body", f"{ADDRESS}[{number}]")
            raise RequestValidationError(
                [{**each, "loc": (*place, *each["loc"])} for each in error.errors()]
            ) from None


def _skipping(body: Txt2Img | Img2Img) -> Iterator[Notice]:
    """The second of two truths before the units asks to leave the image itself as it is."""
    if _args(body)[1:2] == [True]:
        yield Notice("api.automatic.ignored", {"field": f"{ADDRESS}[1]"})


def _unused(number: int, unit: Unit) -> Iterator[Notice]:
    for name, value in (unit.model_extra or {}).items():
        if name in WITHOUT_EFFECT or value in NEUTRAL.get(name, ()):
            continue
        code = "api.automatic.ignored" if name in NEUTRAL else "api.field.unknown"
        yield Notice(code, {"field": _named(number, name[:100])})


def _named(number: int, name: str) -> str:
    return f"{ADDRESS}[{number}].{name}"
