"""Where weights are found on this machine, and which files are never opened."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.sources import Sources
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog import AdapterEntry, ModelEntry
from catalog.families import FAMILIES
from catalog.weight_files import Header, read_header
from tests.engine.factories import (
    TINY,
    catalog,
    configs_only,
    digests,
    model,
    paint,
    request,
    resident,
    save,
    single_file,
)
from tests.parameters import mostly_long

ASKED = request(model="x")


def painted(engine: Engine, entry: ModelEntry) -> list[str]:
    return digests(paint(engine, ASKED, catalog([entry])))


def refused(engine: Engine, entry: ModelEntry) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        paint(engine, ASKED, catalog([entry]))
    assert failure.value.params["model"] == "x"
    return failure.value


@pytest.fixture
def checkpoint(models_dir: Path, tmp_path: Path) -> Path:
    return single_file(models_dir / TINY, tmp_path / "checkpoint.safetensors")


def test_one_file_is_the_same_model(
    engine: Engine, models_dir: Path, checkpoint: Path, tmp_path: Path
) -> None:
    config = configs_only(models_dir / TINY, tmp_path / "config")
    entry = model("x", str(checkpoint), config=str(config))
    expected = paint(engine, request())
    painting = paint(engine, ASKED, catalog([entry]))
    assert digests(painting) == digests(expected)
    assert painting.recipe.scheduler == expected.recipe.scheduler
    import hashlib

    whole = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert painting.recipe.checkpoint
    assert painting.recipe.checkpoint.sha256 == whole


def test_a_file_below_the_models_folder_is_found_by_its_relative_path(
    engine: Engine, models_dir: Path, checkpoint: Path
) -> None:
    shutil.copy(checkpoint, models_dir / "dropped.safetensors")
    entry = model("x", "dropped.safetensors", config="tiny")
    assert painted(engine, entry) == digests(paint(engine, request()))
    named = model("x", str(checkpoint.parent), weight_name=checkpoint.name, config="tiny")
    assert painted(engine, named) == digests(paint(engine, request()))


@pytest.mark.parametrize("layout", mostly_long(["file", "folder", "pipeline"], usual=1))
def test_a_vae_of_its_own_replaces_the_checkpoints(
    engine: Engine, models_dir: Path, tmp_path: Path, layout: str
) -> None:
    from safetensors.torch import load_file

    folder = models_dir / "other"
    path = {"folder": folder / "vae", "pipeline": folder}.get(layout)
    if path is None:
        both = load_file(single_file(folder, tmp_path / "both.safetensors", vae_prefix=""))
        outer = ("model.", "conditioner.")
        alone = {name: tensor for name, tensor in both.items() if not name.startswith(outer)}
        path = save(tmp_path / "vae.safetensors", alone)
    mixed = shutil.copytree(models_dir / TINY, tmp_path / "mixed")
    shutil.rmtree(mixed / "vae")
    shutil.copytree(folder / "vae", mixed / "vae")
    painting = paint(engine, ASKED, catalog([model("x", "tiny", vae_path=str(path))]))
    assert digests(painting) == painted(engine, model("x", str(mixed)))
    assert painting.recipe.vae
    assert painting.recipe.vae.name == path.name  # shown in the image, so without folders
    assert painting.recipe.vae.short == painting.recipe.vae.sha256[:10]


@pytest.mark.long
def test_a_vae_that_overflows_in_half_precision_is_kept_whole(
    models_dir: Path, tmp_path: Path
) -> None:
    import torch

    fragile = shutil.copytree(models_dir / TINY / "vae", tmp_path / "vae")
    config = json.loads((fragile / "config.json").read_text(encoding="utf-8"))
    (fragile / "config.json").write_text(json.dumps({**config, "force_upcast": True}))
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", dtype="float16")
    kept = {}
    for key, vae in (("plain", None), ("x", str(fragile))):
        entry = model(key, "tiny", vae_path=vae)
        paint(engine, request(model=key), catalog([entry]))
        kept[key] = (resident(engine).denoiser.dtype, resident(engine).vae.dtype)
    assert kept == {
        "plain": (torch.float16, torch.float16),
        "x": (torch.float16, torch.float32),
    }


def half_of(folder: Path, target: Path) -> Path:
    """A copy whose UNet only has a 16-bit variant."""
    copy = shutil.copytree(folder, target)
    unet = copy / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(
        unet / "diffusion_pytorch_model.fp16.safetensors"
    )
    return Path(copy)


@pytest.mark.long
def test_a_variant_is_used_where_there_is_no_other(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    folder = half_of(models_dir / TINY, tmp_path / "half")
    assert painted(engine, model("x", str(folder))) == digests(paint(engine, request()))


@pytest.mark.long
def test_weights_in_several_files_are_read(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    from diffusers import UNet2DConditionModel

    folder = shutil.copytree(models_dir / TINY, tmp_path / "sharded")
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True)
    shutil.rmtree(folder / "unet")
    unet.save_pretrained(folder / "unet", max_shard_size="8MB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 1
    assert painted(engine, model("x", str(folder))) == digests(paint(engine, request()))


class Trap:
    """Deletes the witness when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return (Path.unlink, (self.witness,))


