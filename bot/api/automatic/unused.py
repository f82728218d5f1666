"""Fields that change nothing here: named in the answer, unless they would change nothing anyway."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from bot.api.automatic.bodies import Img2Img, Txt2Img, strength_of
from bot.api.automatic.detailing import is_adetailer
from bot.api.automatic.units import is_controlnet
from bot.progress import Notice
from catalog.families import VAE

_NONE: Final = (None, "", "None")
NEUTRAL: Final[Mapping[str, Collection[Any]]] = {
    "seed_resize_from_h": (None, -1, 0),
    "seed_resize_from_w": (None, -1, 0),
    "distilled_cfg_scale": (None,),
    "restore_faces": (None, False),
    "s_min_uncond": (None, 0),
    "s_churn": (None, 0),
    "s_tmax": (None, 0),
    "s_tmin": (None, 0),
    "s_noise": (None, 1),
    "override_settings_restore_afterwards": (None, True),
    "refiner_checkpoint": _NONE,
    "disable_extra_networks": (None, False),
    "comments": (None, {}),
    "infotext": _NONE,
    "image_cfg_scale": (None, 1.5),
    "initial_noise_multiplier": (None, 1),
}
"""Field → the values with which it changes nothing in AUTOMATIC1111 either."""

OF_HIRES: Final[Mapping[str, Collection[Any]]] = {
    "firstphase_width": (None, 0),
    "firstphase_height": (None, 0),
    "hr_upscaler": (None, "", "Lanczos"),
    "hr_checkpoint_name": (*_NONE, "Use same checkpoint"),
    "hr_additional_modules": (None, [], ["Use same choices"]),
    "hr_sampler_name": (*_NONE, "Use same sampler"),
    "hr_scheduler": (*_NONE, "Use same scheduler"),
    "hr_prompt": (None, ""),
    "hr_negative_prompt": (None, ""),
    "hr_cfg": (None, 0),
    "hr_distilled_cfg": (None,),
}
"""The same for fields that matter only with `enable_hr`."""

OF_MASK: Final[Mapping[str, Collection[Any]]] = {
    "mask_blur": (None, 4),
    "mask_blur_x": (None, 4),
    "mask_blur_y": (None, 4),
}
"""The same for fields that matter only with a `mask`. What is blurred there is a seam here, of a
width of its own."""
FILL, ORIGINAL = 0, 1
"""Values of `inpainting_fill`: where the masked part begins from. Ours is decided by the strength.
"""

ETA: Final[Mapping[str, float]] = {
    "Euler a": 1.0,
    "DPM++ SDE": 1.0,
    "DPM++ 2M SDE": 1.0,
    "DDIM": 0.0,
    "LCM": 1.0,
    "TCD": 1.0,
}
"""Sampler → the `eta` that it has here; the others have none."""

MODULES: Final = "forge_additional_modules"
"""Forge's setting for files of a VAE and of text encoders."""
SETTINGS: Final[Mapping[str, Collection[Any]]] = {
    "sd_vae": (None, "", "Automatic", "None"),
    MODULES: (None, []),
    "face_restoration_model": (None, "", "None"),
    "samples_format": (None, "png"),
}
"""Setting → the values that are in effect here."""
USED_SETTINGS: Final = ("sd_model_checkpoint", "CLIP_stop_at_last_layers")


def unused(body: Txt2Img | Img2Img, *, sampler: str, own: Mapping[str, str]) -> tuple[Notice, ...]:
    """What of a request has no effect, though it was meant to have one.

    sampler: that is used, without its schedule. own: see `ModelEntry.replaced`.
    """
    return (*_fields(body, sampler), *_scripts(body), *_settings(body.settings, own))


def _fields(body: Txt2Img | Img2Img, sampler: str) -> Iterator[Notice]:
    for name in body.model_extra or {}:
        yield Notice("api.field.unknown", {"field": name[:100]})
    neutral = dict(NEUTRAL)
    if isinstance(body, Txt2Img) and body.enable_hr:
        neutral |= OF_HIRES
        neutral["hr_prompt"] = (None, "", body.prompt)
        neutral["hr_negative_prompt"] = (None, "", body.negative_prompt)
        neutral["hr_cfg"] = (None, 0, body.cfg_scale)
    if isinstance(body, Img2Img) and body.mask:
        neutral |= OF_MASK
        fill = FILL if strength_of(body) >= 1 else ORIGINAL
        neutral["inpainting_fill"] = (None, fill)
    if (eta := ETA.get(sampler)) is not None:
        neutral["eta"] = (None, eta)
    if [style for style in body.styles or () if style not in _NONE]:
        yield _ignored("styles")
    for name, values in neutral.items():
        if getattr(body, name, None) not in values:
            yield _ignored(name)


def _scripts(body: Txt2Img | Img2Img) -> Iterator[Notice]:
    for name, script in (body.alwayson_scripts or {}).items():
        if is_controlnet(name) or is_adetailer(name):
            continue
        args = script.get("args") if isinstance(script, dict) else script
        if args and args != [False]:
            yield Notice("api.automatic.script_ignored", {"value": name[:100]})


def _settings(settings: Mapping[str, Any], own: Mapping[str, str]) -> Iterator[Notice]:
    stems = {network: _stem(path) for network, path in own.items()}
    for name, value in settings.items():
        if name in USED_SETTINGS or value in SETTINGS.get(name, ()):
            continue
        if name == "sd_vae" and _stem(str(value)) == stems.get(VAE):
            continue
        several = value if isinstance(value, list) else [value]
        if name == MODULES and {_stem(str(each)) for each in several} <= {*stems.values()}:
            continue
        yield _ignored(f"override_settings.{name[:100]}")


def _stem(name: str) -> str:
    base = name.replace("\\", "/").rpartition("/")[2].casefold()
    return base.removesuffix(".safetensors").removesuffix(".gguf")


def _ignored(field: str) -> Notice:
    return Notice("api.automatic.ignored", {"field": field})
