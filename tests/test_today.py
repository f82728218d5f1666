"""Whether an image would be the same today, from what is on disk; nothing is generated."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bot.engine.hashing import HashCache
from bot.recipe import Environment, Recipe, Weights, environment_id
from bot.today import Today, today
from catalog import AdapterEntry, Catalog, ModelEntry
from catalog.families.zimage import ZIMAGE
from tests.store.factories import recipe

LATER = 10**14
"""When the image was painted, in milliseconds since the epoch: after all files here were made."""
SOON = 7 * 10**9
"""In seconds, and early enough for every file system."""
THEN = {"torch": "0", "gpu": "H200", "kernels": "math"}


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "demo/unet").mkdir(parents=True)
    (folder / "demo/unet/model.safetensors").write_bytes(b"unet")
    (folder / "demo/model_index.json").write_bytes(b"{}")
    (folder / "ink.safetensors").write_bytes(b"ink")
    return folder


def catalog(**changes: str) -> Catalog:
    demo = ModelEntry(key="demo", name="Demo", path=changes.get("demo", "demo"))
    ink = AdapterEntry(key="ink", name="Ink", path=changes.get("ink", "ink.safetensors"))
    return Catalog({"demo": demo}, {"ink": ink}, "demo")


def made(models_dir: Path) -> Recipe:
    """A recipe with the LoRA's own hash, which is then known."""
    digest = HashCache(models_dir / "hashes").of_file(
        models_dir / "ink.safetensors", lambda _: None
    )
    environment = {name: value for name, value in THEN.items() if name != "torch"}
    ink = Weights("ink", digest, digest[:12])
    return replace(recipe(), adapters=(ink,), environment=environment)


def compared(
    models_dir: Path,
    of: Recipe,
    *,
    offered: Catalog | None = None,
    painted_at: int = LATER,
    environment: Mapping[str, str] = THEN,
    lanes: tuple[Environment, ...] = (),
) -> Today:
    hashes = models_dir / "hashes"
    return today(of, painted_at, offered or catalog(), models_dir, hashes, environment, lanes)


def test_nothing_has_changed(models_dir: Path) -> None:
    assert compared(models_dir, made(models_dir)).same
    # A repetition asks for the kernels that were used.
    assert compared(models_dir, made(models_dir), environment={**THEN, "kernels": "flash"}).same
    # The latest image may be another model's, and larger.
    latest = {"unet_dtype": "bfloat16", "noise": "a b", "decoding": "tiled", "vae_dtype": "float32"}
    latest |= {"upscaler_dtype": "float32"}
    own = made(models_dir)
    facts = {
        "upscaler_dtype": "float16",
        "unet_dtype": "float16, int8",
        "noise": "a c",
        "decoding": "whole",
    }
    eight = replace(own, environment={**own.environment, **facts})
    assert compared(models_dir, eight, environment={**THEN, **latest}).same


def test_what_is_gone(models_dir: Path) -> None:
    painted = made(models_dir)
    moved = catalog(ink="other.safetensors", demo="other")
    assert compared(models_dir, painted, offered=moved).gone == ("demo", "ink")
    assert compared(models_dir, painted, offered=Catalog({}, {}, "")).gone == ("demo", "ink")


def test_a_folder_with_a_broken_link_is_gone(models_dir: Path) -> None:
    """As a download whose blobs were deleted leaves it."""
    (models_dir / "demo/unet/model.safetensors").unlink()
    (models_dir / "demo/unet/model.safetensors").symlink_to(models_dir / "blob")
    assert compared(models_dir, made(models_dir)).gone == ("demo",)


def test_what_has_changed(models_dir: Path) -> None:
    painted = made(models_dir)
    elsewhere = compared(models_dir, painted, environment={**THEN, "gpu": "A100"})
    assert elsewhere == Today(changed=("gpu",))
    other = replace(painted, adapters=(Weights("ink", "f" * 64, "f" * 12),))
    assert compared(models_dir, other).changed == ("ink",)
    updated = replace(painted, environment={"torch": "0"})
    assert compared(models_dir, updated).changed == ("torch",)


def test_a_lane_with_the_same_environment_is_enough(models_dir: Path) -> None:
    """The latest image may come from another machine, with libraries of its own."""
    then = {"torch": "1.0", "device_name": "A100"}
    painted = replace(made(models_dir), environment=then)
    other = {"torch": "2.0", "device_name": "H200"}
    assert compared(models_dir, painted, environment=other).changed == ("device_name", "torch")
    lanes = (Environment(environment_id(other)), Environment(environment_id(then)))
    assert compared(models_dir, painted, environment=other, lanes=lanes).same
    assert not compared(models_dir, painted, environment=other, lanes=lanes[:1]).same


