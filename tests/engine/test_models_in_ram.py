"""Models that are kept in RAM: what is kept, what makes room, whose memory is taken over."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engine import Engine
from tests.engine.factories import TINY, catalog, digests, model, paint, request, single_file
from tests.engine.inside import MODEL


def cache_of(engine: Engine) -> Any:
    pipeline: Any = engine._pipeline
    return pipeline._residency._cache


@pytest.mark.long
def test_a_model_in_ram_needs_no_file(
    keeping: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import networks

    expected = [digests(paint(engine, request(model=key))) for key in ("demo", "other")]
    kept = keeping(3 * MODEL)
    assert [digests(paint(kept, request(model=key))) for key in ("demo", "other")] == expected
    monkeypatch.setattr(networks, "read", lambda *_: pytest.fail("read again"))
    assert [digests(paint(kept, request(model=key))) for key in ("demo", "other")] == expected
    kept.rest()
    assert digests(paint(kept, request())) == expected[0]


@pytest.mark.long
def test_the_least_recently_used_makes_room(keeping: Any, engine: Engine) -> None:
    expected = [digests(paint(engine, request(model=key))) for key in ("demo", "other")]
    small = keeping(MODEL)
    for _ in range(2):
        assert [digests(paint(small, request(model=key))) for key in ("demo", "other")] == expected
        assert 0 < cache_of(small).nbytes <= MODEL


def test_memory_that_cannot_be_pinned_leaves_no_error_in_cuda(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """torch checks CUDA's last error after each kernel, and a refused registration sets it."""
    import torch

    from bot.engine.weights import HostMemory

    runtime = SimpleNamespace(cudaHostRegister=lambda *_: 2, cudaHostUnregister=pytest.fail)
    launched: list[str] = []

    def launch(*_: Any, device: str) -> Any:
        launched.append(device)
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    monkeypatch.setattr(torch, "ones", launch)
    memory = HostMemory(2**20, gpu="cuda")
    assert launched == ["cuda"]
    assert "could not be pinned" in caplog.text
    assert memory.buffer.nbytes == 2**20
    del memory


