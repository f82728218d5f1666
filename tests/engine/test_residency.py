"""One model at a time: switching, letting go, running out of memory."""

import gc
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import (
    DEMO,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    request,
)


def modules(engine: Engine) -> list[weakref.ref[Any]]:
    painter: Any = engine._painter
    pipeline = painter._residency.resident.pipeline
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2)
    return [weakref.ref(module) for part in parts for module in part.modules()]


def alive(references: list[weakref.ref[Any]]) -> int:
    return sum(reference() is not None for reference in references)


def test_switching_frees_every_module_of_the_old_model(engine: Engine, tmp_path: Path) -> None:
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    first = digests(paint(engine, request(("a", 1.0)), offered))
    old = modules(engine)
    assert alive(old) == len(old) > 500
    paint(engine, request(("a", 1.0), model="other"), offered)
    assert engine.loaded == "other"
    assert alive(old) == 0
    assert digests(paint(engine, request(("a", 1.0)), offered)) == first
    old = modules(engine)
    engine.close()
    assert alive(old) == 0
    assert engine.loaded is None


def test_the_model_stays_between_jobs(engine: Engine) -> None:
    paint(engine, request())
    before = modules(engine)
    paint(engine, request(seed=5))
    assert alive(before) == len(before)


def test_changed_files_are_loaded_again(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models_dir / DEMO, tmp_path / "mine")
    offered = catalog([model("mine", str(folder))])
    first = paint(engine, request(model="mine"), offered)
    weights = "unet/diffusion_pytorch_model.safetensors"
    # Not over the old file: on the CPU the loaded weights are that file, mapped into memory.
    (folder / weights).unlink()
    shutil.copy(models_dir / "other" / weights, folder / weights)
    second = paint(engine, request(model="mine"), offered)
    assert digests(first) != digests(second)
    assert first.recipe.checkpoint.sha256 != second.recipe.checkpoint.sha256


def out_of_memory(*_: Any, **__: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def no_more_ram(*_: Any, **__: Any) -> Any:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize(
    ("place", "fails"),
    [
        ("step", out_of_memory),
        ("step", no_more_ram),
        ("decode", out_of_memory),
        ("load", out_of_memory),
        ("adapter", out_of_memory),
    ],
)
def test_out_of_memory_is_said_and_forgotten(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fails: Any
) -> None:
    from bot.engine import adapters

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    expected = digests(paint(engine, request()))
    old = modules(engine)
    wanted = request(("a", 1.0), count=2, model="other" if place == "load" else "demo")
    with monkeypatch.context() as patch:
        painter: Any = engine._painter
        pipeline = painter._residency.resident.pipeline
        if place == "step":
            patch.setattr(pipeline.unet, "forward", fails)
        elif place == "decode":
            patch.setattr(pipeline.vae, "decode", fails)
        elif place == "load":
            patch.setattr("bot.engine.residency.UNet2DConditionModel.from_pretrained", fails)
        else:
            patch.setattr(adapters, "set_peft_model_state_dict", fails)
        del pipeline, painter
        with pytest.raises(JobFailed) as failure:
            paint(engine, wanted, offered)
    if place == "load":
        assert failure.value.code == "memory.model"
        assert failure.value.params == {"model": "other"}
    else:
        assert failure.value.code == "memory.out"
        assert failure.value.params == {"width": 64, "height": 64}
    assert failure.value.__context__ is None
    assert engine.loaded is None
    gc.collect()  # the test's own patches held the modules until here
    assert alive(old) == 0
    assert digests(paint(engine, request(), offered)) == expected


def test_an_unexpected_error_is_passed_on_and_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import sampling

    expected = digests(paint(engine, request()))
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "build", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            paint(engine, request())
    assert engine.loaded is None
    assert digests(paint(engine, request())) == expected


@pytest.mark.gpu
def test_a_gpus_memory_is_given_back(models_dir: Path, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", device="cuda")
    paint(engine, request())
    engine.close()
    floor = torch.cuda.memory_allocated()  # cuBLAS keeps a workspace of its own
    first = digests(paint(engine, request()))
    assert torch.cuda.memory_allocated() > floor
    paint(engine, request(model="other"))
    assert digests(paint(engine, request())) == first
    engine.close()
    assert torch.cuda.memory_allocated() == floor
