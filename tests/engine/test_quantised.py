"""Checkpoints, VAEs and LoRAs in 8 bits, against the same numbers in 32."""

import json
import logging
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
    kohya_lora,
    model,
    paint,
    request,
    save,
    single_file,
)
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


Tensors = dict[str, Any]
Quantised = Callable[[str, Any], Tensors]


def loaded(path: Path) -> Tensors:
    from safetensors.torch import load_file

    tensors: Tensors = load_file(path)
    return tensors


def in_eight(weight: Any, scale: Any) -> tuple[Any, Any]:
    """The weight in 8 bits, and what it stands for."""
    import torch

    stored = (weight / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
    return stored, stored.float() * scale


def scaled(weights: Tensors, style: str) -> tuple[Tensors, Tensors]:
    """A file's tensors with every linear layer's weight scaled, and what they stand for.

    style: how the scale is written: ComfyUI's first way, its second, or one for each row.
    """
    import torch

    stored, meant = dict(weights), dict(weights)
    for name, weight in weights.items():
        if weight.ndim != 2 or not name.endswith(".weight") or "embedding" in name:
            continue
        layer = name.removesuffix(".weight")
        rows = weight.abs().amax(1, keepdim=True) if style == "rows" else weight.abs().max()
        stored[name], meant[name] = in_eight(weight, scale := rows / 448)
        if style == "first":
            stored[f"{layer}.scale_weight"] = scale
            stored[f"{layer}.scale_input"] = torch.tensor(3.0)
        else:
            stored[f"{layer}.weight_scale"] = scale
            text = json.dumps({"format": "float8_e4m3fn"}).encode()
            stored[f"{layer}.comfy_quant"] = torch.tensor([*text], dtype=torch.uint8)
    if style == "first":
        marker = torch.empty(2, dtype=torch.float8_e4m3fn)
        stored["model.diffusion_model.scaled_fp8"] = marker
    return stored, meant


def both(engine: Engine, stored: Path, meant: Path, **fields: Any) -> tuple[list[str], list[str]]:
    found = []
    for path in (stored, meant):
        offered = catalog([model("m", str(path), **fields)])
        found.append(digests(paint(engine, request(model="m"), offered)))
    return found[0], found[1]


@pytest.mark.parametrize("style", mostly_long(["first", "second", "rows"], usual=1))
def test_a_scaled_checkpoint_is_painted_as_what_it_stands_for(
    engine: Engine, models_dir: Path, tmp_path: Path, style: str
) -> None:
    plain = loaded(single_file(models_dir / TINY, tmp_path / "plain.safetensors"))
    stored, meant = scaled(plain, style)
    assert len(stored) > len(meant)
    eight, full = both(
        engine,
        save(tmp_path / "eight.safetensors", stored),
        save(tmp_path / "full.safetensors", meant),
        config=TINY,
    )
    assert eight == full
    assert eight != digests(paint(engine, request()))


@pytest.mark.long
@pytest.mark.parametrize("style", mostly_long(["first", "second", "rows"], usual=1))
@pytest.mark.parametrize("part", ["unet", "text_encoder_2"])
def test_a_folder_with_scaled_weights_is_painted_as_what_it_stands_for(
    engine: Engine, models_dir: Path, tmp_path: Path, part: str, style: str
) -> None:
    base = "diffusion_pytorch_model" if part == "unet" else "model"
    folders = [shutil.copytree(models_dir / TINY, tmp_path / name) for name in ("eight", "full")]
    found = scaled(loaded(folders[0] / part / f"{base}.safetensors"), style)
    for folder, tensors in zip(folders, found, strict=True):
        save(folder / part / f"{base}.safetensors", tensors)
    eight, full = both(engine, *folders)
    assert eight == full


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_plain_8_bits_are_plain_numbers(
    engine: Engine, models_dir: Path, tmp_path: Path, dtype: str
) -> None:
    import torch

    plain = loaded(single_file(models_dir / TINY, tmp_path / "plain.safetensors"))
    stored = {name: tensor.to(getattr(torch, dtype)) for name, tensor in plain.items()}
    meant = {name: tensor.float() for name, tensor in stored.items()}
    eight, full = both(
        engine,
        save(tmp_path / "eight.safetensors", stored),
        save(tmp_path / "full.safetensors", meant),
        config=TINY,
    )
    assert eight == full


@pytest.mark.parametrize("style", ["plain", "first"])
def test_a_vae_in_8_bits_is_read_as_well(
    engine: Engine, models_dir: Path, tmp_path: Path, style: str
) -> None:
    import torch

    plain = loaded(models_dir / TINY / "vae/diffusion_pytorch_model.safetensors")
    if style == "plain":
        stored = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in plain.items()}
        meant = {name: tensor.float() for name, tensor in stored.items()}
    else:
        stored, meant = scaled(plain, style)
    files = [
        save(tmp_path / f"{name}.safetensors", tensors)
        for name, tensors in (("eight", stored), ("full", meant))
    ]
    painted = [
        digests(
            paint(
                engine,
                request(model=file.stem),
                catalog([model(file.stem, TINY, vae_path=str(file))]),
            )
        )
        for file in files
    ]
    assert painted[0] == painted[1]
    assert painted[0] != digests(paint(engine, request()))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_a_lora_in_8_bits_is_plain_numbers(engine: Engine, tmp_path: Path, dtype: str) -> None:
    import torch

    plain = loaded(kohya_lora(tmp_path / "plain.safetensors"))
    stored = {name: tensor.to(getattr(torch, dtype)) for name, tensor in plain.items()}
    meant = {name: tensor.float() for name, tensor in stored.items()}
    offered = catalog(
        eight=save(tmp_path / "eight.safetensors", stored),
        full=save(tmp_path / "full.safetensors", meant),
    )
    painted = [digests(paint(engine, request((key, 1.0)), offered)) for key in ("eight", "full")]
    assert painted[0] == painted[1]


