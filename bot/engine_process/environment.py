"""What an engine process gets of the bot's environment: no setting and no secret of anybody's."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bot.settings.settings import names_of
from bot.wire.options import EngineOptions

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder that has `bot/` and `catalog/`."""
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_PREFIXES: Final = ("DISCORD_", "IMAGEN_")
_SECRETS: Final = ("AUTH", "CREDENTIALS", "KEY", "PASSWD", "PASSWORD", "PAT", "SECRET", "TOKEN")
"""Last words of the names of variables that hold secrets, of other programs too."""


def environment(own: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of `own` that are for everybody, and the path to this code.

    The token for the hub is not among them either: the engine gets it with its options.
    """
    settings = set(names_of())
    kept = {name: value for name, value in own.items() if not _is_private(name.upper(), settings)}
    beside = [kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else []
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), *beside])}


def placed(
    options: EngineOptions, variables: Mapping[str, str]
) -> tuple[EngineOptions, dict[str, str]]:
    """For a device such as `cuda:1`: no other card can be seen there, and it is just `cuda`.

    A library that uses the first card unasked, such as for pinned memory, would take memory there
    from its neighbour. A number that there is no card for is left for the engine to refuse.
    """
    kind, _, number = options.device.partition(":")
    if kind != "cuda" or not number:
        return options, dict(variables)
    card = number
    if (visible := variables.get(_VISIBLE)) is not None:  # empty: none is
        seen = [each.strip() for each in visible.split(",") if each.strip()]
        if int(number) >= len(seen):
            return options, dict(variables)
        card = seen[int(number)]
    return replace(options, device=kind), {**variables, _VISIBLE: card}


def _is_private(name: str, settings: set[str]) -> bool:
    secret = name.rpartition("_")[2] in _SECRETS
    return secret or name in settings or name.startswith(_PREFIXES)
