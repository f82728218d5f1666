"""One model as other programs write it: the same images to the byte."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    model,
    paint,
    request,
    save,
    single_file,
)
from tests.parameters import mostly_long

ASKED = request(model="x")
Tensors = dict[str, Any]
FIRST, SECOND = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."


def painted(engine: Engine, path: Path, **fields: Any) -> list[str]:
    return digests(paint(engine, ASKED, catalog([model("x", str(path), **fields)])))


def replaced(*pairs: tuple[str, str]) -> Callable[[Tensors], Tensors]:
    """The same tensors with other beginnings of their names."""

    def rename(tensors: Tensors) -> Tensors:
        found = {}
        for name, tensor in tensors.items():
            for old, new in pairs:
                if name.startswith(old):
                    name = new + name.removeprefix(old)
                    break
            found[name] = tensor
        return found

    return rename


def linear_projection(tensors: Tensors) -> Tensors:
    """As converters that come from transformers leave it."""
    projection = tensors.pop(f"{SECOND}text_projection")
    return {**tensors, f"{SECOND}text_projection.weight": projection.T}


def both_projections(tensors: Tensors) -> Tensors:
    """The one of the original layout counts."""
    return {**tensors, f"{SECOND}text_projection.weight": tensors[f"{SECOND}text_projection"] * 0}


def harmless_tensors(tensors: Tensors) -> Tensors:
    import torch

    return {
        **tensors,
        f"{FIRST}text_model.embeddings.position_ids": torch.arange(77)[None],
        f"{SECOND}logit_scale": torch.tensor(1.0),
        "model_ema.decay": torch.tensor(0.5),
        "model_ema.diffusion_modelinput_blocks00weight": torch.zeros(1),
        "denoiser.sigmas": torch.zeros(1000),
    }


def convolutions(tensors: Tensors) -> Tensors:
    """Linear layers of the UNet written as 1×1 convolutions."""
    ends = (".proj_in.weight", ".proj_out.weight")
    return {
        name: tensor[..., None, None] if name.endswith(ends) and tensor.ndim == 2 else tensor
        for name, tensor in tensors.items()
    }


def diffusers_vae(tensors: Tensors, models_dir: Path) -> Tensors:
    from safetensors.torch import load_file

    others = {n: t for n, t in tensors.items() if not n.startswith("first_stage_model.")}
    own = load_file(models_dir / TINY / "vae" / "diffusion_pytorch_model.safetensors")
    return {**others, **{f"first_stage_model.{name}": tensor for name, tensor in own.items()}}


SPELLINGS: dict[str, Callable[[Tensors], Tensors]] = {
    "text_projection.weight": linear_projection,
    "both projections": both_projections,
    "harmless": harmless_tensors,
    "convolutions": convolutions,
    "vae.": replaced(("first_stage_model.", "vae.")),
    "diffusion_model.": replaced(("model.diffusion_model.", "diffusion_model.")),
    "without text_model": replaced((f"{FIRST}text_model.", FIRST)),
    "without transformer": replaced((FIRST, "conditioner.embedders.0.")),
    "ComfyUI": replaced(
        (FIRST, "text_encoders.clip_l.transformer."), (SECOND, "text_encoders.clip_g.")
    ),
}


@pytest.mark.parametrize("spelling", mostly_long(SPELLINGS, usual=2))
def test_a_single_file_in_another_spelling(
    engine: Engine, models_dir: Path, tmp_path: Path, spelling: str
) -> None:
    from safetensors.torch import load_file

    tensors = load_file(single_file(models_dir / TINY, tmp_path / "a.safetensors"))
    path = save(tmp_path / "b.safetensors", SPELLINGS[spelling](tensors))
    assert painted(engine, path, config="tiny") == digests(paint(engine, request()))


@pytest.mark.long
def test_a_single_file_with_a_vae_of_diffusers(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    tensors = load_file(single_file(models_dir / TINY, tmp_path / "a.safetensors"))
    path = save(tmp_path / "b.safetensors", diffusers_vae(tensors, models_dir))
    assert painted(engine, path, config="tiny") == digests(paint(engine, request()))


@pytest.mark.parametrize("inner", mostly_long(["", "text_model."], usual=1))
def test_a_single_file_with_the_names_of_diffusers(
    engine: Engine, models_dir: Path, tmp_path: Path, inner: str
) -> None:
    """inner: what the first text encoder's names begin with, which depends on transformers."""
    from safetensors.torch import load_file

    tensors: Tensors = {}
    for folder in ("unet", "vae", "text_encoder", "text_encoder_2"):
        (file,) = (models_dir / TINY / folder).glob("*.safetensors")
        for name, tensor in load_file(file).items():
            bare = name.removeprefix("text_model.") if folder == "text_encoder" else name
            tensors[f"{folder}.{inner if folder == 'text_encoder' else ''}{bare}"] = tensor
    path = save(tmp_path / "whole.safetensors", tensors)
    assert painted(engine, path, config="tiny") == digests(paint(engine, request()))


