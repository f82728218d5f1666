"""How a model of Stable Diffusion's discrete steps was trained, by its files and its entry."""

import logging
from collections.abc import Sequence
from pathlib import Path

from catalog import ModelEntry
from catalog.weight_files import Header, evidence, scheduler_config
from catalog.weight_files.prediction import Training

log = logging.getLogger(__name__)


def training(
    weights: Sequence[tuple[Path, Header]], root: Path, entry: ModelEntry, *, single: bool
) -> Training:
    """See `Family.training`."""
    found = evidence.collected(weights, root, single=single)
    trained = found.training(entry.prediction, entry.zero_terminal_snr, entry.shift)
    if entry.prediction is None:
        for claim in found.claims:
            stale = not claim.firm and claim.where != scheduler_config.WHERE
            if stale and claim.prediction not in {None, trained.prediction}:
                log.info(
                    "Model %s: trained to predict %s, although %s says %s",
                    *(entry.key, trained.prediction, claim.where, claim.prediction),
                )
    return trained
