"""What an image says, as settings that are possible here, and what of it is not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.errors import InvalidRequest, UserError
from bot.files.image_info.infotext import OURS
from bot.files.image_info.matching import Match, Matches
from bot.files.image_info.model import ImageInfo, NamedLora
from bot.request import PROMPT_MAX, Draft, GenerationRequest, compose, default_model, find_scheduler
from bot.request.changes import LINES, YES, Fields
from bot.request.dynamic import escaped
from bot.request.syntax import AdapterAsk
from catalog import Catalog

_ABOUT: Final = (
    *("Version", "version", "swarm_version", "app_version", "app", "Created Date", "date"),
    *("generation_time", "prep_time", "TI hashes", "VAE hash", "Hashes", "request_type"),
    "Text encoder hash",
    *("n_samples", "metadata_scheme", "created_by", "generation_mode", "rand_device"),
    "Trigger words",
)
"""What has no part in the image, or is told by something else."""
_OF_MODEL: Final = ("VAE", "Text encoder")
"""What is the model's own, in images of ours."""
_LINES: Final = {field: name for name, (field, _) in LINES.items()}
"""Fields of a Draft, as the form calls them."""
_NUMBERS: Final = ("guidance", "hires_strength")
_PLAIN_SCHEDULES: Final = ("", "normal", "uniform", "native")
_AUTOMATIC: Final = "automatic"
_SUFFIXES: Final = {"karras": " Karras", "sgm_uniform": " trailing", "sgm uniform": " trailing"}
_ANY_PROMPT: Final = "x"
"""Stands for the prompt while settings are tried: what is wrong with it is not wrong with them."""
_RATIO_MAX: Final = 999
_LORAS_TRIED: Final = 16


@dataclass(frozen=True, slots=True)
class Unmapped:
    """What was not taken over as it is. name: as in the form, or in the image's own words.

    why: the reason, where the value is not possible. instead: what was taken.
    """

    name: str
    value: str
    why: UserError | None = None
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Usable:
    """draft: valid, unless it is the prompt that is wrong. unmapped: all that is not in it."""

    draft: Draft
    unmapped: tuple[Unmapped, ...]


def usable(
    info: ImageInfo, matches: Matches, catalog: Catalog, *, nsfw: bool, adapters_max: int
) -> Usable:
    """What of `info` can be used here, each setting if the request is valid with it.

    nsfw, adapters_max: as for `compose`. Raises Refused if no model is offered.
    """
    taking = _Taking(catalog, nsfw=nsfw, adapters_max=adapters_max)
    taking.model(matches.model)
    taking.texts(info)
    for name, value in _wanted(info).items():
        taking.option(name, value)
    taking.size(info)
    taking.scheduler(info)
    taking.hires(info)
    taking.loras(matches.loras)
    taking.rest(info)
    return Usable(taking.draft, tuple(taking.unmapped))


def fields_of_draft(draft: Draft) -> Fields:
    """What the form shows for it."""
    lines: dict[str, object] = {
        "seed": draft.seed,
        "variation": draft.variation,
        "size": draft.size,
        "steps": draft.steps,
        "guidance": None if draft.guidance is None else f"{draft.guidance:g}",
        "scheduler": draft.scheduler,
        "preset": draft.preset,
        "hires": None if draft.hires is None else f"{draft.hires:g}",
        "hires strength": None if draft.hires_strength is None else f"{draft.hires_strength:g}",
        "hires steps": draft.hires_steps,
        "clip skip": draft.clip_skip,
        "detail": draft.detail,
        "tile": YES if draft.tile else None,
    }
    return Fields(
        prompt=draft.prompt,
        negative=draft.negative or "",
        model=draft.model or "",
        loras=", ".join(map(_typed, draft.adapters)),
        more="\n".join(f"{name}: {value}" for name, value in lines.items() if value is not None),
    )


