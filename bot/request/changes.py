"""Changing one thing of an earlier request: as text that a person edits, and back.

A form has fields for prompt, negative prompt, model and LoRAs; everything else are lines, such as
`steps: 30`. What a person leaves as it was stays as it was, except that values which were the old
model's defaults become the new one's with another model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.errors import InvalidRequest, Mistakes, UserError
from bot.request.controlling import still_followed, types_followed
from bot.request.draft import Draft
from bot.request.drawing import typed_again
from bot.request.extending import is_box
from bot.request.masked_area import MASKED, PADDING
from bot.request.model import GenerationRequest
from bot.request.pictures import HIRES_STRENGTH, STRENGTH_OF_PART, Picture
from catalog import ControlNets, ModelEntry

NO_CONTROLNETS: Final = ControlNets()


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of the form, as text. more: lines such as `steps: 30`."""

    prompt: str
    negative: str
    model: str
    loras: str
    more: str


def _whole(text: str) -> int:
    return int(text)


def _number(text: str) -> float:
    """With a decimal point or comma."""
    return float(text.replace(",", "."))


def _text(text: str) -> str:
    return text


YES: Final = "yes"
_SWITCH: Final = {
    **dict.fromkeys((YES, "true", "on", "1", "ja", "oui"), True),
    **dict.fromkeys(("no", "false", "off", "0", "nein", "non"), False),
}


def _tile(text: str) -> bool:
    if (on := _SWITCH.get(text.casefold())) is None:
        raise InvalidRequest("tile", "form.switch", value=text)
    return on


LINES: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "seed": ("seed", _whole),
    "variation": ("variation", _text),
    "size": ("size", _text),
    "steps": ("steps", _whole),
    "guidance": ("guidance", _number),
    "scheduler": ("scheduler", _text),
    "count": ("count", _whole),
    "preset": ("preset", _text),
    "hires": ("hires", lambda text: _number(text.rstrip("x×"))),
    "hires strength": ("hires_strength", _number),
    "hires steps": ("hires_steps", _whole),
    "strength": ("strength", _number),
    "extend": ("extend", _text),
    "inpaint area": ("inpaint_area", _text),
    "inpaint padding": ("inpaint_padding", _whole),
    "reference weight": ("reference_weight", _number),
    "control": ("control", _text),
    "detail": ("detail", _text),
    "clip skip": ("clip_skip", _whole),
    "tile": ("tile", _tile),
}
"""The name of each line, the field of Draft that it sets, and what reads its value."""
_ALIASES: Final = {
    "cfg": "guidance",
    "guidance scale": "guidance",
    "cfg scale": "guidance",
    "sampler": "scheduler",
    "images": "count",
    "hires scale": "hires",
    "denoising strength": "strength",
    "masked area padding": "inpaint padding",
    "tiling": "tile",
}


def fields_of(request: GenerationRequest) -> Fields:
    """What the form shows for `request`."""
    prompt, negative = typed_again(request)
    if not request.model:
        return Fields(prompt, "", "", "", "")
    hires, init = request.hires, request.init_image
    values: dict[str, object] = {
        "seed": request.base_seed,
        "variation": request.mixed_in or None,
        "size": f"{request.width}x{request.height}",
        "steps": request.steps,
        "guidance": f"{request.guidance:g}",
        "scheduler": request.scheduler,
        "count": request.count,
        "preset": request.preset,
        "hires": hires and f"{hires.scale:g}",
        "hires strength": _unless(HIRES_STRENGTH, hires.strength if hires else None),
        "hires steps": hires.taken if hires and hires.steps != request.steps else None,
        "strength": _unless(
            STRENGTH_OF_PART if init and init.keeps else None, init.strength if init else None
        ),
        "extend": init and init.box,
        "inpaint area": MASKED if init and init.area else None,
        "inpaint padding": _unless(PADDING[1], init.area.padding if init and init.area else None),
        "reference weight": request.reference and f"{request.reference.weight:g}",
        "control": ", ".join(map(str, request.controls)) or None,
        "detail": ", ".join(map(str, request.detail)) or None,
        "clip skip": request.clip_skip,
        "tile": YES if request.tile else None,
    }
    return Fields(
        prompt=prompt,
        negative=negative,
        model=request.model,
        loras=", ".join(str(use) for use in request.adapters),
        more="\n".join(f"{name}: {value}" for name, value in values.items() if value is not None),
    )


def _without_what_it_changes(given: dict[str, Any], shown: Mapping[str, Any]) -> None:
    """Take out of `given` what was for the image as it was extended, or not: the size, and how much
    was changed, unless these were changed as well."""
    extend = given.get("extend")
    if extend == shown.get("extend") or (extend and is_box(extend)):
        return
    for name in ("size", "strength"):
        if name in given and given[name] == shown.get(name):
            del given[name]


def _unless(usual: float | None, value: float | None) -> str | None:
    return None if value in (None, usual) else f"{value:g}"


