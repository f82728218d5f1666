"""From a body to a draft: what is asked for in AUTOMATIC1111's words, in ours. Pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.api.automatic.bodies import NAMES, Img2Img, Txt2Img, strength_of
from bot.api.automatic.unused import unused
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import MASKED, RANDOM, Draft
from bot.request.dialects.samplers import SUFFIXES, scheduler_for, with_another_schedule
from bot.request.syntax import with_named_weights
from bot.request.variation import number_as_typed
from catalog import ModelEntry

STRETCH: Final = 0
CROP: Final = 1
RESIZE_MODES: Final = (STRETCH, CROP)
CLIP_SETTING: Final = "CLIP_stop_at_last_layers"
CHECKPOINT: Final = "sd_model_checkpoint"

_ALIGNED: Final = 8
_UNSAID: Final[Mapping[str, Callable[[Any], bool]]] = {
    "negative": lambda text: not text.strip(),
    "guidance": lambda scale: scale <= 1,
    "clip_skip": lambda layer: layer == 1,
    "tile": lambda on: not on,
}
"""What clients send for whatever model, as fields of a draft, and which of it asks for nothing."""


@dataclass(frozen=True, slots=True)
class Translated:
    """draft: without the images. picture: the one to start from, as it was sent, in base64; mask:
    likewise; inverted: whether what is black in that is painted anew; rounded: whether there is
    only black and white in it.

    stretched: the size to stretch both to; None to leave them as they are. warnings: what was left
    out.
    """

    draft: Draft
    picture: str | None = field(default=None, repr=False)
    mask: str | None = field(default=None, repr=False)
    inverted: bool = False
    rounded: bool = True
    stretched: tuple[int, int] | None = None
    warnings: tuple[Notice, ...] = ()


def asked_model(body: Txt2Img | Img2Img) -> str | None:
    """The checkpoint that a request names; None for the one in the caller's options.

    Raises InvalidRequest if it is not text.
    """
    asked = body.settings.get(CHECKPOINT)
    if asked is None or asked == "":
        return None
    if not isinstance(asked, str):
        raise InvalidRequest(
            f"override_settings.{CHECKPOINT}", "api.automatic.text", value=str(asked)[:100]
        )
    return asked


def translate(body: Txt2Img | Img2Img, model: ModelEntry) -> Translated:
    """model: the one that will be used. Raises InvalidRequest for what is not possible here."""
    if body.script_name:
        raise InvalidRequest("script_name", "api.automatic.script", value=body.script_name[:100])
    asked = scheduler_for(body.sampler, body.scheduler, model.scheduler, model.schedulers)
    scheduler = _possible(asked, model)
    warnings = list(
        unused(body, sampler=_sampler(scheduler or model.scheduler), own=model.replaced)
    )
    if asked is not None and scheduler is not None and asked != scheduler:
        instead = {"value": asked, "model": model.key, "scheduler": scheduler}
        warnings.append(Notice("api.automatic.sampler", instead))
    draft: dict[str, Any] = {
        "prompt": with_named_weights(body.prompt or ""),
        "negative": body.negative_prompt,
        "model": model.key,
        "steps": body.steps,
        "guidance": body.cfg_scale,
        "seed": None if body.seed in (None, -1) else body.seed,
        "variation": _variation(body),
        "count": _count(body),
        "scheduler": scheduler,
        "clip_skip": _clip_skip(body),
        # Clients send `false` without having been asked, which outweighs no --tile in a prompt.
        "tile": body.tiling or None,
        "size": _size(body, model),
    }
    for name, unsaid in _UNSAID.items():
        if name not in model.lacks:
            continue
        given, draft[name] = draft[name], None
        if given is not None and not unsaid(given):
            left_out = {"field": _sent_as(name, body), "model": model.key}
            warnings.append(Notice("api.automatic.not_taken", left_out))
    if isinstance(body, Img2Img):
        draft["strength"] = strength_of(body)
        only_masked = bool(body.mask and body.inpaint_full_res)
        if only_masked:
            draft["inpaint_area"] = MASKED
            draft["inpaint_padding"] = body.inpaint_full_res_padding or 0
        return Translated(
            Draft(**draft),
            _picture(body),
            mask=body.mask or None,
            inverted=bool(body.inpainting_mask_invert),
            rounded=body.mask_round is not False,
            # As there: the image keeps its size, and what is cut out of it has its own shape.
            stretched=None if only_masked else _stretched(body, model),
            warnings=tuple(warnings),
        )
    return Translated(Draft(**draft, **_hires(body, model)), warnings=tuple(warnings))


def _possible(scheduler: str | None, model: ModelEntry) -> str | None:
    """`scheduler` if the model can use it; else the same sampler with another schedule, or else the
    model's own."""
    if scheduler is None or scheduler in model.schedulers:
        return scheduler
    return next(iter(with_another_schedule(scheduler, model.schedulers)), model.scheduler)


