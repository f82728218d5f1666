"""Whatever an engine did before, a request gives what it gives an engine that did nothing.

WALK_STEPS in the environment makes the walks longer than the suite has time for, and WALK_SEED
starts others.
"""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.request import EmbeddingUse, GenerationRequest, Hires, InitImage
from catalog import Catalog, EmbeddingEntry, Embeddings
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    ordered,
    paint,
    picture,
    request,
    save,
)
from tests.engine.families.sdxl import tiny_model

STEPS: Final = int(os.environ.get("WALK_STEPS", "5"))
SEED: Final = int(os.environ.get("WALK_SEED", "1"))
CALLS: Final = (
    "bot.engine.passes.denoise",
    "bot.engine.pixels.decode",
    "bot.engine.weights.cache.PristineWeights.copy_into",
    "bot.engine.weights.part.Part._enter",
    "bot.engine.patches.AdapterCache.get",
    "bot.engine.families.unet.text.run",
    "bot.engine.embeddings.read",
    "bot.engine.patches.file_tensors.FileTensors.all_finite",
)
"""Where memory runs out."""
WIDTHS: Final = (32, 48)


class Files:
    """The owner's files, and what may happen to them between two jobs."""

    def __init__(self, models: Path, folder: Path, chance: random.Random) -> None:
        self.models, self.folder, self._chance = models, folder, chance
        for name in (TINY, "other"):
            shutil.copytree(models.parent / "given" / name, models / name)
        tiny_model.build(models / "own", seed=20)
        for name in ("a", "b", "unet"):
            self.lora(name)
        for name in ("wort", "kraut"):
            self.embedding(name)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def lora(self, name: str) -> None:
        number = self._chance.randrange(1000)
        fresh = kohya_lora(self.folder / "new" / "x.safetensors", text=name != "unet", seed=number)
        self._put(fresh, self.path(name))

    def embedding(self, name: str) -> None:
        import torch

        noise = torch.Generator().manual_seed(self._chance.randrange(1000))
        rows = self._chance.choice([1, 2])
        first, second = (torch.randn(rows, width, generator=noise) for width in WIDTHS)
        fresh = self.folder / "new" / "x.safetensors"
        self._put(save(fresh, {"clip_l": first, "clip_g": second}), self.path(name))

    def model(self) -> None:
        """Other numbers in the model `own`, some of them in place."""
        name = self._chance.choice(["text_encoder", "text_encoder_2", "unet", "vae"])
        files = sorted((self.models / "own" / name).glob("*.safetensors"))
        for path in files:
            data = bytearray(path.read_bytes())
            data[-2] ^= 1  # of a weight's fraction
            self._write(path, bytes(data))

    def broken(self) -> None:
        """An adapter with NaN, one that is cut off, or one that is gone."""
        path = self.path("b")
        how = self._chance.randrange(3)
        if how == 0:
            path.unlink(missing_ok=True)
        elif how == 1:
            self._write(path, path.read_bytes()[:-10] if path.exists() else b"")
        else:
            self._put(kohya_lora(self.folder / "new" / "x.safetensors", size=float("nan")), path)

    def exchange(self) -> None:
        """Two adapters take each other's names."""
        one, other, between = self.path("a"), self.path("unet"), self.folder / "between"
        one.replace(between)
        other.replace(one)
        between.replace(other)

    def _put(self, fresh: Path, path: Path) -> None:
        self._stamp(fresh)
        fresh.replace(path)

    def _write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self._stamp(path)

    def _stamp(self, path: Path) -> None:
        # Two of the same time and size are one file to every cache, as to rsync.
        moment = self._chance.randrange(10**9, 10**18)
        os.utime(path, ns=(moment, moment))

    @property
    def offered(self) -> Catalog:
        words = {
            key: EmbeddingEntry(key=key, name=key, path=str(self.path(key)))
            for key in ("wort", "kraut")
        }
        loras: dict[str, Any] = {key: self.path(key) for key in ("a", "b", "unet")}
        offered = catalog([model("own", "own"), model("gone", "gone")], **loras)
        return replace(offered, embeddings=Embeddings(words))


