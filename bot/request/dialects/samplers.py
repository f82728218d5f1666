"""Samplers and noise schedules: in any common spelling, and named apart as other programs do.

There, the schedule "Automatic" is the one that a sampler is usually used with: Karras for those of
DPM++. Only exact equivalents are found; what comes near is named in the error.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from rapidfuzz import fuzz, process

from bot.errors import InvalidRequest
from catalog import SCHEDULERS
from catalog.search import SIMILAR

AUTOMATIC: Final = "automatic"
SUFFIXES: Final[Mapping[str, str]] = {
    "uniform": "",
    "karras": " Karras",
    "sgm_uniform": " trailing",
}
"""Schedule → what stands for it at the end of our names."""
LABELS: Final[Mapping[str, str]] = {
    AUTOMATIC: "Automatic",
    "uniform": "Uniform",
    "karras": "Karras",
    "sgm_uniform": "SGM Uniform",
}
USUAL: Final = "karras"

_SPELLINGS: Final = (("++", "pp"), ("ancestral", "a"), ("sgm_uniform", "trailing"))
"""Spellings of other programs, and AUTOMATIC1111's for the same; see `_plain`."""
_PREFIX: Final = re.compile(r"^\s*(?:sample_|k_)")
"""k-diffusion's functions, and its samplers in NovelAI and DreamStudio."""
_ENDINGS: Final = (
    (re.compile(r"[_ ]gpu(?=[_ ]|$)"), ""),  # ComfyUI: where the noise is drawn
    (re.compile(r"(?<!sgm)(?<!ddim)[_ ](?:normal|uniform)\s*$"), ""),
    (re.compile(r"_k(?:a|arras)?\s*$"), "_karras"),  # InvokeAI
)
_SCHEDULES: Final = (
    *("karras", "polyexponential", "exponential", "beta57", "beta", "simple", "ddimuniform"),
    *("trailing", "linearquadratic", "kloptimal", "alignyoursteps", "ays", "turbo", "bongtangent"),
)
"""The noise schedules of other programs, as `_plain` has them."""
_CLASSES: Final[Mapping[str, str]] = {
    "eulerdiscretescheduler": "Euler",
    "euleradiscretescheduler": "Euler a",
    "flowmatcheulerdiscretescheduler": "Euler",
    "edmeulerscheduler": "Euler",
    "heundiscretescheduler": "Heun",
    "flowmatchheundiscretescheduler": "Heun",
    "dpmsolvermultistepscheduler": "DPM++ 2M",
    "edmdpmsolvermultistepscheduler": "DPM++ 2M",
    "unipcmultistepscheduler": "UniPC",
    "unipcbh2": "UniPC",
    "ddimscheduler": "DDIM",
    "lcmscheduler": "LCM",
    "tcdscheduler": "TCD",
}
"""diffusers' classes with their default options, and ComfyUI's name for UniPC's variant here."""


def _split(scheduler: str) -> tuple[str, str]:
    """One of our names as sampler and schedule."""
    for schedule, suffix in SUFFIXES.items():
        if suffix and scheduler.endswith(suffix):
            return scheduler.removesuffix(suffix), schedule
    return scheduler, "uniform"


SAMPLERS: Final[Mapping[str, tuple[str, ...]]] = {
    sampler: tuple(
        schedule for schedule, suffix in SUFFIXES.items() if f"{sampler}{suffix}" in SCHEDULERS
    )
    for sampler in dict.fromkeys(_split(scheduler)[0] for scheduler in SCHEDULERS)
}
"""Sampler → the schedules that it can be used with."""


