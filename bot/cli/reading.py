"""Read the catalog for a command of the terminal, saying on stderr how far it is."""

import sys
import time
from collections.abc import Callable

from bot.settings import Settings
from catalog import Catalog, Demos, KeptFacts, read_with_progress

EVERY = 1.0
"""Seconds between two lines, and before the first: mostly nothing is said."""


class Progress:
    """Says how many files have been read, a line at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + EVERY

    def __call__(self, read: int, files: int) -> None:
        if (now := self._clock()) < self._due:
            return
        self._due = now + EVERY
        print(f"Reading model files: {read:,} of {files:,}", file=sys.stderr, flush=True)


def read(settings: Settings, demos: Demos = "offered") -> Catalog:
    """The catalog with every file read. What the bot knows about files is used, and not changed: it
    may be running.

    demos: as the owner's settings say, or else this. Raises CatalogError.
    """
    return read_with_progress(
        settings.catalog_dir.absolute(),
        settings.models_dir.absolute(),
        demos=settings.demos(demos),
        headers=KeptFacts.within(settings.data_dir.absolute()).load(),
        told=Progress(),
    )
