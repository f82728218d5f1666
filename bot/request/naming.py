"""Which names may be said in a channel."""

from collections.abc import Iterable

from catalog import Catalog


def nameable(models: Iterable[str], catalog: Catalog, *, nsfw: bool) -> tuple[str, ...]:
    """Those of the models with these keys whose names may be shown where `nsfw` says."""
    gated = {key for key, entry in catalog.models.items() if entry.nsfw and not nsfw}
    return tuple(key for key in models if key not in gated and not catalog.withholds_model(key))
