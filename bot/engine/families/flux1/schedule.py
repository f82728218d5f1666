"""FLUX.1's noise levels: schnell's evenly spaced, all others' shifted towards noise by size."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bot.engine.families import flow
from catalog import ModelEntry
from catalog.families.flux1 import FLUX1 as FACTS
from catalog.families.flux1.recognition import RECOGNITION
from catalog.weight_files import Header
from catalog.weight_files.pipeline import NETWORK
from catalog.weight_files.prediction import Training, UnknownTraining
from catalog.weight_files.scheduler_config import read_json

_EVENLY: Final = 1.0


def training(
    weights: Sequence[tuple[Path, Header]], root: Path, entry: ModelEntry, *, single: bool
) -> Training:
    """See `Family.training`.

    A folder may complete a file of another variant, whose noise levels are not those of the folder;
    but then it has to be told its guidance, or not, as the file is.
    """
    said = flow.training(root, entry, FACTS.name, flow.BY_SIZE)
    if not single:
        return said
    guided = any(RECOGNITION.guided(header.shapes) for _, header in weights)
    config = read_json(root / FACTS.networks[0] / NETWORK)
    if config.get("guidance_embeds", False) is not guided:
        told = "is told its guidance" if guided else "is told no guidance"
        raise UnknownTraining(
            f"its transformer {told}, and that of its configuration is not alike: for schnell,"
            " config has to be schnell's, and for all others not"
        )
    if entry.shift is None:
        own = {flow.DYNAMIC: guided, **({} if guided else {"shift": _EVENLY})}
        return replace(said, schedule={**said.schedule, **own})
    return said