def any_request(chance: random.Random) -> GenerationRequest:
    """One of so few that a walk comes by again."""
    sets: list[tuple[tuple[str, float], ...]] = [
        (),
        (("a", 1.0),),
        (("a", 0.5),),
        (("a", 0.0),),
        (("unet", 1.0), ("a", 0.5)),
        (("a", 0.5), ("unet", 1.0)),
        (("b", 0.7), ("a", -0.5)),
        (("b", 0.7),),
    ]
    texts = ["a fox in the snow", "a (fox:1.3) BREAK snow", "wort, a fox", "a castle, wort, kraut"]
    long = "a fox in the snow, " * 20
    words = chance.choice([("wort",), ("kraut", "wort"), ()])
    wanted = request(
        *chance.choice(sets),
        prompt=chance.choice([*texts, long]),
        embeddings=tuple(EmbeddingUse(key, key) for key in words),
        model=chance.choice(["demo", "demo", "other", "own", "own", "gone"]),
        clip_skip=chance.choice([None, None, 1, 3, 40]),
        guidance=chance.choice([1.0, 5.0]),
        negative=chance.choice(["", "noise", "noise, wort"]),
        seed=chance.choice([1, 2]),
        steps=chance.choice([1, 2]),
        count=chance.choice([1, 1, 2]),
        hires=chance.choice([None, None, None, Hires(1.25, 0.5, 2)]),
        init_image=chance.choice([None, None, None, InitImage(picture(), 0.6)]),
    )
    on_text = chance.choice([None, None, 0.0, 0.6])
    return replace(
        wanted, adapters=tuple(replace(use, text_weight=on_text) for use in wanted.adapters)
    )


def outcome(engine: Engine, wanted: GenerationRequest, offered: Catalog) -> Any:
    """Images, recipe and notices; or the error and all that it says."""
    try:
        painting = paint(engine, wanted, offered)
    except JobFailed as failure:
        return failure.code, failure.params
    return digests(painting), painting.recipe, painting.warnings


def stopped(engine: Engine, wanted: GenerationRequest, offered: Catalog, after: int) -> None:
    """A job that is stopped at one of its checks."""
    left = after

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise PaintStopped(StopReason.CANCELLED)

    try:
        engine.paint(ordered(wanted, offered), lambda _: None, check)
    except (JobFailed, PaintStopped):
        return


def starved(
    engine: Engine, wanted: GenerationRequest, offered: Catalog, call: str, after: int
) -> None:
    """A job that runs out of memory at one call of a function, and everywhere after it."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        target, _, name = call.rpartition(".")
        owner = _resolved(target)
        real: Callable[..., Any] = getattr(owner, name)
        left = after

        def fail(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return real(*given, **named)

        patch.setattr(owner, name, fail)
        try:
            paint(engine, wanted, offered)
        except JobFailed:
            return


def _resolved(path: str) -> Any:
    from pkgutil import resolve_name

    return resolve_name(path)


@pytest.fixture
def files(models_dir: Path, tmp_path: Path) -> Callable[[random.Random], Files]:
    (tmp_path / "given").symlink_to(models_dir)

    def make(chance: random.Random) -> Files:
        (tmp_path / "models").mkdir()
        return Files(tmp_path / "models", tmp_path / "files", chance)

    return make


@pytest.mark.long
@pytest.mark.parametrize(
    "memory",
    ["full", *(pytest.param(each, marks=pytest.mark.long) for each in ("11gb", "8gb"))],
)
def test_nothing_that_was_done_before_shows(
    files: Callable[[random.Random], Files], tmp_path: Path, memory: str
) -> None:
    chance = random.Random(f"{SEED} {memory}")
    there = files(chance)

    def started(hashes: str) -> Engine:
        return Engine(models_dir=there.models, hashes_file=tmp_path / hashes, memory=memory)

    engine = started("old.json")
    done: list[str] = []
    for step in range(STEPS):
        done += [between(engine, there, chance) for _ in range(chance.randrange(3))]
        wanted = any_request(chance)
        fresh = started(f"{step}.json")
        expected = outcome(fresh, wanted, there.offered)
        fresh.close()
        assert outcome(engine, wanted, there.offered) == expected, (step, done, wanted)
        done.append("painted")
    engine.close()


def between(engine: Engine, there: Files, chance: random.Random) -> str:
    """Something that happens between two jobs; returns what."""
    offered = there.offered
    what = chance.choice(
        ["stopped", "stopped", "starved", "starved", "rest", "free", "prefetch", "file", "file"]
    )
    if what == "stopped":
        stopped(engine, any_request(chance), offered, chance.randrange(40))
    elif what == "starved":
        call, after = chance.choice(CALLS), chance.randrange(4)
        starved(engine, any_request(chance), offered, call, after)
        return f"{what} {call} {after}"
    elif what == "rest":
        engine.rest()
    elif what == "free":
        engine.warm_up()
        pipeline: Any = engine._pipeline
        pipeline.free()
    elif what == "prefetch":
        engine.prefetch(list(offered.adapters.values()))
    else:
        happens = chance.choice(
            [
                there.model,
                there.broken,
                there.exchange,
                *(lambda name=name: there.lora(name) for name in ("a", "b", "unet")),
                *(lambda name=name: there.embedding(name) for name in ("wort", "kraut")),
            ]
        )
        happens()
    return what
