"""The same weights come out of every kind of file that a Z-Image circulates in."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_z_image_transformer_checkpoint_to_diffusers

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import catalog, digests, model, paint, request, resident
from tests.engine.families.flux2.files import authors_vae, below, scaled, stored, write
from tests.engine.families.zimage.conftest import DYNAMIC, TURBO
from tests.engine.families.zimage.files import authors
from tests.gguf_files import plain, written

pytestmark = pytest.mark.long

ASKED = request(model="x", guidance=1.0, steps=1)


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    paint(engine, ASKED, catalog([model("x", str(path), **fields)]))
    return {name: part.digest for name, part in resident(engine).parts.items()}


@pytest.fixture
def turbo(folders: Path) -> Path:
    return folders / TURBO


@pytest.fixture
def expected(painter: Engine, turbo: Path) -> dict[str, str | None]:
    return loaded(painter, turbo)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "bot.engine")
    return caplog


def test_the_names_written_here_are_the_authors(turbo: Path) -> None:
    ours = stored(turbo, "transformer")
    read = convert_z_image_transformer_checkpoint_to_diffusers(authors(ours))
    assert read.keys() == ours.keys()
    assert all(torch.equal(read[name], ours[name]) for name in ours)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "transformer."])
def test_a_single_file_of_the_transformer(
    painter: Engine,
    turbo: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    tensors = stored(turbo, "transformer")
    named = tensors if prefix == "transformer." else authors(tensors)
    file = write(tmp_path / "z.safetensors", below(prefix, named))
    assert loaded(painter, file, config=str(turbo)) == expected
    assert not warned.records


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_gguf_file_of_the_transformer(
    painter: Engine,
    turbo: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    named = below(prefix, authors(stored(turbo, "transformer")))
    tensors = {name: plain(tensor) for name, tensor in named.items()}
    assert named[f"{prefix}x_pad_token"].ndim == 2
    assert len(tensors[f"{prefix}x_pad_token"][1]) == 1  # as ggml writes it
    file = written(tmp_path / "z.gguf", tensors, metadata={"general.architecture": "lumina2"})
    assert loaded(painter, file, config=str(turbo)) == expected
    assert not warned.records


def test_a_single_file_of_everything(
    painter: Engine,
    turbo: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    encoder = {f"model.{name}": tensor for name, tensor in stored(turbo, "text_encoder").items()}
    whole = {
        **below("model.diffusion_model.", authors(stored(turbo, "transformer"))),
        **below("text_encoders.qwen3_4b.transformer.", encoder),
        **below("vae.", authors_vae(stored(turbo, "vae"))),
    }
    file = write(tmp_path / "z.safetensors", whole)
    assert loaded(painter, file, config=str(turbo)) == expected
    assert not warned.records


def test_scaled_8_bit_floats_are_multiplied_out(
    painter: Engine, turbo: Path, tmp_path: Path
) -> None:
    said, kept = scaled(authors(stored(turbo, "transformer")), ".weight_scale")
    ours, plain = (
        loaded(painter, write(tmp_path / name, tensors), config=str(turbo))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == plain
    assert ours != loaded(painter, turbo)


def test_a_text_encoder_in_two_files(
    painter: Engine, turbo: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    folder = Path(shutil.copytree(turbo, tmp_path / "copy"))
    tensors = [*stored(turbo, "text_encoder").items()]
    (folder / "text_encoder" / "model.safetensors").unlink()
    for number, half in enumerate((tensors[::2], tensors[1::2]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        write(folder / "text_encoder" / name, dict(half))
    assert loaded(painter, folder) == expected


def test_files_of_others_are_refused_by_name(painter: Engine, turbo: Path, tmp_path: Path) -> None:
    flux = {
        "double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3),
        "img_in.weight": torch.zeros(3, 64),
    }
    file = write(tmp_path / "other.safetensors", flux)
    with pytest.raises(JobFailed) as failure:
        loaded(painter, file, config=str(turbo))
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == "FLUX.1-like transformer"


BOTH = catalog([model("x", TURBO), model("y", DYNAMIC)])
OF_BOTH = (ASKED, request(model="y", guidance=4.0, steps=2, negative="a dog"))


@pytest.mark.parametrize("memory", ["full", "8gb"])
def test_switched_parked_and_woken_networks_give_the_same(
    painter: Engine, folders: Path, memory: str
) -> None:
    first = [digests(paint(painter, each, BOTH)) for each in OF_BOTH]
    other = Engine(
        models_dir=folders,
        hashes_file=folders / "hashes.json",
        memory=memory,
        weights="full",
    )
    assert [digests(paint(other, each, BOTH)) for each in (*OF_BOTH, *OF_BOTH)] == first * 2
    other.rest()
    assert digests(paint(other, OF_BOTH[1], BOTH)) == first[1]
    other.close()
