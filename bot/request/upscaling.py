"""Requests that enlarge an image: one that somebody gave, or one of an earlier result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from bot.errors import InvalidRequest
from bot.request.compose import ADAPTERS_MAX, Composed, compose_with_notes, draw_seed
from bot.request.draft import Draft
from bot.request.model import GenerationRequest
from bot.request.offers import find_upscaler
from bot.request.parts import CRISP, REPAINT, UPSCALE_MODES, Upscale, upscaled
from bot.request.pictures import AWAITED, STRENGTH, Picture, within
from bot.request.syntax import AdapterAsk
from bot.request.unicode_text import visible
from catalog import Catalog

UPSCALE_SCALES: Final = (1.5, 2.0, 3.0, 4.0)
UPSCALE_SCALE: Final = 2.0
UPSCALED_PIXELS_MAX: Final = 16_000_000
REPAINT_STRENGTH: Final = 0.3
"""Enough to sharpen what the upscaler smoothed, too little to change what is in the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleDraft:
    """A request to enlarge an image, as typed; None for what was not given.

    image: unless it is given, it is still to come. scale: one of UPSCALE_SCALES. upscaler: a key or
    name. mode: one of UPSCALE_MODES.
    The others are for REPAINT, and mean the same as in a Draft.
    """

    image: Picture = AWAITED
    scale: float | None = None
    upscaler: str | None = None
    mode: str | None = None
    prompt: str | None = field(default=None, repr=False)
    negative: str | None = field(default=None, repr=False)
    model: str | None = None
    lora: str | None = None
    strength: float | None = None
    steps: int | None = None
    seed: int | None = None
    adapters: tuple[AdapterAsk, ...] = ()

    @property
    def names(self) -> tuple[str | None, ...]:
        """The texts in which models, LoRAs and embeddings are named."""
        named = (ask.name for ask in self.adapters)
        return self.prompt, self.negative, self.lora, self.model, *named

    def with_pictures(self, given: Mapping[str, Picture]) -> Self:
        """The same with its image, which is called "image". Raises LookupError without one."""
        return replace(self, image=given["image"])


def compose_upscale(
    draft: UpscaleDraft,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    draw: Callable[[], int] = draw_seed,
) -> Composed:
    """Resolve and validate `draft`. Arguments and errors as for `compose_with_notes`."""
    upscale = _upscale(
        draft.image,
        catalog,
        scale=draft.scale,
        upscaler=draft.upscaler,
        mode=draft.mode,
        strength=draft.strength,
        nsfw=nsfw,
    )
    if upscale.mode == CRISP:
        if draft.adapters:
            raise InvalidRequest("lora", "upscale.crisp", value=draft.adapters[0].name)
        for name in ("prompt", "negative", "model", "lora", "steps", "seed"):
            if (value := getattr(draft, name)) is not None:
                raise InvalidRequest(name, "upscale.crisp", value=value)
        return Composed(_alone(upscale, draft.image))
    if not visible(draft.prompt or ""):
        raise InvalidRequest("prompt", "upscale.prompt")
    composed = compose_with_notes(
        Draft(
            prompt=draft.prompt or "",
            negative=draft.negative,
            model=draft.model,
            lora=draft.lora,
            adapters=draft.adapters,
            steps=draft.steps,
            seed=draft.seed,
        ),
        catalog,
        nsfw=nsfw,
        adapters_max=adapters_max,
        draw=draw,
    )
    return replace(composed, request=_over(composed.request, upscale, draft.image))


def upscale_of(
    source: GenerationRequest,
    number: int,
    image: Picture,
    catalog: Catalog,
    *,
    nsfw: bool,
    scale: float | None = None,
    upscaler: str | None = None,
    mode: str | None = None,
    strength: float | None = None,
) -> GenerationRequest:
    """The request that enlarges image `number`, counted from 0, of the result of `source`.

    image: that image, kept as an input. With REPAINT, it is painted over with its own prompt,
    model, LoRAs and seed, of a variation the one that it varies; see `check_offered` for whether
    these are still on offer. Raises as `compose_upscale`.
    """
    upscale = _upscale(
        image,
        catalog,
        scale=scale,
        upscaler=upscaler,
        mode=mode,
        strength=strength,
        nsfw=nsfw,
    )
    seed = source.alone(number).base_seed
    if upscale.mode == CRISP:
        # It depends on neither, but is found by the one and named after the other.
        return replace(_alone(upscale, image), prompt=source.prompt, seed=seed)
    if not source.model:
        raise InvalidRequest("mode", "upscale.no_model", value=REPAINT, mode=CRISP)
    return _over(source.with_seed(seed), upscale, image)


def scales_for(width: int, height: int) -> tuple[float, ...]:
    """Those of UPSCALE_SCALES by which an image of this size may be enlarged."""
    return tuple(
        scale for scale in UPSCALE_SCALES if _pixels(width, height, scale) <= UPSCALED_PIXELS_MAX
    )


def _pixels(width: int, height: int, scale: float) -> int:
    across, down = upscaled(width, height, scale)
    return across * down


def _upscale(
    image: Picture,
    catalog: Catalog,
    *,
    scale: float | None,
    upscaler: str | None,
    mode: str | None,
    strength: float | None,
    nsfw: bool,
) -> Upscale:
    entry = find_upscaler(catalog, upscaler, nsfw=nsfw)
    mode = CRISP if mode is None else mode.strip().casefold()
    if mode not in UPSCALE_MODES:
        raise InvalidRequest("mode", "upscale.mode", value=mode, modes=UPSCALE_MODES)
    scale = UPSCALE_SCALE if scale is None else scale
    if scale not in UPSCALE_SCALES:
        scales = tuple(f"{each:g}" for each in UPSCALE_SCALES)
        raise InvalidRequest("scale", "upscale.scale", value=scale, scales=scales)
    if _pixels(image.width, image.height, scale) > UPSCALED_PIXELS_MAX:
        width, height = upscaled(image.width, image.height, scale)
        raise InvalidRequest(
            "scale",
            "upscale.size",
            value=f"{scale:g}",
            width=width,
            height=height,
            megapixels=UPSCALED_PIXELS_MAX / 1e6,
        )
    if mode == CRISP:
        if strength is not None:
            raise InvalidRequest("strength", "upscale.crisp", value=strength)
        return Upscale(image.sha256, entry.key, scale, CRISP)
    low, _, high = STRENGTH
    chosen = within("strength", strength, REPAINT_STRENGTH, low, high)
    return Upscale(image.sha256, entry.key, scale, REPAINT, chosen)


def _alone(upscale: Upscale, image: Picture) -> GenerationRequest:
    """A request that needs no checkpoint."""
    return GenerationRequest(
        prompt="",
        negative="",
        model="",
        steps=0,
        guidance=0.0,
        seed=0,
        width=image.width,
        height=image.height,
        scheduler="",
        upscale=upscale,
    )


def _over(request: GenerationRequest, upscale: Upscale, image: Picture) -> GenerationRequest:
    return replace(
        request,
        width=image.width,
        height=image.height,
        count=1,
        hires=None,
        init_image=None,
        reference=None,
        controls=(),
        kernels=None,
        environment=None,
        variation=None,
        tile=False,
        detail=(),
        upscale=upscale,
    )
