"""The same weights come out of every kind of file that a Krea 2 circulates in."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_krea2_transformer_checkpoint_to_diffusers

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import catalog, digests, paint, request, resident
from tests.engine.families.anima.files import authors_vae
from tests.engine.families.flux2.files import below, scaled, stored, write
from tests.engine.families.krea2.conftest import RAW, TURBO, entry
from tests.engine.families.krea2.files import authors
from tests.gguf_files import plain, written

pytestmark = pytest.mark.long

ASKED = request(model="x", guidance=1.0, steps=1)


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    fields = {"variant": "turbo", **fields}
    paint(engine, ASKED, catalog([entry(path, **fields)]))
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
    theirs = authors(ours)
    assert not {*theirs} & {*ours}
    read = convert_krea2_transformer_checkpoint_to_diffusers(dict(theirs))
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
    file = write(tmp_path / "k.safetensors", below(prefix, named))
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
    assert len(tensors[f"{prefix}txtfusion.projector.weight"][1]) == 1  # as ggml writes it
    file = written(tmp_path / "k.gguf", tensors, metadata={"general.architecture": "krea2"})
    assert loaded(painter, file, config=str(turbo)) == expected
    assert not warned.records


def test_a_single_file_of_everything(
    painter: Engine,
    turbo: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    """As ComfyUI saves it, with the half of the text encoder that reads images."""
    encoder = {
        name.replace("language_model.", "model."): tensor
        for name, tensor in stored(turbo, "text_encoder").items()
    }
    assert any(name.startswith("visual.") for name in encoder)
    whole = {
        **below("model.diffusion_model.", authors(stored(turbo, "transformer"))),
        **below("text_encoders.qwen3vl_4b.transformer.", encoder),
        **below("vae.", authors_vae(stored(turbo, "vae"))),
    }
    file = write(tmp_path / "k.safetensors", whole)
    assert loaded(painter, file, config=str(turbo)) == expected
    assert not warned.records


def test_scaled_8_bit_floats_are_multiplied_out(
    painter: Engine, turbo: Path, tmp_path: Path
) -> None:
    said, kept = scaled(authors(stored(turbo, "transformer")), ".weight_scale")
    ours, plainly = (
        loaded(painter, write(tmp_path / name, tensors), config=str(turbo))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == plainly
    assert ours != loaded(painter, turbo)


@pytest.mark.parametrize("network", ["transformer", "text_encoder"])
def test_a_network_in_two_files(
    painter: Engine, turbo: Path, tmp_path: Path, expected: dict[str, str | None], network: str
) -> None:
    folder = Path(shutil.copytree(turbo, tmp_path / "copy"))
    (file,) = (folder / network).glob("*.safetensors")
    tensors = [*stored(turbo, network).items()]
    file.unlink()
    for number, half in enumerate((tensors[::2], tensors[1::2]), 1):
        write(folder / network / f"{file.stem}-0000{number}-of-00002.safetensors", dict(half))
    assert loaded(painter, folder) == expected


def test_a_text_encoder_as_it_is_published(
    painter: Engine, turbo: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    """With a head that predicts words, and the table of transformers 4."""
    folder = Path(shutil.copytree(turbo, tmp_path / "copy"))
    encoder = folder / "text_encoder"
    tensors = below("model.", stored(turbo, "text_encoder"))
    head = tensors["model.language_model.embed_tokens.weight"].clone()
    write(encoder / "model.safetensors", {**tensors, "lm_head.weight": head})
    config = json.loads((encoder / "config.json").read_text())
    text = config["text_config"]
    rope = text.pop("rope_parameters")
    text |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    config["architectures"] = ["Qwen3VLForConditionalGeneration"]
    (encoder / "config.json").write_text(json.dumps(config))
    there = catalog([entry(turbo, variant="turbo")])
    wanted = digests(paint(painter, ASKED, there))
    assert loaded(painter, folder) == expected
    assert digests(paint(painter, ASKED, catalog([entry(folder, variant="turbo")]))) == wanted


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"text_encoder_select_layers": [2, 5, 8]}, "Krea 2 (other layers of its text encoder)"),
        ({"patch_size": 1}, "Krea 2 (other patches)"),
        ({"_class_name": "QwenImagePipeline"}, "Qwen-Image"),
    ],
)
def test_a_folder_of_another_kind_is_refused_by_name(
    painter: Engine, turbo: Path, tmp_path: Path, said: dict[str, Any], what: str
) -> None:
    folder = Path(shutil.copytree(turbo, tmp_path / "copy"))
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **said}))
    with pytest.raises(JobFailed) as failure:
        loaded(painter, folder)
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == f"{what} model"


def test_a_file_of_another_is_refused_by_name(painter: Engine, turbo: Path, tmp_path: Path) -> None:
    flux = {
        "double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3),
        "img_in.weight": torch.zeros(3, 64),
    }
    file = write(tmp_path / "other.safetensors", flux)
    with pytest.raises(JobFailed) as failure:
        loaded(painter, file, config=str(turbo))
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == "FLUX.1-like transformer"


BOTH = catalog([entry(TURBO), entry(RAW, "y")])
OF_BOTH = (ASKED, request(model="y", guidance=4.5, steps=2, negative="a dog"))


@pytest.mark.parametrize("memory", ["full", "8gb"])
def test_switched_parked_and_woken_networks_give_the_same(
    painter: Engine, folders: Path, memory: str
) -> None:
    first = [digests(paint(painter, each, BOTH)) for each in OF_BOTH]
    other = Engine(
        models_dir=folders, hashes_file=folders / "hashes.json", memory=memory, weights="full"
    )
    assert [digests(paint(other, each, BOTH)) for each in (*OF_BOTH, *OF_BOTH)] == first * 2
    other.rest()
    assert digests(paint(other, OF_BOTH[1], BOTH)) == first[1]
    other.close()
