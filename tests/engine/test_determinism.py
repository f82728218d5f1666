"""The same request gives the same bytes, whatever was painted before it."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.request import GenerationRequest
from catalog import Catalog
from tests.engine.factories import (
    catalog,
    digests,
    kohya,
    kohya_lora,
    paint,
    request,
    save,
)

SCHEDULERS = ["Euler", "Euler a", "DPM++ 2M Karras", "DPM++ 2M SDE", "Heun", "UniPC", "LCM"]
SETS: list[list[tuple[str, float]]] = [
    [],
    [("a", 1.0)],
    [("a", 0.4), ("b", 0.8)],
    [("b", 0.8), ("a", 0.4)],
    [("bad", 1.0)],
    [("a", 1.0), ("bad", 1.0)],
]


def any_request(chance: random.Random) -> GenerationRequest:
    """One of few enough that a sequence repeats itself."""
    return request(
        *chance.choice(SETS),
        model=chance.choice(["demo", "demo", "other"]),
        scheduler=chance.choice(SCHEDULERS),
        width=chance.choice([64, 72]),
        count=chance.choice([1, 2]),
        steps=chance.choice([2, 3]),
        guidance=chance.choice([1.0, 5.0]),
        prompt=chance.choice(["a fox", "a castle at night"]),
    )


def outcome(
    engine: Engine, wanted: GenerationRequest, offered: Catalog, stop_after: int = 10_000
) -> Any:
    checks = 0

    def check_stop() -> None:
        nonlocal checks
        checks += 1
        if checks > stop_after:
            raise PaintStopped(StopReason.CANCELLED)

    try:
        return digests(paint(engine, wanted, offered, check_stop=check_stop))
    except JobFailed as failure:
        return failure.code


@pytest.mark.parametrize("seed", [1, 2])
def test_history_leaves_no_trace(
    engine: Engine, models_dir: Path, tmp_path: Path, seed: int
) -> None:
    offered = catalog(
        a=kohya_lora(tmp_path / "a.safetensors", seed=1),
        b=kohya_lora(tmp_path / "b.safetensors", seed=2, text=False),
        bad=save(tmp_path / "bad.safetensors", kohya("lora_unet_nothing", (4, 4))),
    )
    chance = random.Random(seed)
    history = []
    for _ in range(6):
        wanted = any_request(chance)
        if chance.random() < 0.4:
            cancelled = chance.randrange(30)
            with suppress(PaintStopped):
                outcome(engine, any_request(chance), offered, cancelled)
        history.append((wanted, outcome(engine, wanted, offered)))
    chance.shuffle(history)
    hashes = models_dir / "hashes.json"
    for wanted, got in history[:2]:
        new = Engine(models_dir=models_dir, hashes_file=hashes)
        assert outcome(new, wanted, offered) == got, wanted
        new.close()
    for wanted, got in history:
        assert outcome(engine, wanted, offered) == got, wanted