def find_scheduler(name: str, schedulers: Sequence[str] = SCHEDULERS) -> str:
    """The one of `schedulers` that is meant, as AUTOMATIC1111, ComfyUI, k-diffusion, InvokeAI or
    diffusers write it: `dpmpp_2m` is DPM++ 2M.

    Raises InvalidRequest with the nearest ones; those of the same sampler with another noise
    schedule come first.
    """
    known = {_plain(scheduler): scheduler for scheduler in schedulers}
    for plain in (_plain(name), _plain(_usual_spelling(name))):
        meant = known.get(plain) or _CLASSES.get(plain)
        if meant in known.values():
            return str(meant)
    same = with_another_schedule(name, schedulers)
    plain = _plain(_usual_spelling(name))
    alike = process.extract(plain, [*known], scorer=fuzz.ratio, score_cutoff=SIMILAR, limit=3)
    near = dict.fromkeys((*same, *(known[match] for match, _, _ in alike)))
    if near:
        raise InvalidRequest(
            "scheduler", "scheduler.unknown", value=name, nearest=tuple(near)[: max(3, len(same))]
        )
    raise InvalidRequest("scheduler", "scheduler.unlike", value=name, known=tuple(schedulers))


def with_another_schedule(name: str, schedulers: Sequence[str] = SCHEDULERS) -> tuple[str, ...]:
    """Those of `schedulers` that are the same sampler, whatever noise schedule is asked for."""
    sampler = _without_schedule(_plain(_usual_spelling(name)))
    return tuple(each for each in schedulers if _without_schedule(_plain(each)) == sampler)


def scheduler_for(
    sampler: str | None, schedule: str | None, default: str, fitting: Collection[str]
) -> str | None:
    """Our name for a sampler with a schedule; None for the model's own.

    sampler: also one of AUTOMATIC1111's older names, such as `DPM++ 2M Karras`. default: the
    model's own. fitting: those that it can be used with.
    Raises InvalidRequest for an unknown sampler, and for a schedule that is not possible with it.
    """
    asked = _schedule(schedule)
    if not sampler:
        if asked == AUTOMATIC:
            return None
        base, own = _split(default)[0], AUTOMATIC
    else:
        name = find_scheduler(sampler, tuple(dict.fromkeys((*SCHEDULERS, *SAMPLERS))))
        base, own = _split(name)
        own = AUTOMATIC if name in SAMPLERS else own
    if own != AUTOMATIC and asked in (AUTOMATIC, own):
        return f"{base}{SUFFIXES[own]}"
    if asked == AUTOMATIC:
        return f"{base}{SUFFIXES[_usual(base, fitting)]}"
    if own != AUTOMATIC or asked not in SAMPLERS[base]:
        possible = (own,) if own != AUTOMATIC else SAMPLERS[base]
        raise InvalidRequest(
            "scheduler",
            "scheduler.schedule",
            value=str(schedule)[:100],
            sampler=base,
            allowed=tuple(LABELS[each] for each in (AUTOMATIC, *possible)),
        )
    return f"{base}{SUFFIXES[asked]}"


def _schedule(asked: str | None) -> str:
    """A schedule by its name or label, in any case."""
    text = "".join(c for c in (asked or "").casefold() if c.isalnum())
    if not text:
        return AUTOMATIC
    return next((name for name in LABELS if name.replace("_", "") == text), text)


def _usual(sampler: str, fitting: Collection[str]) -> str:
    possible = SAMPLERS[sampler]
    fine = [each for each in possible if f"{sampler}{SUFFIXES[each]}" in fitting]
    return USUAL if USUAL in (fine or possible) else (fine or possible)[0]


def _usual_spelling(name: str) -> str:
    text = _PREFIX.sub("", name.casefold())
    for ending, usual in _ENDINGS:
        text = ending.sub(usual, text)
    return text


def _without_schedule(plain: str) -> str:
    for schedule in _SCHEDULES:
        if plain.endswith(schedule):
            return plain.removesuffix(schedule)
    return plain


def _plain(scheduler: str) -> str:
    text = scheduler.casefold()
    for theirs, ours in _SPELLINGS:
        text = text.replace(theirs, ours)
    return "".join(c for c in text if c.isalnum())