def changed(
    request: GenerationRequest,
    entered: Fields,
    *,
    before: ModelEntry | None,
    image: Picture | None = None,
    mask: Picture | None = None,
    reference: Picture | None = None,
    pictures: tuple[Picture, ...] = (),
    control_images: tuple[Picture, ...] = (),
    controlnets: ControlNets = NO_CONTROLNETS,
) -> Draft:
    """The request that results from what was entered into the form for `request`.

    before: the model of `request`; None if the catalog has it no more. image, mask, reference,
    pictures, control_images: the request's own, or others; of several ControlNets, one for each,
    or one for all. controlnets: as these may be called. The seed is drawn if its line was emptied
    or taken out. Raises Mistakes, with one error for each line that is wrong, or InvalidRequest.
    """
    given = _read(entered.more)
    shown = fields_of(request)
    negative: str | None = entered.negative
    if before is not None and entered.model != request.model:
        unchanged = {name: value for name, value in _read(shown.more).items() if name != "seed"}
        if "extend" in given:
            unchanged.pop("size", None)  # where the image lies is said in pixels of it
        for name, default in _defaults(before).items():
            if name in unchanged and given.get(name) == unchanged[name] == default:
                del given[name]
        if entered.negative == shown.negative == before.default_negative:
            negative = None
    _without_what_it_changes(given, _read(shown.more))
    if image is None:
        given.pop("strength", None)
        given.pop("extend", None)
    if mask is None:
        given.pop("inpaint_area", None)
        given.pop("inpaint_padding", None)
    if reference is None:
        given.pop("reference_weight", None)
    draft = Draft(prompt=entered.prompt, model=entered.model, negative=negative, **given)
    draft = replace(draft, lora=entered.loras, image=image, mask=mask)
    # Empty if its line was emptied or taken out.
    control = draft.control or ""
    control_images = still_followed(control, request.controls, control_images, controlnets)
    if control and not control_images and (image is None or draft.extend):
        raise InvalidRequest("control", "form.unfollowed", value=control)
    return replace(
        draft,
        reference=reference,
        pictures=pictures,
        control_images=control_images,
        other_types=types_followed(request),
    )


def draft_of(entered: Fields) -> Draft:
    """The request that was entered into a form for no earlier one, and without images.

    Raises Mistakes, with one error for each line that is wrong.
    """
    given = _read(entered.more)
    for name in (
        *("strength", "extend", "inpaint_area", "inpaint_padding"),
        *("reference_weight", "control"),
    ):
        if name in given:
            raise Mistakes([InvalidRequest("more", "form.without", value=name)])
    draft = Draft(prompt=entered.prompt, model=entered.model, negative=entered.negative, **given)
    return replace(draft, lora=entered.loras)


def editing(entered: Fields, picture: Picture) -> Draft:
    """The request that was entered into a form that says what to change about `picture`.

    Raises Mistakes, with one error for each line that is wrong.
    """
    return replace(draft_of(entered), negative=None, pictures=(picture,))


def with_given(fields: Fields, draft: Draft) -> Fields:
    """`fields` with what `draft` gives of LoRAs, negative prompt and numbers in their place."""
    given = {line: getattr(draft, name) for line, (name, _) in LINES.items()}
    lines = [f"{line}: {_as_typed(value)}" for line, value in given.items() if value is not None]
    return replace(
        fields,
        negative=fields.negative if draft.negative is None else draft.negative,
        loras=", ".join(map(str, draft.adapters)) or fields.loras,
        more="\n".join(lines),
    )


def _as_typed(value: object) -> str:
    if isinstance(value, bool):
        return YES if value else "no"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _defaults(model: ModelEntry) -> dict[str, object]:
    width, height = model.size
    return {
        "size": f"{width}x{height}",
        "steps": model.steps.default,
        "guidance": model.guidance.default,
        "scheduler": model.scheduler,
        "clip_skip": model.clip_skip,
    }


def _read(text: str) -> dict[str, Any]:
    """The values of the lines, by field of Draft. Raises Mistakes."""
    values: dict[str, Any] = {}
    mistakes: list[UserError] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            name, value = _line(line)
            if name in values:
                raise InvalidRequest("more", "form.twice", value=name)
        except UserError as error:
            mistakes.append(error)
        else:
            if value is not None:
                values[name] = value
    if mistakes:
        raise Mistakes(mistakes)
    return values


def _line(line: str) -> tuple[str, Any]:
    """The field of Draft that a line sets, and its value; None for an empty one."""
    name, colon, text = (part.strip() for part in line.partition(":"))
    plain = " ".join(name.casefold().replace("_", " ").split())
    known = LINES.get(_ALIASES.get(plain, plain))
    if known is None or not colon:
        raise InvalidRequest("more", "form.unknown", value=line, allowed=tuple(LINES))
    field, read = known
    if not text:
        return field, None
    try:
        return field, read(text)
    except ValueError:
        raise InvalidRequest(plain, "form.number", value=text) from None
