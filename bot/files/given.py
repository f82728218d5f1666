"""Input images of requests that are not accepted yet, and may never be."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bot.errors import StoreError
from bot.files.inputs import Inputs
from bot.store import Store, now_ms

log = logging.getLogger(__name__)

Keep = Callable[[bytes, str], Awaitable[str]]


@asynccontextmanager
async def holding(store: Store, inputs: Inputs) -> AsyncIterator[Keep]:
    """Yields what keeps an image, as `Inputs.keep`, and lets no one drop it while the block lasts.

    Afterwards, images that no job wants are deleted: refused requests must not fill the disk.
    """
    held: list[str] = []

    async def keep(data: bytes, field: str) -> str:
        held.append(sha256 := await inputs.keep(data, field, hold=True))
        return sha256

    try:
        yield keep
    finally:
        for sha256 in held:
            inputs.let_go(sha256)
            await _drop_unwanted(store, inputs, sha256)


async def _drop_unwanted(store: Store, inputs: Inputs, sha256: str) -> None:
    try:
        use = await store.input_uses.of(sha256)
        if use is None or not use.wanted:
            await inputs.drop(inputs.path(sha256).name, now_ms())
    except (StoreError, OSError) as error:
        # The request must not fail for it: housekeeping tries again.
        log.error("an input image that may not be needed is kept: %s", error)