class _Taking:
    """Takes one setting after the other into `draft`, or notes why not."""

    def __init__(self, catalog: Catalog, *, nsfw: bool, adapters_max: int) -> None:
        self._catalog = catalog
        self._nsfw = nsfw
        self._adapters_max = adapters_max
        self.draft = Draft(prompt="", model=default_model(catalog, nsfw=nsfw))
        self.unmapped: list[Unmapped] = []

    def model(self, match: Match | None) -> None:
        self._attempt()  # refused if there is no model at all
        if match is None:
            return
        if match.key is not None and self._take(model=match.key) is None:
            if match.other:
                self._note("model", _described(match), instead=match.key)
        else:
            self._note("model", _described(match), instead=self.draft.model or "")

    def texts(self, info: ImageInfo) -> None:
        whole_negative, whole = escaped(info.negative), escaped(info.prompt)
        negative = whole_negative[:PROMPT_MAX]
        if info.negative and (why := self._take(negative=negative)) is not None:
            self._note("negative", info.negative, why)
        elif len(whole_negative) > PROMPT_MAX:
            self._note("negative", info.negative, instead=negative)
        # What a file says is what was generated: there is nothing left to draw.
        prompt = whole[:PROMPT_MAX]
        try:
            self._attempt(prompt=prompt)
        except UserError as error:
            if prompt:
                self._note("prompt", info.prompt, error, instead=prompt)
        else:
            if len(whole) > PROMPT_MAX:
                self._note("prompt", info.prompt, instead=prompt)
        self.draft = replace(self.draft, prompt=prompt)

    def option(self, name: str, value: Any) -> None:
        if value is not None and (why := self._take(**{name: value})) is not None:
            self._note(_LINES[name], f"{value:g}" if name in _NUMBERS else value, why)

    def size(self, info: ImageInfo) -> None:
        if info.size is None:
            return
        width, height = info.size
        if (why := self._take(size=f"{width}x{height}")) is None:
            return
        shared = math.gcd(width, height)
        shape = f"{width // shared}:{height // shared}"
        small = max(width, height) // shared <= _RATIO_MAX
        request = self._possible(size=shape) if small else None
        if request is None:
            self._note("size", f"{width}x{height}", why)
            return
        size = f"{request.width}x{request.height}"
        self.draft = replace(self.draft, size=size)
        self._note("size", f"{width}x{height}", instead=size)

    def scheduler(self, info: ImageInfo) -> None:
        if not info.sampler:
            return
        exact, near = _samplers(info)
        why: UserError | None = None
        for name in (*exact, *near):
            try:
                why = self._take(scheduler=find_scheduler(name))
            except InvalidRequest as error:
                why = error
            if why is None:
                if name not in exact:
                    said = f"{info.sampler} · {info.schedule}"
                    self._note("scheduler", said, instead=self.draft.scheduler or "")
                return
        self._note("scheduler", " · ".join(filter(None, (info.sampler, info.schedule))), why)

    def hires(self, info: ImageInfo) -> None:
        if info.strength is not None:
            self._note("strength", f"{info.strength:g}")
        if info.hires is None:
            return
        ours = info.program == OURS
        if (why := self._take(hires=info.hires)) is not None:
            self._note("hires", f"{info.hires:g}", why)
            if info.hires_strength is not None:
                self._note("hires strength", f"{info.hires_strength:g}")
            if info.hires_steps is not None:
                self._note("hires steps", info.hires_steps)
            return
        self.option("hires_strength", info.hires_strength)
        # Elsewhere, a second pass takes as many steps as the first unless it is said.
        self.option("hires_steps", info.hires_steps or (None if ours else info.steps))

    def loras(self, matches: tuple[Match, ...]) -> None:
        for number, match in enumerate(matches):
            file = match.file
            why: UserError | None = None
            if match.key is not None and isinstance(file, NamedLora) and number < _LORAS_TRIED:
                ask = AdapterAsk(match.key, file.weight, file.text_weight)
                why = self._take(adapters=(*self.draft.adapters, ask))
                if why is None:
                    if match.other:
                        self._note("LoRA", _described(match), instead=match.key)
                    continue
            self._note("LoRA", _described(match), why)

    def rest(self, info: ImageInfo) -> None:
        for name, value in info.rest.items():
            if info.program == OURS and name == "Preset" and self._take(preset=value) is None:
                continue
            if name not in _ABOUT and not (info.program == OURS and name in _OF_MODEL):
                self._note(name, value)

    def _take(self, **options: Any) -> UserError | None:
        """Put options into the draft if it is valid with them; why not, otherwise."""
        try:
            self._attempt(**options)
        except UserError as error:
            return error
        self.draft = replace(self.draft, **options)
        return None

    def _possible(self, **options: Any) -> GenerationRequest | None:
        try:
            return self._attempt(**options)
        except UserError:
            return None

    def _attempt(self, **options: Any) -> GenerationRequest:
        draft = replace(self.draft, **{"prompt": _ANY_PROMPT, **options})
        return compose(draft, self._catalog, nsfw=self._nsfw, adapters_max=self._adapters_max)

    def _note(
        self, name: str, value: object, why: UserError | None = None, *, instead: str = ""
    ) -> None:
        self.unmapped.append(Unmapped(name, str(value), why, instead))


def _wanted(info: ImageInfo) -> Mapping[str, int | float | str | None]:
    return {
        "seed": None if info.seed is not None and info.seed < 0 else info.seed,
        "variation": info.variation or None,
        "steps": info.steps,
        "guidance": info.guidance,
        "clip_skip": info.clip_skip,
        "detail": info.detail or None,
        "tile": info.tile or None,
    }


def _samplers(info: ImageInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How we may call the sampler with its schedule, and the same sampler with another one."""
    sampler, schedule = info.sampler.removeprefix("k_"), info.schedule.casefold().strip()
    both = (f"{sampler} Karras", sampler) if _is_dpmpp(sampler) else (sampler, f"{sampler} Karras")
    if schedule == _AUTOMATIC:
        return both, ()
    if schedule in _PLAIN_SCHEDULES:
        return (sampler,), both
    if suffix := _SUFFIXES.get(schedule):
        named = sampler if sampler.casefold().endswith(suffix.casefold()) else f"{sampler}{suffix}"
        return (named,), both
    return (), both


def _is_dpmpp(sampler: str) -> bool:
    return sampler.casefold().startswith(("dpm++", "dpmpp"))


def _described(match: Match) -> str:
    """Name, weights and hash, as far as the image says them."""
    file = match.file
    hashes = [digest[:12] for digest in file.hashes[:1] if digest[:12] != str(file)]
    return " ".join([str(file), *(f"({digest})" for digest in hashes)])


def _typed(ask: AdapterAsk) -> str:
    weights = (ask.weight, ask.text_weight)
    return ":".join([ask.name, *(f"{weight:g}" for weight in weights if weight is not None)])
