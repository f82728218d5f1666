"""What the name of a model says about its training and its files do not."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from catalog.families.naming import say_velocity
from catalog.headers import HeaderCache
from catalog.judging import told
from catalog.predictions import EPSILON, VELOCITY
from catalog.schema import ModelEntry
from catalog.snapshot import Problem


def unsaid_velocity(
    models: Iterable[ModelEntry], models_dir: Path, headers: HeaderCache, table: Path
) -> Iterator[Problem]:
    """A remark on each model that by its name predicts the velocity, and is sampled as if not.

    models: those that are offered. headers: has read their files. table: where they have entries,
    or are to have one. Raises OSError if their files cannot be read now.
    """
    for model in models:
        if model.prediction or VELOCITY not in model.family.predictions:
            continue
        if not say_velocity(model.names):
            continue
        said = told(model.path, models_dir, headers, model.weight_name, model.revision)
        if said.prediction == EPSILON:
            yield Problem(
                str(table),
                model.key,
                "its name says v-prediction, but its files do not: it is sampled as epsilon",
                f'if its images are noise, write prediction = "{VELOCITY}" in its entry'
                f" {model.heading}, and zero_terminal_snr = true if it was trained with that, as"
                f' NoobAI-XL; else prediction = "{EPSILON}"',
            )
