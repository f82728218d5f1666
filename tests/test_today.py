"""Whether an image would be the same today, from what is on disk; nothing is generated."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine.hashing import HashCache
from bot.recipe import Environment, Recipe, Weights, environment_id
from bot.today import Today, today
from catalog import (
    AdapterEntry,
    Catalog,
    ControlNetEntry,
    ControlNets,
    DepthEntry,
    ModelEntry,
    PoseEntry,
)
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


@pytest.mark.parametrize("network", ["vae", "text_encoder"])
def test_weights_that_are_not_read_say_nothing(models_dir: Path, network: str) -> None:
    own = models_dir / "demo" / network
    own.mkdir()
    (own / "config.json").write_bytes(b"{}")
    other = models_dir / "other.safetensors"
    other.write_bytes(b"other")
    path: dict[str, Any] = {f"{network}_path": "other.safetensors"}
    entry = ModelEntry(key="demo", name="Demo", path="demo", family=ZIMAGE, **path)
    offered = replace(catalog(), models={"demo": entry})
    digest = HashCache(models_dir / "hashes").of_file(other, lambda _: None)
    instead: dict[str, Any] = {network: Weights("other.safetensors", digest, digest[:10])}
    painted = replace(made(models_dir), **instead)
    weights = own / "model.safetensors"
    weights.symlink_to("nowhere")
    assert compared(models_dir, painted, offered=offered).same
    weights.unlink()
    weights.write_bytes(b"newer")
    before = 6 * 10**12
    os.utime(weights, (SOON, SOON))
    assert compared(models_dir, painted, offered=offered, painted_at=before).same
    os.utime(own / "config.json", (SOON, SOON))
    found = compared(models_dir, painted, offered=offered, painted_at=before)
    assert found.unsure == ("demo",)


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


def with_network(network: str, path: str | None, **more: str) -> Catalog:
    """A catalog whose model has this network from that path."""
    fields = {f"{network}_path": path, **more}
    demo = ModelEntry(key="demo", name="Demo", path="demo", family=ZIMAGE, **fields)  # type: ignore[arg-type]
    return Catalog({"demo": demo}, dict(catalog().adapters), "demo")


def made_with(models_dir: Path, network: str, path: str) -> Recipe:
    """A recipe with this network from that path."""
    return replace(made(models_dir), **{network: Weights(path, "f" * 64, "f" * 10)})  # type: ignore[arg-type]


INSTEAD = pytest.mark.parametrize("network", ["vae", "text_encoder"])


@INSTEAD
@pytest.mark.parametrize("path", ["own.safetensors", "own.gguf", "pipe"])
def test_a_network_in_place_of_its_own_counts(models_dir: Path, network: str, path: str) -> None:
    (models_dir / "pipe" / network).mkdir(parents=True)
    files = [models_dir / name for name in (path, f"pipe/{network}/m.safetensors")]
    files += [models_dir / f"pipe/{network}/config.json"]
    for file in files[path == "pipe" :]:
        file.write_bytes(b"weights")
    painted, offered = made_with(models_dir, network, path), with_network(network, path)
    assert compared(models_dir, painted, offered=offered).same
    assert path in compared(models_dir, painted, offered=offered, painted_at=0).unsure
    assert compared(models_dir, painted).gone == (path,)
    HashCache(models_dir / "hashes").of_file(files[path == "pipe"], lambda _: None)
    changed = compared(models_dir, painted, offered=offered).changed
    assert changed == (() if path == "pipe" else (path,))
    for file in files[path == "pipe" :]:
        file.unlink()
    assert compared(models_dir, painted, offered=offered).gone == (path,)


@INSTEAD
def test_of_a_pipeline_of_which_one_is_used_the_rest_does_not_count(
    models_dir: Path, network: str
) -> None:
    for name in ("vae", "text_encoder", "unet"):
        (models_dir / "pipe" / name).mkdir(parents=True)
        (models_dir / "pipe" / name / "m.safetensors").write_bytes(b"weights")
    painted, offered = made_with(models_dir, network, "pipe"), with_network(network, "pipe")
    painted_at = SOON * 1000

    def unsure() -> tuple[str, ...]:
        return compared(models_dir, painted, offered=offered, painted_at=painted_at).unsure

    for name in {"vae", "text_encoder", "unet"} - {network}:
        os.utime(models_dir / f"pipe/{name}/m.safetensors", (SOON + 1, SOON + 1))
    assert unsure() == ()
    os.utime(models_dir / f"pipe/{network}/m.safetensors", (SOON + 1, SOON + 1))
    assert unsure() == ("pipe",)


def test_two_of_one_pipeline_are_each_looked_for(models_dir: Path) -> None:
    for name in ("vae", "text_encoder"):
        (models_dir / "pipe" / name).mkdir(parents=True)
        (models_dir / "pipe" / name / "m.safetensors").write_bytes(name.encode())
    both = replace(made_with(models_dir, "vae", "pipe"), text_encoder=Weights("pipe", "e" * 64, ""))
    offered = with_network("vae", "pipe", text_encoder_path="pipe")
    assert compared(models_dir, both, offered=offered).same
    (models_dir / "pipe/vae/m.safetensors").unlink()
    assert compared(models_dir, both, offered=offered).gone == ("pipe",)


@INSTEAD
def test_a_network_that_came_later_is_a_change(models_dir: Path, network: str) -> None:
    painted = made(models_dir)
    (models_dir / "own.safetensors").write_bytes(b"weights")
    offered = with_network(network, "own.safetensors")
    assert compared(models_dir, painted, offered=offered).changed == ("own.safetensors",)


def test_a_model_that_is_another_variant_by_now(models_dir: Path) -> None:
    base = ModelEntry(key="demo", name="Demo", path="demo", family=ZIMAGE, variant="base")
    offered = Catalog({"demo": base}, {}, "demo")
    of = replace(recipe(), environment={}, adapters=())
    turbo = ("variant (turbo → base)", "config (Tongyi-MAI/Z-Image-Turbo → Tongyi-MAI/Z-Image)")
    for then, changed in (("turbo", turbo), ("base", ())):
        entry = base.model_copy(update={"variant": then})
        painted = replace(of, variant=then, config=entry.completed_by)
        assert compared(models_dir, painted, offered=offered).changed == changed


@pytest.mark.parametrize("layout", ["file", "named", "folder"])
def test_a_controlnet_is_looked_for_beside_a_lora_of_the_same_key(
    models_dir: Path, layout: str
) -> None:
    folder = models_dir / "edges"
    folder.mkdir()
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"edges")
    (folder / "config.json").write_bytes(b"{}")
    (models_dir / "depth").mkdir()
    (models_dir / "depth/model.safetensors").write_bytes(b"depth")
    (models_dir / "pose").mkdir()
    (models_dir / "pose/model.safetensors").write_bytes(b"pose")
    own = folder / "diffusion_pytorch_model.safetensors"
    path, name, files = {
        "file": (str(own), None, [own]),
        "named": ("edges", own.name, [own, folder / "config.json"]),
        "folder": ("edges", None, [own, folder / "config.json"]),
    }[layout]
    hashes = HashCache(models_dir / "hashes")
    digest = hashes.of_file(own, lambda _: None)
    if len(files) > 1:
        digest = hashes.of_files(folder, files, lambda _: None)
    entry = ControlNetEntry(key="ink", name="Ink", path=path, weight_name=name)
    offered = replace(
        catalog(),
        controlnets=ControlNets(
            {"ink": entry}, depth=DepthEntry(path="depth"), pose=PoseEntry(path="pose")
        ),
    )
    depth = Weights("depth", "d" * 64, "d" * 10)
    pose = replace(depth, name="pose")
    used = replace(
        made(models_dir), controls=(Weights("ink", digest, digest[:10]),), depth=depth, pose=pose
    )
    assert compared(models_dir, used, offered=offered).same
    assert compared(models_dir, used).gone == ("ink", "depth", "pose")
    other = replace(used, controls=(Weights("ink", "e" * 64, "e" * 10),))
    changed = compared(models_dir, other, offered=offered).changed
    assert changed == (("ink",) if layout == "file" else ())
    own.unlink()
    assert compared(models_dir, used, offered=offered).gone == ("ink",)
