"""The same weights come out of every kind of file that a Chroma circulates in."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_chroma_transformer_checkpoint_to_diffusers

from bot.engine import Engine
from bot.errors import JobFailed
from tests.catalog.weight_files.headers import shapes_of
from tests.engine.factories import catalog, model, paint, request, resident
from tests.engine.families.chroma.conftest import HD
from tests.engine.families.chroma.files import authors
from tests.engine.families.flux2.files import authors_vae, below, scaled, stored, write
from tests.gguf_files import plain, written
from tests.parameters import mostly_long
from tests.sentencepiece_files import instead

ASKED = request(model="x", guidance=1.0, steps=1)
BEFORE = ("", "model.diffusion_model.", "transformer.")


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    paint(engine, ASKED, catalog([model("x", str(path), **fields)]))
    return {name: part.digest for name, part in resident(engine).parts.items()}


@pytest.fixture
def hd(folders: Path) -> Path:
    return folders / HD


@pytest.fixture
def expected(painter: Engine, hd: Path) -> dict[str, str | None]:
    return loaded(painter, hd)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "bot.engine")
    return caplog


def test_the_names_written_here_are_the_authors() -> None:
    """In the published size, for which alone diffusers can convert them."""
    originals = shapes_of("chroma-original")
    meta = {name: torch.empty(shape, device="meta") for name, shape in originals.items()}
    read = convert_chroma_transformer_checkpoint_to_diffusers(meta)
    assert {name: tuple(tensor.shape) for name, tensor in read.items()} == shapes_of("chroma")


@pytest.mark.parametrize("prefix", mostly_long(BEFORE, usual=["model.diffusion_model."]))
def test_a_single_file_of_the_transformer(
    painter: Engine,
    hd: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    tensors = stored(hd, "transformer")
    named = tensors if prefix == "transformer." else authors(tensors)
    file = write(tmp_path / "c.safetensors", below(prefix, named))
    assert loaded(painter, file, config=str(hd)) == expected
    assert not warned.records


@pytest.mark.long
@pytest.mark.parametrize("prefix", BEFORE[:2])
def test_a_gguf_file_of_the_transformer(
    painter: Engine,
    hd: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    named = below(prefix, authors(stored(hd, "transformer")))
    tensors = {name: plain(tensor) for name, tensor in named.items()}
    file = written(tmp_path / "c.gguf", tensors, metadata={"general.architecture": "flux"})
    assert loaded(painter, file, config=str(hd)) == expected
    assert not warned.records


def test_a_single_file_of_everything(
    painter: Engine,
    hd: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    encoder = stored(hd, "text_encoder")
    # ComfyUI has the embeddings twice, and files of the whole T5 its decoder.
    encoder |= {
        "encoder.embed_tokens.weight": encoder["shared.weight"].clone(),
        "decoder.final_layer_norm.weight": torch.ones(16),
    }
    whole = {
        **below("model.diffusion_model.", authors(stored(hd, "transformer"))),
        **below("text_encoders.t5xxl.transformer.", encoder),
        **below("vae.", authors_vae(stored(hd, "vae"))),
    }
    file = write(tmp_path / "c.safetensors", whole)
    assert loaded(painter, file, config=str(hd)) == expected
    assert not warned.records


def test_scaled_8_bit_floats_are_multiplied_out(painter: Engine, hd: Path, tmp_path: Path) -> None:
    said, kept = scaled(authors(stored(hd, "transformer")), ".scale_weight")
    ours, wanted = (
        loaded(painter, write(tmp_path / name, tensors), config=str(hd))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == wanted
    assert ours != loaded(painter, hd)


@pytest.mark.long
def test_a_folder_of_shards(
    painter: Engine, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    from tools.untrained import chroma

    chroma.pipeline().save_pretrained(str(tmp_path / "sharded"), max_shard_size="20KB")
    for network in ("transformer", "text_encoder"):
        assert len([*(tmp_path / "sharded" / network).glob("*.safetensors")]) > 1
    assert loaded(painter, tmp_path / "sharded") == expected


def test_a_tokenizer_of_sentencepiece_alone(
    painter: Engine, hd: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    """As in the authors' repositories."""
    folder = Path(shutil.copytree(hd, tmp_path / "copy"))
    instead(folder / "tokenizer")
    assert loaded(painter, folder) == expected


@pytest.mark.parametrize("missing", ["single_blocks.1.linear1.weight", "txt_in.bias"])
def test_what_is_missing_is_named(painter: Engine, hd: Path, tmp_path: Path, missing: str) -> None:
    tensors = authors(stored(hd, "transformer"))
    del tensors[missing]
    with pytest.raises(JobFailed) as failure:
        loaded(painter, write(tmp_path / "c.safetensors", tensors), config=str(hd))
    assert failure.value.code == "model.incomplete"