def sharded(folder: Path, names: tuple[str, str], index: str = "") -> None:
    """The UNet in `folder` in two files of these names."""
    from safetensors.torch import load_file

    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    file.unlink()
    half = len(tensors) // 2
    for number, name in enumerate(names):
        part = [*tensors][:half] if number == 0 else [*tensors][half:]
        save(folder / "unet" / name, {key: tensors[key] for key in part})
    if index:
        (folder / "unet" / index).write_text(json.dumps({"weight_map": {}}))


BASE = "diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("names", "index"),
    mostly_long(
        [
            ((f"{BASE}-0000{{n}}-of-00002.safetensors"), f"{BASE}.safetensors.index.json"),
            ((f"{BASE}-0000{{n}}-of-00002.fp16.safetensors"), ""),
            (
                (f"{BASE}.fp16-0000{{n}}-of-00002.safetensors"),
                f"{BASE}.safetensors.index.fp16.json",
            ),
            (
                (f"{BASE}.bf16-0000{{n}}-of-00002.safetensors"),
                f"{BASE}.bf16.safetensors.index.json",
            ),
        ],
        usual=2,
    ),
)
def test_shards_are_read_with_and_without_an_index(
    engine: Engine, models_dir: Path, tmp_path: Path, names: str, index: str
) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))
    sharded(folder, (names.format(n=1), names.format(n=2)), index)
    assert painted(engine, folder) == digests(paint(engine, request()))
    (folder / "unet" / names.format(n=2)).unlink()
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder)
    assert failure.value.code == "model.incomplete"
    assert failure.value.params["part"] == f"unet/{names.format(n=2)}"


@pytest.mark.parametrize(
    "name",
    mostly_long(
        [
            *(f"{BASE}.{v}.safetensors" for v in ("fp32", "bf16", "non_ema", "ema_only")),
            *("model.safetensors", "my_unet.safetensors"),
        ],
        usual=1,
    ),
)
def test_any_variant_is_read_where_there_is_no_other(
    engine: Engine, models_dir: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))
    (folder / "unet" / f"{BASE}.safetensors").rename(folder / "unet" / name)
    assert painted(engine, folder) == digests(paint(engine, request()))


def test_the_choice_is_logged_once(
    engine: Engine, models_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))
    unet = folder / "unet"
    shutil.copy(unet / f"{BASE}.safetensors", unet / f"{BASE}.non_ema.safetensors")
    with caplog.at_level("INFO", logger="bot.engine.sources"):
        painted(engine, folder)
        painted(engine, folder)
    (line,) = [record.getMessage() for record in caplog.records if "reading" in record.message]
    assert f"unet/{BASE}.safetensors" in line
    assert "non_ema" not in line
    assert str(tmp_path) not in line


def test_a_configuration_of_a_gigabyte_is_not_read(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))
    with (folder / "tokenizer" / "vocab.json").open("ab") as file:
        file.truncate(2**30)
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder)
    assert failure.value.params["reason"] == "vocab.json is larger than 64 MiB"


LORA = {"lora_unet_a.lora_down.weight": (4, 4), "lora_unet_a.lora_up.weight": (4, 4)}
VAE = {"decoder.conv_in.weight": (8, 4, 3, 3)}


@pytest.mark.parametrize(("shapes", "what"), [(LORA, "LoRA"), (VAE, "VAE of SDXL or SD 1.5")])
def test_the_job_says_what_another_file_is(
    engine: Engine, tmp_path: Path, shapes: dict[str, tuple[int, ...]], what: str
) -> None:
    import torch

    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    path = save(tmp_path / "other.safetensors", tensors)
    with pytest.raises(JobFailed) as failure:
        painted(engine, path, config="tiny")
    assert (failure.value.code, failure.value.params["what"]) == ("model.other_family", what)


def test_the_job_says_what_another_folder_is(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))
    (folder / "model_index.json").write_text('{"_class_name": "KolorsPipeline"}')
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder)
    assert failure.value.params["what"] == "Kolors model"
