"""Z-Image's noise levels: evenly spaced, then shifted towards noise."""

from dataclasses import replace
from pathlib import Path

from bot.engine.families import flow
from catalog import ModelEntry
from catalog.weight_files.prediction import Training


def training(root: Path, entry: ModelEntry, *, single: bool) -> Training:
    """See `Family.training`.

    A folder may complete a file of another variant, whose shift is not that of the folder.
    """
    said = flow.training(root, entry, "Z-Image", flow.BY_SIZE)
    own = entry.sampled_as.shift
    others = {each.shift for each in entry.family.variants} - {own}
    dynamic, shift = (said.schedule[option] for option in (flow.DYNAMIC, "shift"))
    if not single or entry.shift is not None or dynamic or shift not in others or own is None:
        return said
    return replace(said, schedule={**said.schedule, "shift": own})
