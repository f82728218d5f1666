"""What tests look at inside an engine: its networks, and whether they are still there."""

import weakref
from typing import Any

from bot.engine import Engine
from tests.engine.factories import resident

NETWORKS = ("unet", "text_encoder", "text_encoder_2", "vae")


def modules(engine: Engine) -> list[weakref.ref[Any]]:
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [weakref.ref(module) for part in parts for module in part.modules()]


def alive(references: list[weakref.ref[Any]]) -> int:
    return sum(reference() is not None for reference in references)


def pipeline_of(engine: Engine) -> Any:
    return engine._pipeline


MODEL = 22_000_000
"""Bytes that the tiny model needs, rounded up generously."""