@pytest.mark.parametrize("place", ["checkpoint", "unet", "vae"])
def test_a_pickle_is_never_opened_whatever_its_name(
    engine: Engine, models_dir: Path, tmp_path: Path, place: str
) -> None:
    witness = tmp_path / "witness"
    witness.touch()
    trap = pickle.dumps(Trap(witness))
    folder = shutil.copytree(models_dir / TINY, tmp_path / "trapped")
    (tmp_path / "trap.safetensors").write_bytes(trap)
    if place == "unet":
        (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(trap)
    fields = {
        "checkpoint": {"path": str(tmp_path / "trap.safetensors"), "config": "tiny"},
        "unet": {"path": str(folder)},
        "vae": {"path": "tiny", "vae_path": str(tmp_path / "trap.safetensors")},
    }[place]
    failure = refused(engine, model("x", **fields))
    assert failure.code == "model.not_safetensors"
    assert failure.params["file"]
    assert witness.exists()


def test_a_folder_of_pickles_only_is_no_model(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    folder = configs_only(models_dir / TINY, tmp_path / "bin")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x")
    failure = refused(engine, model("x", str(folder)))
    assert (failure.code, failure.params["part"]) == ("model.incomplete", "text_encoder")


def test_another_architecture_is_said(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(models_dir / TINY / "vae" / "diffusion_pytorch_model.safetensors")
    old = {f"model.diffusion_model.{name}": tensor for name, tensor in tensors.items()}
    path = save(tmp_path / "sd15.safetensors", old)
    failure = refused(engine, model("x", str(path), config="tiny"))
    assert failure.code == "model.other_family"


def test_weights_that_do_not_fit_their_configuration_are_said(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    expected = digests(paint(engine, request()))
    folder = shutil.copytree(models_dir / TINY, tmp_path / "wrong")
    shutil.copy(folder / "text_encoder" / "config.json", folder / "text_encoder_2")
    failure = refused(engine, model("x", str(folder)))
    assert failure.code == "model.unreadable"
    assert "text_encoder_2.text_model.embeddings" in str(failure.params["reason"])
    assert engine.loaded is None
    assert digests(paint(engine, request())) == expected


def test_a_missing_file_is_named(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    failure = refused(engine, model("x", str(tmp_path / "gone.safetensors")))
    assert failure.code == "model.missing"
    assert failure.params["path"] == "gone.safetensors"


@pytest.mark.long
def test_a_job_reads_the_header_of_a_single_file_once(
    engine: Engine, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import networks

    config = configs_only(models_dir / TINY, tmp_path / "config")
    vae = models_dir / TINY / "vae"
    checkpoint = single_file(models_dir / TINY, tmp_path / "once.safetensors")
    entry = model("x", str(checkpoint), config=str(config), vae_path=str(vae))
    read: list[Path] = []

    def counting(path: Path) -> Header:
        read.append(path)
        return read_header(path)

    monkeypatch.setattr(networks, "read_model_header", counting)
    for _ in range(2):
        read.clear()
        painted(engine, entry)
        assert read.count(checkpoint) == 1


def test_what_lies_deeper_in_a_folder_is_named_and_not_read(tmp_path: Path) -> None:
    files = FAMILIES["sdxl"].files
    names = [files.index, "scheduler/scheduler_config.json"]
    names += [f"{part}/tokenizer_config.json" for part in files.folders if "tokenizer" in part]
    names += [f"{network}/config.json" for network in files.weights]
    names += [f"{network}/{base}.safetensors" for network, base in files.weights.items()]
    for name in (*(f"outer/real/{name}" for name in names), "parts/split/vae/ae.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sources = Sources(tmp_path, None, half=True)
    subject = Subject("model", "x", lambda _: None, lambda: None)
    with pytest.raises(JobFailed) as failure:
        sources.checkpoint(model("x", "outer"), subject)
    assert failure.value.code == "model.inside"
    assert failure.value.params == {
        "model": "x",
        "path": "outer",
        "field": "path",
        "inside": "real",
    }
    with pytest.raises(JobFailed) as failure:
        sources.replacing(model("x", "outer", vae_path="parts"), subject)
    assert failure.value.code == "model.choose_network"
    assert failure.value.params["files"] == "split/vae/ae.safetensors"


@pytest.mark.parametrize("path", ["org/split", "split"])
def test_a_file_that_is_named_is_found_however_deep_it_lies(tmp_path: Path, path: str) -> None:
    """As in the repositories for ComfyUI; without asking the hub for it again."""
    root = tmp_path / ("hub/models--org--split/snapshots/abc" if "/" in path else path)
    for name in ("split_files/diffusion_models/x.safetensors", "a/b/c/lora.safetensors"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    sources = Sources(tmp_path, None, half=True)
    subject = Subject("model", "x", lambda _: None, lambda: None)
    entry = model("x", path, weight_name="split_files/diffusion_models/x.safetensors")
    assert sources.checkpoint(entry, subject).single == root / str(entry.weight_name)
    lora = AdapterEntry(key="l", name="L", path=path, weight_name="a/b/c/lora.safetensors")
    found = root / "a/b/c/lora.safetensors"
    assert sources.adapter(lora, Subject("adapter", "l", lambda _: None, lambda: None)) == found
    assert sources.adapter_here(lora) == found
