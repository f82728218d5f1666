"""The same weights come out of every kind of file that an Anima circulates in."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_cosmos_transformer_checkpoint_to_diffusers,
    convert_wan_vae_to_diffusers,
)

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import catalog, digests, model, paint, request, resident
from tests.engine.families.anima.conftest import BASE, OTHER
from tests.engine.families.anima.files import authors, authors_vae
from tests.engine.families.flux2.files import below, scaled, stored, write
from tests.gguf_files import plain, written

pytestmark = pytest.mark.long

ASKED = request(model="x", guidance=1.0, steps=1)
NETWORKS = ("transformer", "text_conditioner", "text_encoder", "vae")


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    paint(engine, ASKED, catalog([model("x", str(path), **fields)]))
    return {name: part.digest for name, part in resident(engine).parts.items()}


@pytest.fixture
def base(folders: Path) -> Path:
    return folders / BASE


@pytest.fixture
def denoiser(base: Path) -> dict[str, torch.Tensor]:
    """As its authors have it."""
    return authors(stored(base, "transformer"), stored(base, "text_conditioner"))


@pytest.fixture
def expected(painter: Engine, base: Path) -> dict[str, str | None]:
    return loaded(painter, base)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "bot.engine")
    return caplog


def test_the_names_written_here_are_the_authors(base: Path) -> None:
    ours = stored(base, "transformer")
    read = convert_cosmos_transformer_checkpoint_to_diffusers(below("net.", authors(ours, {})))
    assert read.keys() == ours.keys()
    assert all(torch.equal(read[name], ours[name]) for name in ours)
    vae = stored(base, "vae")
    read = convert_wan_vae_to_diffusers(authors_vae(vae))
    assert authors_vae(vae).keys().isdisjoint(vae)
    assert read.keys() == vae.keys()
    assert all(torch.equal(read[name], vae[name]) for name in vae)


@pytest.mark.parametrize("prefix", ["net.", "", "model.diffusion_model.", "diffusion_model."])
def test_a_single_file_of_the_denoiser(
    painter: Engine,
    base: Path,
    tmp_path: Path,
    denoiser: dict[str, torch.Tensor],
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    counted = {"accum_iteration": torch.tensor(3.0), "pos_embedder.seq": torch.arange(4.0)}
    file = write(tmp_path / "a.safetensors", below(prefix, {**denoiser, **counted}))
    assert [*expected] == [*NETWORKS]
    assert loaded(painter, file, config=str(base)) == expected
    assert not warned.records


@pytest.mark.parametrize("prefix", ["net.", ""])
def test_a_gguf_file_of_the_denoiser(
    painter: Engine,
    base: Path,
    tmp_path: Path,
    denoiser: dict[str, torch.Tensor],
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    tensors = {name: plain(tensor) for name, tensor in below(prefix, denoiser).items()}
    file = written(tmp_path / "a.gguf", tensors)
    assert loaded(painter, file, config=str(base)) == expected
    assert not warned.records


@pytest.mark.parametrize("prefix", ["net.", ""])
def test_a_tensor_that_belongs_to_nothing_is_named(
    painter: Engine,
    base: Path,
    tmp_path: Path,
    denoiser: dict[str, torch.Tensor],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    strange = {"blocks.7.mystery.weight": torch.ones(3)}
    file = write(tmp_path / "a.safetensors", below(prefix, {**denoiser, **strange}))
    loaded(painter, file, config=str(base))
    (record,) = warned.records
    assert "blocks.7.mystery.weight" in record.getMessage()


def test_a_single_file_of_everything(
    painter: Engine,
    base: Path,
    tmp_path: Path,
    denoiser: dict[str, torch.Tensor],
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    encoder = below("model.", stored(base, "text_encoder"))
    whole = {
        **below("model.diffusion_model.", denoiser),
        **below("text_encoders.qwen3_06b.transformer.", encoder),
        **below("vae.", authors_vae(stored(base, "vae"))),
    }
    file = write(tmp_path / "a.safetensors", whole)
    assert loaded(painter, file, config=str(base)) == expected
    assert not warned.records


def test_a_vae_in_a_file_of_its_own(
    painter: Engine, folders: Path, base: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    file = write(tmp_path / "vae.safetensors", authors_vae(stored(base, "vae")))
    found = loaded(painter, folders / OTHER, vae_path=str(file))
    assert found["vae"] == expected["vae"]
    assert found["transformer"] != expected["transformer"]


def test_scaled_8_bit_floats_are_multiplied_out(
    painter: Engine, base: Path, tmp_path: Path, denoiser: dict[str, torch.Tensor]
) -> None:
    said, kept = scaled(denoiser, ".weight_scale")
    ours, plain = (
        loaded(painter, write(tmp_path / name, below("net.", tensors)), config=str(base))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == plain
    assert ours["transformer"] != loaded(painter, base)["transformer"]


def test_a_text_encoder_in_two_files(
    painter: Engine, base: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "copy"))
    tensors = [*stored(base, "text_encoder").items()]
    (folder / "text_encoder" / "model.safetensors").unlink()
    for number, half in enumerate((tensors[::2], tensors[1::2]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        write(folder / "text_encoder" / name, dict(half))
    assert loaded(painter, folder) == expected


def test_a_file_of_cosmos_itself_is_refused_by_name(
    painter: Engine, base: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "other.safetensors", authors(stored(base, "transformer"), {}))
    with pytest.raises(JobFailed) as failure:
        loaded(painter, file, config=str(base))
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == "Cosmos transformer"


def test_a_folder_of_another_pipeline_is_refused_by_name(
    painter: Engine, base: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "copy"))
    index = folder / "modular_model_index.json"
    assert json.loads(index.read_text())["_class_name"] == "AnimaModularPipeline"
    index.write_text(json.dumps({"_class_name": "Flux2ModularPipeline"}))
    with pytest.raises(JobFailed) as failure:
        loaded(painter, folder)
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == "Flux2Modular model"


BOTH = catalog([model("x", BASE), model("y", OTHER)])
OF_BOTH = (ASKED, request(model="y", guidance=4.5, steps=2, negative="a dog"))


@pytest.mark.parametrize("memory", ["full", "8gb"])
def test_switched_parked_and_woken_networks_give_the_same(
    painter: Engine, folders: Path, memory: str
) -> None:
    first = [digests(paint(painter, each, BOTH)) for each in OF_BOTH]
    other = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory=memory)
    assert [digests(paint(other, each, BOTH)) for each in (*OF_BOTH, *OF_BOTH)] == first * 2
    other.rest()
    assert digests(paint(other, OF_BOTH[1], BOTH)) == first[1]
    other.close()