def _sent_as(name: str, body: Txt2Img | Img2Img) -> str:
    """What the caller called a field of a draft."""
    if name != "clip_skip":
        return NAMES[name]
    return f"override_settings.{CLIP_SETTING}" if CLIP_SETTING in body.settings else name


def _sampler(scheduler: str) -> str:
    for suffix in filter(None, SUFFIXES.values()):
        scheduler = scheduler.removesuffix(suffix)
    return scheduler


def _count(body: Txt2Img | Img2Img) -> int:
    size, times = (1 if n is None else n for n in (body.batch_size, body.n_iter))
    for name, number in (("batch_size", size), ("n_iter", times)):
        if number < 1:
            raise InvalidRequest(name, "api.automatic.least", value=number, min=1)
    return size * times


def _variation(body: Txt2Img | Img2Img) -> str | None:
    """None with no strength, as there."""
    if not body.subseed_strength:
        return None
    seed = RANDOM if body.subseed is None else body.subseed
    return f"{seed}:{number_as_typed(body.subseed_strength)}"


def _clip_skip(body: Txt2Img | Img2Img) -> int | None:
    asked = body.settings.get(CLIP_SETTING, body.clip_skip)
    if asked is None:
        return None
    whole = isinstance(asked, int) or (isinstance(asked, float) and asked.is_integer())
    if isinstance(asked, bool) or not whole:
        raise InvalidRequest(
            f"override_settings.{CLIP_SETTING}", "api.automatic.whole", value=str(asked)[:100]
        )
    return int(asked)


def _size(body: Txt2Img | Img2Img, model: ModelEntry) -> str | None:
    """One side alone goes with the model's usual other one."""
    if body.width is None and body.height is None:
        return None
    width = model.size[0] if body.width is None else body.width
    height = model.size[1] if body.height is None else body.height
    for name, side in (("width", width), ("height", height)):
        if side < 1:
            raise InvalidRequest(name, "api.automatic.least", value=side, min=1)
    return f"{width}x{height}"


def _picture(body: Img2Img) -> str:
    if body.latent_mask:
        raise InvalidRequest("latent_mask", "api.automatic.mask")
    given = body.init_images or []
    if len(given) != 1:
        raise InvalidRequest("init_images", "api.automatic.images", value=len(given))
    return given[0]


def _stretched(body: Img2Img, model: ModelEntry) -> tuple[int, int] | None:
    mode = STRETCH if body.resize_mode is None else body.resize_mode
    if mode not in RESIZE_MODES:
        raise InvalidRequest("resize_mode", "api.automatic.resize", value=mode)
    return None if mode == CROP else size_of(body, model)


def size_of(body: Txt2Img | Img2Img, model: ModelEntry) -> tuple[int, int] | None:
    """Of the result, before a second pass; None where that is left to the model and the images."""
    if body.width is None and body.height is None:
        return None
    return (body.width or model.size[0], body.height or model.size[1])


def _hires(body: Txt2Img, model: ModelEntry) -> dict[str, Any]:
    """The second pass takes as many steps as are asked for, whatever its strength, as there."""
    if not body.enable_hr:
        return {}
    steps = body.steps if body.steps is not None else model.steps.default
    return {
        "hires": _scale(body, model),
        "hires_strength": strength_of(body),
        "hires_steps": body.hr_second_pass_steps or steps,
    }


def _scale(body: Txt2Img, model: ModelEntry) -> float:
    """`hr_scale`, unless a size is asked for instead. Raises InvalidRequest if it is of another
    shape than the first pass's."""
    asked = (body.hr_resize_x or 0, body.hr_resize_y or 0)
    if not any(asked):
        return 2.0 if body.hr_scale is None else body.hr_scale
    first = (body.width or model.size[0], body.height or model.size[1])
    sides = [(to, side) for to, side in zip(asked, first, strict=True) if to]
    nearest = round(max(to / side for to, side in sides) * 4) / 4
    fitting = (abs(side * nearest - to) < _ALIGNED for to, side in sides)
    if not all(fitting):
        raise InvalidRequest(
            "hr_resize_x, hr_resize_y",
            "api.automatic.shape",
            value=f"{asked[0]}x{asked[1]}",
            size=f"{first[0]}x{first[1]}",
        )
    return nearest
