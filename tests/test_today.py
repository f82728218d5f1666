"""Whether an image would be the same today, from what is on disk; nothing is generated."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bot.engine.hashing import HashCache
from bot.recipe import Recipe, Weights, environment_id
from bot.today import Today, today
from catalog import AdapterEntry, Catalog, ModelEntry
from catalog.families import ZIMAGE
from tests.store.factories import recipe

LATER = 10**14
"""When the image was painted, in milliseconds since the epoch: after all files here were made."""
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
    machines: tuple[str, ...] = (),
) -> Today:
    hashes = models_dir / "hashes"
    return today(of, painted_at, offered or catalog(), models_dir, hashes, environment, machines)


def test_nothing_has_changed(models_dir: Path) -> None:
    assert compared(models_dir, made(models_dir)).same
    # A repetition asks for the kernels that were used.
    assert compared(models_dir, made(models_dir), environment={**THEN, "kernels": "flash"}).same
    # The latest image may be another model's.
    own = made(models_dir)
    eight = replace(own, environment={**own.environment, "unet_dtype": "float16, int8"})
    assert compared(models_dir, eight, environment={**THEN, "unet_dtype": "bfloat16"}).same


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
    machines = (environment_id(other), environment_id(then))
    assert compared(models_dir, painted, environment=other, machines=machines).same
    assert not compared(models_dir, painted, environment=other, machines=machines[:1]).same


def test_what_is_newer_and_unread(models_dir: Path) -> None:
    painted = made(models_dir)
    os.utime(models_dir / "ink.safetensors")
    assert compared(models_dir, painted, painted_at=0).unsure == ("demo", "ink")
    assert compared(models_dir, painted).same


def test_a_model_that_is_another_variant_by_now(models_dir: Path) -> None:
    base = ModelEntry(key="demo", name="Demo", path="demo", family=ZIMAGE, variant="base")
    offered = Catalog({"demo": base}, {}, "demo")
    of = replace(recipe(), environment={}, adapters=())
    for then, changed in (("turbo", ("variant", "config")), ("base", ())):
        entry = base.model_copy(update={"variant": then})
        painted = replace(of, variant=then, config=entry.completed_by)
        assert compared(models_dir, painted, offered=offered).changed == changed