def refused(engine: Engine, path: Path, said: str, **fields: Any) -> None:
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(model="m"), catalog([model("m", str(path), **fields)]))
    assert failure.value.code == "model.quantised"
    assert said in str(failure.value.params["reason"])


def test_a_format_that_is_not_known_is_refused_by_name(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    import torch

    plain = loaded(single_file(models_dir / TINY, tmp_path / "plain.safetensors"))
    layer = "model.diffusion_model.time_embed.0"
    stored, _ = in_eight(plain[f"{layer}.weight"], torch.tensor(0.01))
    for beside, said in (
        ({f"{layer}.absmax": torch.ones(3)}, "bitsandbytes"),
        ({f"{layer}.weight_scale_inv": torch.ones(1, 1)}, "FP8 in blocks"),
        (
            {
                f"{layer}.weight": stored,
                f"{layer}.weight_scale": torch.ones(()),
                f"{layer}.comfy_quant": torch.tensor([*b'{"format": "mxfp8"}'], dtype=torch.uint8),
            },
            "mxfp8",
        ),
        (
            {f"{layer}.weight": stored, f"{layer}.weight_scale": torch.tensor(float("nan"))},
            f"the scale of {layer}.weight is not finite",
        ),
    ):
        refused(engine, save(tmp_path / "odd.safetensors", plain | beside), said, config=TINY)


@pytest.mark.parametrize("part", ["unet", "text_encoder", "text_encoder_2", "vae"])
def test_a_folder_that_says_it_is_quantised_is_refused(
    engine: Engine, models_dir: Path, tmp_path: Path, part: str
) -> None:
    folder = shutil.copytree(models_dir / TINY, tmp_path / "quantised")
    config = folder / part / "config.json"
    said = {**json.loads(config.read_text()), "quantization_config": {"quant_method": "torchao"}}
    config.write_text(json.dumps(said))
    refused(engine, folder, "torchao")


def test_what_is_no_part_of_the_model_is_named_in_the_log(
    fresh: Engine, models_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    plain = loaded(single_file(models_dir / TINY, tmp_path / "plain.safetensors"))
    offered = catalog([model("m", str(tmp_path / "more.safetensors"), config=TINY)])
    known = {
        "model_ema.decay": torch.ones(1),
        "denoiser.sigmas": torch.ones(1000),
        "conditioner.embedders.1.model.logit_scale": torch.ones(()),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids": torch.arange(77),
    }
    expected = digests(paint(fresh, request()))
    save(tmp_path / "more.safetensors", plain | known)
    with caplog.at_level(logging.WARNING):
        assert digests(paint(fresh, request(model="m"), offered)) == expected
    assert "left out" not in caplog.text
    extra = {
        "model.diffusion_model.input_blocks.4.1.proj_in.lora_A.weight": torch.ones(4, 4),
        "control_model.input_hint_block.0.weight": torch.ones(4, 4),
    }
    save(tmp_path / "more.safetensors", plain | known | extra)
    with caplog.at_level(logging.WARNING):
        assert digests(paint(fresh, request(model="m"), offered)) == expected
    assert "left out 1 tensors that are no part of its unet, such as" in caplog.text
    assert "lora_A" in caplog.text
    assert "left out 1 tensors that belong to none of its networks" in caplog.text
    assert "control_model" in caplog.text
