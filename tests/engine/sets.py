"""Applying sets of adapters to an engine's model without generating."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.engine import Engine
from tests.engine.factories import resident
from tests.engine.patches.reading import BASES


def set_adapters(
    engine: Engine, chosen: Sequence[tuple[Path, float]], bases: Sequence[str] = BASES
) -> None:
    """Apply exactly these files with these weights. bases: whose adapters fit the model."""
    from bot.engine import patches
    from bot.engine.subject import Subject

    held: Any = resident(engine)
    sets = []
    for path, weight in chosen:
        subject = Subject("adapter", path.stem, lambda _: None, lambda: None)
        sets.append(
            (
                weight,
                weight,
                patches.read(path, patches.Spellings(held.targets), tuple(bases), subject).changes,
            )
        )
    held.set_adapters(sets)
    held.wake(lambda: None, *held.family.patched)
