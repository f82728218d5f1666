"""`GET /lanes`: the GPUs that generate, and what each of them does."""

from typing import Any

from bot.queue import Lane
from bot.store import ApiKey
from catalog import Catalog


def lanes(all_lanes: tuple[Lane, ...], catalog: Catalog, caller: ApiKey) -> list[dict[str, Any]]:
    """Every lane. The model is told to those who may know of it, and of the job only that there is
    one."""
    return [
        {
            "name": lane.name,
            "device": lane.device,
            "state": lane.state.value,
            "model": _known(lane.in_place.model, catalog, caller),
            "busy": lane.running is not None,
        }
        for lane in all_lanes
    ]


def _known(model: str | None, catalog: Catalog, caller: ApiKey) -> str | None:
    entry = catalog.models.get(model or "")
    return model if entry is not None and (caller.nsfw or not entry.nsfw) else None
