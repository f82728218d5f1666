"""Putting adapter sets on the model in an engine without painting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.engine import Engine
from tests.engine.factories import resident


def wear(engine: Engine, chosen: Sequence[tuple[Path, float]]) -> None:
    """Put these files on with these weights, and no others."""
    from bot.engine import patches
    from bot.engine.owner import Owner

    held: Any = resident(engine)
    sets = []
    for path, weight in chosen:
        owner = Owner("adapter", path.stem, lambda _: None, lambda: None)
        sets.append((weight, weight, patches.read(path, held.targets, owner).changes))
    held.wear(sets)
    held.wake(lambda: None, "unet", "text_encoder", "text_encoder_2")
