"""Samplers and noise schedules, which AUTOMATIC1111 names apart and we name together.

There, the schedule "Automatic" is the one that a sampler is usually used with: Karras for those of
DPM++.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from bot.errors import InvalidRequest
from bot.request import find_scheduler
from catalog import SCHEDULERS

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
_RHO: Final = {"karras": 7.0}
_INNER: Final = ("uniform", "sgm_uniform")
_USUAL: Final = "karras"


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
            "api.automatic.schedule",
            value=str(schedule)[:100],
            sampler=base,
            allowed=tuple(LABELS[each] for each in (AUTOMATIC, *possible)),
        )
    return f"{base}{SUFFIXES[asked]}"


def listed_samplers() -> list[dict[str, Any]]:
    """For `GET /samplers`."""
    return [
        {
            "name": sampler,
            "aliases": [f"{sampler}{SUFFIXES[each]}" for each in schedules if SUFFIXES[each]],
            "options": {"scheduler": _USUAL} if _USUAL in schedules else {},
        }
        for sampler, schedules in SAMPLERS.items()
    ]


def listed_schedulers() -> list[dict[str, Any]]:
    """For `GET /schedulers`."""
    return [
        {
            "name": name,
            "label": label,
            "aliases": None,
            "default_rho": _RHO.get(name, -1.0),
            "need_inner_model": name in _INNER,
        }
        for name, label in LABELS.items()
    ]


def _schedule(asked: str | None) -> str:
    """A schedule by its name or label, in any case."""
    text = "".join(c for c in (asked or "").casefold() if c.isalnum())
    if not text:
        return AUTOMATIC
    return next((name for name in LABELS if name.replace("_", "") == text), text)


def _usual(sampler: str, fitting: Collection[str]) -> str:
    possible = SAMPLERS[sampler]
    fine = [each for each in possible if f"{sampler}{SUFFIXES[each]}" in fitting]
    return _USUAL if _USUAL in (fine or possible) else (fine or possible)[0]