def test_what_the_engine_stores_otherwise_today(models_dir: Path) -> None:
    """As after another IMAGEN_WEIGHTS; the lanes say so, whatever the latest image was of."""
    card = {"device_name": "RTX 3060", "dtype": "float16"}
    machine = environment_id(card)
    eight = {"unet_dtype": "float16, int8", "text_encoder_dtype": "bfloat16"}
    painted = replace(made(models_dir), environment={**card, **eight, "vae_dtype": "float32"})
    plain, as_then = ({"sdxl": {}, "zimage": eight}, {"sdxl": eight, "zimage": {}})

    def with_lanes(of: Recipe, *lanes: Environment) -> Today:
        return compared(models_dir, of, environment=card, lanes=lanes)

    unlike = ("text_encoder (bfloat16 → float16)", "unet (float16, int8 → float16)")
    changed = with_lanes(painted, Environment(machine, plain))
    assert changed == Today(stored=unlike)
    assert not changed.same
    # One that stores it as before is enough, but only if it is the same machine.
    same, there = Environment(machine, as_then), Environment("elsewhere", as_then)
    assert with_lanes(painted, Environment(machine, plain), same).same
    assert with_lanes(painted, Environment(machine, plain), there).stored == unlike
    other = with_lanes(painted, Environment("elsewhere", plain), there)
    assert other.stored == ()
    # The other way round, and where nothing is known yet.
    bare = replace(painted, environment=card)
    assert with_lanes(bare, same).stored == (
        "text_encoder (float16 → bfloat16)",
        "unet (float16 → float16, int8)",
    )
    assert with_lanes(painted, Environment(machine)).same
    assert with_lanes(painted).same


def test_what_is_newer_and_unread(models_dir: Path) -> None:
    painted = made(models_dir)
    os.utime(models_dir / "ink.safetensors")
    assert compared(models_dir, painted, painted_at=0).unsure == ("demo", "ink")
    assert compared(models_dir, painted).same


def with_vae(path: str | None) -> Catalog:
    demo = ModelEntry(key="demo", name="Demo", path="demo", vae_path=path)
    return Catalog({"demo": demo}, dict(catalog().adapters), "demo")


@pytest.mark.parametrize("path", ["ae.safetensors", "pipe"])
def test_the_vae_of_its_own_counts(models_dir: Path, path: str) -> None:
    (models_dir / "pipe/vae").mkdir(parents=True)
    files = [models_dir / name for name in ("ae.safetensors", "pipe/vae/m.safetensors")]
    for file in (*files, models_dir / "pipe/vae/config.json"):
        file.write_bytes(b"vae")
    painted = replace(made(models_dir), vae=Weights(path, "f" * 64, "f" * 10))
    assert compared(models_dir, painted, offered=with_vae(path)).same
    assert path in compared(models_dir, painted, offered=with_vae(path), painted_at=0).unsure
    assert compared(models_dir, painted).gone == (path,)
    HashCache(models_dir / "hashes").of_file(files[0], lambda _: None)
    changed = compared(models_dir, painted, offered=with_vae(path)).changed
    assert changed == (() if path == "pipe" else (path,))
    for file in (*files, models_dir / "pipe/vae/config.json"):
        file.unlink()
    assert compared(models_dir, painted, offered=with_vae(path)).gone == (path,)


def test_of_a_pipeline_whose_vae_is_used_the_rest_does_not_count(models_dir: Path) -> None:
    for name in ("vae", "unet"):
        (models_dir / "pipe" / name).mkdir(parents=True)
        (models_dir / "pipe" / name / "m.safetensors").write_bytes(b"weights")
    painted = replace(made(models_dir), vae=Weights("pipe", "f" * 64, "f" * 10))
    painted_at = SOON * 1000

    def unsure() -> tuple[str, ...]:
        return compared(models_dir, painted, offered=with_vae("pipe"), painted_at=painted_at).unsure

    os.utime(models_dir / "pipe/unet/m.safetensors", (SOON + 1, SOON + 1))
    assert unsure() == ()
    os.utime(models_dir / "pipe/vae/m.safetensors", (SOON + 1, SOON + 1))
    assert unsure() == ("pipe",)


def test_a_vae_that_came_later_is_a_change(models_dir: Path) -> None:
    painted = made(models_dir)
    assert painted.vae is None
    (models_dir / "ae.safetensors").write_bytes(b"vae")
    assert compared(models_dir, painted, offered=with_vae("ae.safetensors")).changed == (
        "ae.safetensors",
    )


def test_a_model_that_is_another_variant_by_now(models_dir: Path) -> None:
    base = ModelEntry(key="demo", name="Demo", path="demo", family=ZIMAGE, variant="base")
    offered = Catalog({"demo": base}, {}, "demo")
    of = replace(recipe(), environment={}, adapters=())
    turbo = ("variant (turbo → base)", "config (Tongyi-MAI/Z-Image-Turbo → Tongyi-MAI/Z-Image)")
    for then, changed in (("turbo", turbo), ("base", ())):
        entry = base.model_copy(update={"variant": then})
        painted = replace(of, variant=then, config=entry.completed_by)
        assert compared(models_dir, painted, offered=offered).changed == changed
