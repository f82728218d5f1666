"""Whatever models of whatever families an engine had before, a request gives the same bytes."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bot.engine import Engine
from bot.engine.memory import ROOM, Profile
from bot.request import GenerationRequest, Hires, InitImage
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import paint, picture, request, resident
from tests.engine.sets import set_adapters
from tests.engine.test_walk import SEED, STEPS, outcome, starved, stopped

CALLS: Final = (
    "bot.engine.passes.denoise",
    "bot.engine.pixels.decode",
    "bot.engine.weights.cache.PristineWeights.copy_into",
    "bot.engine.weights.cache.PristineWeights.store_in",
    "bot.engine.weights.host.HostMemory.__init__",
    "bot.engine.weights.part.Part._enter",
    "bot.engine.weights.streaming.Streaming.store",
    "bot.engine.families.qwen3.states",
    "bot.engine.families.unet.text.run",
)
"""Where memory runs out."""
WAYS: Final = (
    ("8gb", "full"),
    ("full", "full"),
    ("8gb", "int8"),
    ("11gb", "auto"),
)
"""IMAGEN_MEMORY and IMAGEN_WEIGHTS; with all but the second, blocks of large networks take
turns."""


def any_request(chance: random.Random, key: str = "") -> GenerationRequest:
    key = key or chance.choice([*FAMILIES])
    family = FAMILIES[key]
    edited = family.pictures_max and chance.random() < 0.4
    started = family.takes_image and not edited and chance.random() < 0.3
    return request(
        *chance.choice([(), ((key, 0.7),), ((key, -0.4),), ((key, 0.0),)]),
        model=key,
        prompt=chance.choice(["a fox in the snow", "a castle"]),
        guidance=chance.choice([1.0, 4.0]),
        negative=chance.choice(["", "a dog"]),
        seed=chance.choice([1, 2]),
        steps=chance.choice([1, 2]),
        count=chance.choice([1, 1, 2]),
        hires=chance.choice([None, None, None, Hires(1.5, 0.5, 2)]),
        init_image=InitImage(picture(), 0.6) if started else None,
        pictures=(picture((96, 64), 3),) if edited else (),
    )


def between(engine: Engine, offered: Catalog, chance: random.Random) -> str:
    """Something that happens between two jobs; returns what."""
    what = chance.choice(["stopped", "starved", "rest", "free"])
    if what == "stopped":
        stopped(engine, any_request(chance), offered, chance.randrange(40))
    elif what == "starved":
        call, after = chance.choice(CALLS), chance.randrange(4)
        starved(engine, any_request(chance), offered, call, after)
        return f"{what} {call} {after}"
    elif what == "rest":
        engine.rest()
    else:
        engine.warm_up()
        pipeline: Any = engine._pipeline
        pipeline.free()
    return what


@pytest.mark.parametrize(("memory", "weights"), WAYS)
@pytest.mark.long
def test_models_of_all_families_one_after_the_other(
    opened: Callable[..., Engine],
    offered: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    memory: str,
    weights: str,
) -> None:
    for profile in (Profile.GB11, Profile.GB8):
        monkeypatch.setitem(ROOM, profile, 0)
    chance = random.Random(f"{SEED} {memory} {weights}")
    options = {"memory": memory, "weights": weights, "model_cache": 2**30}
    engine, done = opened(**options), []
    keys = [*FAMILIES] * -(-STEPS // len(FAMILIES))
    chance.shuffle(keys)
    for key in keys[: max(STEPS, len(FAMILIES))]:
        done += [between(engine, offered, chance) for _ in range(chance.randrange(3))]
        wanted = any_request(chance, key)
        fresh = opened(**options)
        expected = outcome(fresh, wanted, offered)
        fresh.close()
        assert isinstance(expected[0], list), expected
        assert outcome(engine, wanted, offered) == expected, (done, wanted)
        done.append(f"painted {key}")


def bits(engine: Engine) -> dict[str, bytes]:
    """Every parameter that adapters may change."""
    import torch

    held = resident(engine)
    held.wake(lambda: None, *held.family.patched)
    return {
        f"{part} {name}": parameter.detach().view(torch.uint8).numpy().tobytes()
        for part in held.family.patched
        for name, parameter in held.network(part).named_parameters()
    }


@pytest.mark.parametrize("weights", ["int8", "full"])
@pytest.mark.parametrize("key", ["flux2", "zimage", "anima", "chroma", "flux1", "krea2"])
@pytest.mark.long
def test_no_bit_differs_after_a_hundred_sets(
    opened: Callable[..., Engine], offered: Catalog, every: Path, key: str, weights: str
) -> None:
    engine = opened(memory="full", weights=weights)
    paint(engine, request(model=key, guidance=1.0, steps=1), offered)
    pristine = bits(engine)
    chance, seen = random.Random(key), set()
    changed = [name for name in pristine if "to_q.weight" in name]
    for _ in range(100):
        file = (every / f"{key}.safetensors", chance.uniform(-2, 2))
        set_adapters(engine, [file] * chance.randrange(1, 3), FAMILIES[key].adapter_bases)
        now = bits(engine)
        seen.add(now[changed[0]])
        assert all(now[name] != pristine[name] for name in changed)
    assert len(seen) == 100
    set_adapters(engine, [])
    assert bits(engine) == pristine
