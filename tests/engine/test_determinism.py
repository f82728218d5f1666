"""The same request gives the same bytes, whatever ran before it."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.request import AYS, GenerationRequest, Hires, InitImage, Reference
from catalog import Catalog, ReferenceEntry
from tests.engine import ip_adapter
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya,
    kohya_lora,
    model,
    paint,
    picture,
    request,
    save,
)
from tests.parameters import mostly_long

SCHEDULERS = ["Euler", "Euler a", "DPM++ 2M Karras", "DPM++ 2M SDE", "Heun", "UniPC", "LCM"]
SETS: list[list[tuple[str, float]]] = [
    [],
    [("a", 1.0)],
    [("a", 0.4), ("b", 0.8)],
    [("b", 0.8), ("a", 0.4)],
    [("bad", 1.0)],
    [("a", 1.0), ("bad", 1.0)],
]


SPACED = ["Euler", "DPM++ 2M SDE"]


def any_request(chance: random.Random, pictures: list[str]) -> GenerationRequest:
    """One of so few that a sequence repeats itself."""
    spacing = chance.choice([None, None, AYS])
    over = InitImage(chance.choice(pictures), chance.choice([0.4, 1.0]))
    guided = Reference(chance.choice(pictures), chance.choice([0.5, 1.0]))
    return request(
        *chance.choice(SETS),
        model=chance.choice(["demo", "demo", "other", "velocity"]),
        scheduler=chance.choice(SPACED if spacing else SCHEDULERS),
        spacing=spacing,
        init_image=chance.choice([None, None, over]),
        reference=chance.choice([None, guided]),
        tile=chance.choice([False, False, True]),
        hires=chance.choice([None, None, Hires(1.25, 0.5, 2)]),
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


@pytest.fixture(scope="module")
def reference(models_dir: Path) -> ReferenceEntry:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(models_dir / TINY / "unet")
    return ip_adapter.build(models_dir / "ip-determinism", unet)


@pytest.mark.parametrize(("seed", "jobs"), mostly_long([(1, 4), (2, 6), (3, 6)], usual=1))
def test_history_leaves_no_trace(
    engine: Engine,
    models_dir: Path,
    reference: ReferenceEntry,
    tmp_path: Path,
    seed: int,
    jobs: int,
) -> None:
    fields = {"prediction": "v_prediction", "zero_terminal_snr": True, "guidance_rescale": 0.5}
    offered = catalog(
        [model("velocity", "tiny", **fields)],
        reference,
        a=kohya_lora(tmp_path / "a.safetensors", seed=1),
        b=kohya_lora(tmp_path / "b.safetensors", seed=2, text=False),
        bad=save(tmp_path / "bad.safetensors", kohya("lora_unet_nothing", (4, 4))),
    )
    pictures = [picture(seed=seed) for seed in (0, 1)]
    chance = random.Random(seed)
    history = []
    for _ in range(jobs):
        wanted = any_request(chance, pictures)
        if chance.random() < 0.4:
            cancelled = chance.randrange(30)
            with suppress(PaintStopped):
                outcome(engine, any_request(chance, pictures), offered, cancelled)
        history.append((wanted, outcome(engine, wanted, offered)))
    chance.shuffle(history)
    hashes = models_dir / "hashes.json"
    for wanted, got in history[: jobs // 3]:
        new = Engine(models_dir=models_dir, hashes_file=hashes)
        assert outcome(new, wanted, offered) == got, wanted
        new.close()
    for wanted, got in history:
        assert outcome(engine, wanted, offered) == got, wanted
