"""Samplers and noise schedules as AUTOMATIC1111 lists them."""

from typing import Any, Final

from bot.request.dialects.samplers import LABELS, SAMPLERS, SUFFIXES, USUAL

_RHO: Final = {"karras": 7.0}
_INNER: Final = ("uniform", "sgm_uniform")


def listed_samplers() -> list[dict[str, Any]]:
    """For `GET /samplers`."""
    return [
        {
            "name": sampler,
            "aliases": [f"{sampler}{SUFFIXES[each]}" for each in schedules if SUFFIXES[each]],
            "options": {"scheduler": USUAL} if USUAL in schedules else {},
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
