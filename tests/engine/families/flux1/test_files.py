"""The same weights come out of every kind of file that a FLUX.1 circulates in."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

from bot.engine import Engine
from bot.errors import JobFailed
from catalog.families.flux1 import FLUX1
from tests.engine.factories import catalog, digests, model, paint, request, resident
from tests.engine.families.flux1.conftest import DEV, KONTEXT, SCHNELL
from tests.engine.families.flux1.files import authors
from tests.engine.families.flux2.files import authors_vae, below, scaled, stored, write
from tests.gguf_files import plain, written
from tests.parameters import mostly_long

ASKED = request(model="x", guidance=3.5, steps=1)


def entry(path: Path | str, **fields: Any) -> Any:
    return model("x", str(path), **{"family": FLUX1, **fields})


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    paint(engine, ASKED, catalog([entry(path, **fields)]))
    return {name: part.digest for name, part in resident(engine).parts.items()}


@pytest.fixture
def dev(folders: Path) -> Path:
    return folders / DEV


@pytest.fixture
def expected(painter: Engine, dev: Path) -> dict[str, str | None]:
    return loaded(painter, dev)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "bot.engine")
    return caplog


def test_the_names_written_here_are_the_authors() -> None:
    """The converter is for blocks of the true width, but rows are all that it cuts."""
    with torch.device("meta"):
        from diffusers import FluxTransformer2DModel

        built = FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True)
    drawn = torch.Generator().manual_seed(1)
    ours = {
        name: torch.randn(tensor.shape[0], *(1 for _ in tensor.shape[1:]), generator=drawn)
        for name, tensor in built.state_dict().items()
    }
    read = convert_flux_transformer_checkpoint_to_diffusers(authors(ours))
    assert read.keys() == ours.keys()
    assert all(torch.equal(read[name], ours[name]) for name in ours)


@pytest.mark.parametrize(
    "prefix", mostly_long(["model.diffusion_model.", "", "transformer."], usual=1)
)
def test_a_single_file_of_the_transformer(
    painter: Engine,
    dev: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    tensors = stored(dev, "transformer")
    named = tensors if prefix == "transformer." else authors(tensors)
    file = write(tmp_path / "f.safetensors", below(prefix, named))
    assert loaded(painter, file, config=str(dev)) == expected
    assert not warned.records


@pytest.mark.long
def test_a_gguf_file_of_the_transformer(
    painter: Engine,
    dev: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    named = authors(stored(dev, "transformer"))
    tensors = {name: plain(tensor) for name, tensor in named.items()}
    file = written(tmp_path / "f.gguf", tensors, metadata={"general.architecture": "flux"})
    assert loaded(painter, file, config=str(dev)) == expected
    assert not warned.records


def test_a_single_file_of_everything(
    painter: Engine,
    dev: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    """As ComfyUI writes it."""
    clip = {f"text_model.{name}": each for name, each in stored(dev, "text_encoder").items()}
    whole = {
        **below("model.diffusion_model.", authors(stored(dev, "transformer"))),
        **below("text_encoders.clip_l.transformer.", clip),
        **below("text_encoders.t5xxl.transformer.", stored(dev, "text_encoder_2")),
        **below("vae.", authors_vae(stored(dev, "vae"))),
        "text_encoders.clip_l.logit_scale": torch.tensor(4.6),
        "text_encoders.t5xxl.logit_scale": torch.tensor(4.6),
    }
    file = write(tmp_path / "f.safetensors", whole)
    config = Path(shutil.copytree(dev, tmp_path / "config"))
    for weights in config.rglob("*.safetensors"):
        weights.unlink()
    assert loaded(painter, file, config=str(config)) == expected
    assert not warned.records


@pytest.mark.long
def test_scaled_8_bit_floats_are_multiplied_out(painter: Engine, dev: Path, tmp_path: Path) -> None:
    said, kept = scaled(authors(stored(dev, "transformer")), ".scale_weight")
    ours, plain_ = (
        loaded(painter, write(tmp_path / name, tensors), config=str(dev))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == plain_
    assert ours != loaded(painter, dev)


@pytest.mark.long
def test_a_text_encoder_in_two_files(
    painter: Engine, dev: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    folder = Path(shutil.copytree(dev, tmp_path / "copy"))
    tensors = [*stored(dev, "text_encoder_2").items()]
    (folder / "text_encoder_2" / "model.safetensors").unlink()
    for number, half in enumerate((tensors[::2], tensors[1::2]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        write(folder / "text_encoder_2" / name, dict(half))
    assert loaded(painter, folder) == expected


def painted(engine: Engine, path: Path, **fields: Any) -> list[str]:
    return digests(
        paint(engine, request(model="x", steps=2, guidance=2.0), catalog([entry(path, **fields)]))
    )


def test_a_file_is_sampled_as_its_variant_whatever_completes_it(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    """Its configuration may be of another, but not of one that is told no guidance."""
    file = write(tmp_path / "flux1-dev.safetensors", authors(stored(folders / DEV, "transformer")))
    lender = Path(shutil.copytree(folders / DEV, tmp_path / "lender"))
    scheduler = lender / "scheduler" / "scheduler_config.json"
    said = json.loads(scheduler.read_text())
    scheduler.write_text(json.dumps({**said, "use_dynamic_shifting": False, "shift": 1.0}))
    assert painted(painter, file, config=str(lender)) == painted(painter, folders / DEV)
    assert painted(painter, lender) != painted(painter, folders / DEV)
    fixed = painted(painter, file, config=str(lender), shift=1.0)
    assert fixed == painted(painter, lender)

    for path, config, told in (
        (file, SCHNELL, "is told its guidance"),
        (
            write(tmp_path / "s.safetensors", authors(stored(folders / SCHNELL, "transformer"))),
            DEV,
            "is told no guidance",
        ),
    ):
        with pytest.raises(JobFailed) as failure:
            loaded(painter, path, config=str(folders / config))
        assert failure.value.code == "model.training"
        assert told in str(failure.value.params["reason"])


@pytest.mark.parametrize(("width", "task"), [(384, "Fill"), (128, "Control")])
def test_those_for_other_tasks_are_refused_by_name(
    painter: Engine, dev: Path, tmp_path: Path, width: int, task: str
) -> None:
    tensors = authors(stored(dev, "transformer"))
    tensors["img_in.weight"] = torch.zeros(32, width)
    file = write(tmp_path / "other.safetensors", tensors)
    with pytest.raises(JobFailed) as failure:
        loaded(painter, file, config=str(dev))
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == f"FLUX.1 ({task}) transformer"
    folder = Path(shutil.copytree(dev, tmp_path / "folder"))
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": width}))
    with pytest.raises(JobFailed) as failure:
        loaded(painter, folder)
    assert failure.value.code == "model.other_family"
    assert failure.value.params["what"] == f"FLUX.1 ({task}) model"


def test_kontext_is_read_from_its_own_pipeline(painter: Engine, folders: Path) -> None:
    assert len(loaded(painter, folders / KONTEXT)) == 4