@pytest.mark.long
def test_a_model_takes_over_the_memory_of_the_one_it_drives_out(
    keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh memory has to be touched and pinned first, which takes longer than the copy."""
    from bot.engine.weights import HostMemory, cache

    made: list[int] = []
    real = HostMemory

    def counted(size: int, *, gpu: str | None) -> Any:
        made.append(size)
        return real(size, gpu=gpu)

    monkeypatch.setattr(cache, "HostMemory", counted)
    generous = keeping(9 * MODEL)
    expected = [digests(paint(generous, request(model=key))) for key in ("demo", "other")]
    one = sum(made) // 2
    made.clear()
    tight = keeping(one)
    for _ in range(2):
        assert [digests(paint(tight, request(model=key))) for key in ("demo", "other")] == expected
    assert sum(made) == one


def test_memory_that_somebody_holds_is_not_taken_over() -> None:
    import torch

    from bot.engine.weights import Formats, Layout, WeightCache

    module = torch.nn.Linear(64, 64)
    layout = Layout.of(module, Formats(torch.float32))
    cache = WeightCache(layout.size, gpu=None)

    def take(number: float) -> Any:
        tensors = {name: torch.full(slot.shape, number) for name, slot in layout.slots.items()}
        return cache.take(str(number), layout, lambda: tensors, lambda: None)

    held = take(1.0)
    assert float(take(2.0).tensor("weight")[0, 0]) == 2.0
    assert float(held.tensor("weight")[0, 0]) == 1.0
    # Both at once would be more than the limit.
    assert take(2.0).memory is None
    assert cache.nbytes == layout.size
    assert take(1.0) is held
    del held
    address = take(3.0).memory.buffer.data_ptr()
    assert take(4.0).memory.buffer.data_ptr() == address


def test_networks_that_read_one_file_to_different_depths_share_what_is_kept_of_it() -> None:
    import torch

    from bot.engine.weights import Formats, Layout, WeightCache

    half, dtype = Formats(torch.float16), Formats(torch.float32)
    layers = [torch.nn.Linear(64, 64) for _ in range(3)]
    deep, shallow = (Layout.of(torch.nn.Sequential(*layers[:number]), dtype) for number in (3, 2))
    cache = WeightCache(deep.size + shallow.size, gpu=None)
    read: list[str] = []

    def take(digest: str, layout: Any, source: Any = "file") -> Any:
        def tensors() -> Any:
            read.append(digest)
            named = torch.nn.Sequential(*layers).named_parameters()
            return {name: each.detach() for name, each in named if name in layout.slots}

        return cache.take(digest, layout, tensors, lambda: None, source)

    def filled(weights: Any) -> Any:
        buffer = torch.zeros(weights.layout.size, dtype=torch.uint8)
        weights.copy_into(buffer, lambda: None)
        return buffer

    alone = filled(take("shallow", shallow))
    first = take("deep", deep)
    assert cache.nbytes == deep.size
    shared = take("shallow", shallow)
    assert shared.memory is first.memory
    assert shared.digest == "shallow"
    assert torch.equal(filled(shared), alone)
    assert torch.equal(filled(first)[: shallow.size], alone)
    assert take("deep", deep) is first
    assert read == ["shallow", "deep"]
    assert cache.nbytes == deep.size
    # What is shared is held by either.
    del first
    other = take("other", deep, "another file")
    assert other.memory is None
    assert torch.equal(filled(shared), alone)
    # Neither is what another file has, nor what is kept in another format.
    del other
    assert take("copy", shallow, "another file").memory is not shared.memory
    of_half = Layout.of(torch.nn.Sequential(*layers[:2]), half)
    assert take("half", of_half).memory is not shared.memory
    # Nor is it known of a file that is not named.
    del shared
    assert take("unnamed", shallow, None).memory is not None
    assert read[2:] == ["other", "copy", "half", "unnamed"]


def test_what_a_deeper_network_has_as_well_is_dropped_only_where_nothing_holds_it() -> None:
    import torch

    from bot.engine.weights import Formats, Layout, WeightCache

    def layout(number: int) -> Any:
        layers = (torch.nn.Linear(64, 64) for _ in range(number))
        return Layout.of(torch.nn.Sequential(*layers), Formats(torch.float32))

    cache = WeightCache(2**20, gpu=None)

    def take(number: int) -> Any:
        named = layout(number)
        tensors = {name: torch.full(slot.shape, 1.0) for name, slot in named.slots.items()}
        return cache.take(str(number), named, lambda: tensors, lambda: None, "file")

    held = take(1)
    deep = take(2)
    assert cache.nbytes == held.layout.size + deep.layout.size
    assert take(1) is held


@pytest.mark.long
def test_a_network_is_copied_while_the_next_is_read(
    keeping: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import Part, WeightCache

    expected = digests(paint(engine, request(model="other")))
    kept = keeping(9 * MODEL)
    paint(kept, request())
    done: list[str] = []
    take, wake = WeightCache.take, Part.wake

    def taken(*given: Any) -> Any:
        done.append("read")
        return take(*given)

    def woken(*given: Any) -> None:
        done.append("copied")
        wake(*given)

    monkeypatch.setattr(WeightCache, "take", taken)
    monkeypatch.setattr(Part, "wake", woken)
    assert digests(paint(kept, request(model="other"))) == expected
    assert done[:8] == ["read", "copied"] * 4


@pytest.mark.long
def test_networks_that_are_the_same_are_kept_once(
    keeping: Any, models_dir: Path, tmp_path: Path
) -> None:
    """In a folder, in another folder, and in a single file with other names."""
    twin = shutil.copytree(models_dir / TINY, tmp_path / "twin")
    single = single_file(models_dir / TINY, tmp_path / "single.safetensors")
    kept = keeping(9 * MODEL)
    pictures = [digests(paint(kept, request()))]
    once = cache_of(kept).nbytes
    for path, config in ((twin, None), (single, "tiny")):
        entry = model("x", str(path), config=config)
        pictures.append(digests(paint(kept, request(model="x"), catalog([entry]))))
    assert cache_of(kept).nbytes == once
    assert pictures[0] == pictures[1] == pictures[2]
