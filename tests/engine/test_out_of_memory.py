"""Running out of memory, losing the device, and other errors on the way."""

import gc
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import EngineLost, JobFailed, Loss
from bot.progress import Notice
from bot.request import Hires
from tests.engine.factories import catalog, digests, kohya_lora, paint, request
from tests.engine.inside import MODEL, alive, modules, pipeline_of
from tests.parameters import mostly_long


def out_of_memory(*_: Any, **__: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def no_more_ram(*_: Any, **__: Any) -> Any:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("GET was unable to find an engine to execute this computation", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`", True),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm(handle)`", False),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", False),
    ],
)
def test_libraries_of_the_card_have_words_of_their_own(said: str, memory: bool) -> None:
    from bot.engine.environment import is_out_of_memory

    assert is_out_of_memory(RuntimeError(said)) is memory
    assert not is_out_of_memory(ValueError(said))


@pytest.mark.parametrize(
    ("place", "fails"),
    mostly_long(
        [
            ("bot.engine.passes.denoise", out_of_memory),
            ("bot.engine.passes.denoise", no_more_ram),
            ("bot.engine.pixels.decode", out_of_memory),
            ("bot.engine.weights.cache.PristineWeights.copy_into", out_of_memory),
            ("bot.engine.patches.AdapterCache.get", out_of_memory),
        ],
        usual=1,
    ),
)
def test_out_of_memory_is_said_and_forgotten(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fails: Any
) -> None:
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    expected = digests(paint(engine, request()))
    old = modules(engine)
    loading = place.endswith("copy_into")
    wanted = request(("a", 1.0), count=2, model="other" if loading else "demo")
    with monkeypatch.context() as patch:
        patch.setattr(place, fails)
        with pytest.raises(JobFailed) as failure:
            paint(engine, wanted, offered)
    if loading:
        assert failure.value.code == "memory.model"
        assert failure.value.params == {"model": "other"}
    else:
        assert failure.value.code == "memory.out"
        assert failure.value.params == {"width": 64, "height": 64}
    assert failure.value.__context__ is None
    assert engine.loaded is None
    gc.collect()
    assert alive(old) == 0
    assert digests(paint(engine, request(), offered)) == expected


@pytest.mark.parametrize(
    "place",
    [
        "bot.engine.passes.denoise",
        "bot.engine.pixels.decode",
        "bot.engine.weights.cache.PristineWeights.copy_into",
    ],
)
def test_a_device_that_is_lost_is_no_fault_of_the_request(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        import torch

        raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCompile with …")

    monkeypatch.setattr(place, lost)
    model = "other" if place.endswith("copy_into") else "demo"
    with pytest.raises(EngineLost) as raised:
        paint(engine, request(model=model))
    assert raised.value.loss is Loss.DEVICE
    assert str(raised.value) == "the GPU failed: CUDA error: device-side assert triggered"


@pytest.mark.long
def test_an_out_of_memory_of_the_accelerator_is_no_lost_device(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        import torch

        raise torch.AcceleratorError("CUDA error: out of memory")

    monkeypatch.setattr("bot.engine.passes.denoise", full)
    with pytest.raises(JobFailed) as failure:
        paint(engine, request())
    assert failure.value.code == "memory.out"


@pytest.mark.long
def test_out_of_memory_is_tried_once_with_less(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import pixels
    from bot.engine.families.sdxl.memory import WHOLE
    from bot.engine.memory import Profile

    expected = paint(engine, request())
    real, tried = pixels.decode, []

    def needs_tiles(*args: Any, tiled: bool, **more: Any) -> Any:
        tried.append(tiled)
        return real(*args, tiled=tiled, **more) if tiled else out_of_memory()

    monkeypatch.setattr(pixels, "decode", needs_tiles)
    monkeypatch.setitem(WHOLE, Profile.GB11, 0)
    painting = paint(engine, request())
    assert tried == [False, True]
    assert painting.warnings == (Notice("memory.lowered", {"profile": "11gb"}),)
    assert painting.recipe.environment["memory"] == "11gb"
    assert painting.recipe.environment["decoding"] == "tiled"
    assert expected.recipe.environment["decoding"] == "whole"
    assert "memory" in painting.recipe.changed_since(expected.recipe)


@pytest.mark.long
def test_a_model_that_has_no_room_at_once_is_brought_piece_by_piece(
    keeping: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import Part

    expected = digests(paint(engine, request()))
    small = keeping(3 * MODEL, memory="11gb")
    real = Part.wake

    def wake(part: Any, check_stop: Any) -> None:
        parts = pipeline_of(small)._residency._parts
        if not part.present and sum(other.present for _, other in parts.values()) == 3:
            out_of_memory()
        real(part, check_stop)

    monkeypatch.setattr(Part, "wake", wake)
    painting = paint(small, request())
    assert digests(painting) == expected
    assert painting.warnings == (Notice("memory.lowered", {"profile": "8gb"}),)


@pytest.mark.long
def test_after_less_memory_sufficed_another_model_is_painted(
    keeping: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the smallest card networks wake later than on others, in inference mode."""
    from bot.engine import pixels

    expected = digests(paint(engine, request(model="other")))
    small = keeping(3 * MODEL, memory="11gb")
    with monkeypatch.context() as patch:
        real, tried = pixels.decode, []

        def fails_once(*args: Any, **options: Any) -> Any:
            tried.append(args)
            return real(*args, **options) if len(tried) > 1 else out_of_memory()

        patch.setattr(pixels, "decode", fails_once)
        assert paint(small, request()).recipe.environment["memory"] == "8gb"
    assert digests(paint(small, request(model="other"))) == expected


@pytest.mark.long
def test_out_of_memory_in_the_second_pass_names_the_final_size(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import pixels

    monkeypatch.setattr(pixels, "distribution", out_of_memory)
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(hires=Hires(1.5, 0.4, 2)))
    assert failure.value.code == "memory.out"
    assert failure.value.params == {"width": 96, "height": 96}


@pytest.mark.long
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
