"""Asking: what was typed, with everything looked up here that it names.

Callers over HTTP and command lines ask in this way, beside the bot and without one.
"""

import asyncio

from bot.backend import Backend
from bot.request import AnyDraft, CompareDraft, Composed, compose_any
from catalog import Catalog


async def composed(
    draft: AnyDraft, backend: Backend, *, nsfw: bool, catalog: Catalog | None = None
) -> Composed:
    """The request for `draft`. nsfw: whether what is for age-restricted channels may be used.

    catalog: to look in, if it is not the backend's own with what the draft names read.
    Raises InvalidRequest or Refused.
    """
    catalog = catalog or await backend.catalog.knowing(*draft.names)
    most = backend.settings.max_adapters
    hashes = await backend.store.known_weights.hashes(*draft.names)

    def compose() -> Composed:
        return compose_any(draft, catalog, nsfw=nsfw, adapters_max=most, hashes=hashes)

    # Composing every cell may take longer than the event loop can wait.
    return await asyncio.to_thread(compose) if isinstance(draft, CompareDraft) else compose()
