"""Models in the same buffers: switching, adapters, parking, freeing, running out of memory."""

import gc
import json
import random
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.subject import Subject
from bot.errors import EngineLost, JobFailed, Loss, PaintStopped, StopReason
from bot.progress import Notice, Progress
from bot.request import Hires, InitImage
from tests.engine.factories import (
    QUERY,
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    picture,
    request,
    resident,
    single_file,
)
from tests.parameters import mostly_long

NETWORKS = ("unet", "text_encoder", "text_encoder_2", "vae")


def modules(engine: Engine) -> list[weakref.ref[Any]]:
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [weakref.ref(module) for part in parts for module in part.modules()]


def alive(references: list[weakref.ref[Any]]) -> int:
    return sum(reference() is not None for reference in references)


def addresses(engine: Engine) -> list[int]:
    """The address of every parameter of the model."""
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [parameter.data_ptr() for part in parts for parameter in part.parameters()]


def bits(engine: Engine) -> list[bytes]:
    """All weights of the model."""
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [p.detach().numpy().tobytes() for part in parts for p in part.parameters()]


def test_switching_models_and_adapters_moves_nothing(engine: Engine, tmp_path: Path) -> None:
    """Compiled code and captured graphs hold addresses, which must survive every switch."""
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    first = digests(paint(engine, request(("a", 1.0)), offered))
    where, built = addresses(engine), modules(engine)
    paint(engine, request(("a", 1.0), model="other"), offered)
    assert engine.loaded == "other"
    paint(engine, request(model="other"), offered)
    assert digests(paint(engine, request(("a", 1.0)), offered)) == first
    assert addresses(engine) == where
    assert alive(built) == len(built) > 500


def test_resting_gives_the_memory_back(engine: Engine) -> None:
    before = digests(paint(engine, request()))
    parts, built = resident(engine).parts, modules(engine)
    engine.rest()
    assert not any(part.present for part in parts.values())
    assert {p.device.type for part in parts.values() for p in part.module.parameters()} == {"meta"}
    assert alive(built) == len(built), "compiled code is bound to the empty modules"
    assert digests(paint(engine, request())) == before


def test_closing_frees_every_module(fresh: Engine) -> None:
    paint(fresh, request())
    built = modules(fresh)
    assert alive(built) == len(built) > 500
    fresh.close()
    assert alive(built) == 0
    assert fresh.loaded is None


def test_no_bit_differs_after_a_hundred_sets(engine: Engine, tmp_path: Path) -> None:
    """Fusing and unfusing would have changed half of the weights by then."""
    from tests.engine.sets import set_adapters

    paint(engine, request())
    pristine = bits(engine)
    files = [kohya_lora(tmp_path / f"{n}.safetensors", seed=20 * n) for n in range(6)]
    changed = resident(engine).network("unet").get_submodule(QUERY).weight.detach()
    chance, seen = random.Random(1), set()
    for _ in range(100):
        chosen = chance.sample(files, chance.randrange(1, 5))
        set_adapters(engine, [(path, chance.uniform(-2, 2)) for path in chosen])
        seen.add(changed.numpy().tobytes())
    assert len(seen) == 100
    set_adapters(engine, [])
    assert bits(engine) == pristine


@pytest.mark.long
def test_no_bit_differs_from_the_file_after_a_hundred_sets_in_half_precision(
    models_dir: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    from tests.engine.sets import set_adapters

    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", dtype="bfloat16")
    engine.preload(model("demo", TINY), lambda: None)
    pristine = {}
    for name in NETWORKS[:3]:
        (path,) = (models_dir / TINY / name).glob("*.safetensors")
        for key, tensor in load_file(path).items():
            pristine[name, key.removeprefix("text_model.")] = tensor.bfloat16()

    def differing() -> set[str]:
        return {
            name
            for name in NETWORKS[:3]
            for key, held in resident(engine).network(name).named_parameters()
            if not torch.equal(held, pristine[name, key.removeprefix("text_model.")])
        }

    files = [kohya_lora(tmp_path / f"{n}.safetensors", seed=20 * n) for n in range(4)]
    chance = random.Random(1)
    for _ in range(100):
        chosen = chance.sample(files, chance.randrange(1, 5))
        set_adapters(engine, [(path, chance.uniform(-2, 2)) for path in chosen])
    assert differing() == {*NETWORKS[:3]}
    set_adapters(engine, [])
    assert differing() == set()
    engine.close()


def test_changed_files_are_loaded_again(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models_dir / TINY, tmp_path / "mine")
    offered = catalog([model("mine", str(folder))])
    first = paint(engine, request(model="mine"), offered)
    weights = "unet/diffusion_pytorch_model.safetensors"
    # Not over the old file: weights that are not in RAM are that file, mapped into memory.
    (folder / weights).unlink()
    shutil.copy(models_dir / "other" / weights, folder / weights)
    second = paint(engine, request(model="mine"), offered)
    assert digests(first) != digests(second)
    used = [painting.recipe.checkpoint for painting in (first, second)]
    assert len({weights.sha256 for weights in used if weights}) == 2


@pytest.mark.long
def test_a_model_that_was_half_built_leaves_no_names_behind(
    fresh: Engine, models_dir: Path, tmp_path: Path
) -> None:
    """Adapters are matched with the names of the networks that are loaded."""
    from bot.engine.families import family_of
    from bot.engine.needed import model_files

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    expected = digests(paint(fresh, request(("a", 1.0)), offered))
    broken = shutil.copytree(models_dir / TINY, tmp_path / "broken")
    config = json.loads((broken / "unet/config.json").read_text())
    deeper = {**config, "transformer_layers_per_block": 3}
    (broken / "unet/config.json").write_text(json.dumps(deeper))
    (broken / "vae/config.json").write_text("{")
    known = pipeline_of(fresh)._residency.targets
    with pytest.raises(JobFailed) as failure:
        paint(fresh, request(model="broken"), catalog([model("broken", str(broken))]))
    assert failure.value.code == "model.unreadable"
    (broken / "vae/config.json").write_text((models_dir / TINY / "vae/config.json").read_text())
    broken_model = model("broken", str(broken))
    subject = Subject("model", "broken", lambda _: None, lambda: None)
    pipeline = pipeline_of(fresh)
    files = model_files(broken_model, pipeline._sources, subject)
    pipeline._residency._build(files, family_of(broken_model), subject)
    assert len(pipeline._residency.targets) > len(known)
    assert digests(paint(fresh, request(("a", 1.0)), offered)) == expected


def pipeline_of(engine: Engine) -> Any:
    return engine._pipeline


def cache_of(engine: Engine) -> Any:
    pipeline: Any = engine._pipeline
    return pipeline._residency._cache


@pytest.fixture
def keeping(models_dir: Path, tmp_path: Path) -> Any:
    """Makes an engine that keeps that many bytes of checkpoints in RAM."""
    engines: list[Engine] = []

    def make(limit: int, **options: Any) -> Engine:
        hashes = tmp_path / "hashes.json"
        options.setdefault("memory", "full")
        engine = Engine(
            models_dir=models_dir,
            hashes_file=hashes,
            model_cache=limit,
            **options,
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


MODEL = 22_000_000
"""Bytes that the tiny model needs, rounded up generously."""


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


@pytest.mark.parametrize("profile", mostly_long(["8gb", "11gb"], usual=1))
def test_a_small_card_paints_the_same_picture(
    keeping: Any, engine: Engine, tmp_path: Path, profile: str
) -> None:
    """What is parked meanwhile costs time, but never changes a bit."""
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    small = keeping(3 * MODEL, memory=profile)
    over = InitImage(picture(), 0.5)
    for wanted in (
        request(("a", 0.7), count=2),
        request(),
        request(("a", 0.7), model="other"),
        request(init_image=over, count=2),
        request(("a", 0.7), hires=Hires(1.25, 0.5, 2)),
        request(init_image=over, hires=Hires(1.25, 0.5, 2), model="other"),
    ):
        expected = paint(engine, wanted, offered)
        assert digests(paint(small, wanted, offered)) == digests(expected)
        held = {name: resident(small).parts[name].present for name in NETWORKS}
        assert held == {
            "unet": profile == "11gb", "text_encoder": False, "text_encoder_2": False, "vae": True
        }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("profile", ["full", "11gb"])
def test_what_the_job_before_wore_is_not_put_on_again(
    keeping: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    from bot.engine.patches.changes import WeightChange

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    small = keeping(3 * MODEL, memory=profile)
    applied: list[Any] = []
    real = WeightChange.add_to

    def add_to(change: Any, *given: Any) -> None:
        applied.append(change)
        real(change, *given)

    monkeypatch.setattr(WeightChange, "add_to", add_to)
    paint(small, request(("a", 1.0)), offered)
    assert applied
    small.rest()
    applied.clear()
    paint(small, request(), offered)
    assert not applied


def out_of_memory(*_: Any, **__: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def no_more_ram(*_: Any, **__: Any) -> Any:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")


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

    def needs_tiles(*args: Any, tiled: bool) -> Any:
        tried.append(tiled)
        return real(*args, tiled=tiled) if tiled else out_of_memory()

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
def test_a_stopped_job_leaves_no_room_taken_on_the_smallest_card(
    keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.families.sdxl import text

    small = keeping(3 * MODEL, memory="8gb")
    seen: list[Progress] = []

    def stop() -> None:
        if any(p.step for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(small, request(), report=seen.append, check_stop=stop)
    assert resident(small).parts["unet"].present
    real = text.encode

    def encode(*args: Any) -> Any:
        assert not resident(small).parts["unet"].present
        return real(*args)

    monkeypatch.setattr(text, "encode", encode)
    paint(small, request())


@pytest.mark.parametrize(
    ("profile", "size", "upcast", "parked", "tiled"),
    [
        ("full", (1024, 1024), False, (False, False, False), False),
        ("full", (1536, 1536), False, (False, False, False), False),
        ("full", (2048, 2048), False, (False, False, False), True),
        ("full", (1024, 1024), True, (False, False, False), False),
        ("full", (1536, 1536), True, (False, False, False), True),
        ("16gb", (1264, 1264), False, (False, False, False), False),
        ("16gb", (1536, 1536), False, (False, False, False), True),
        ("16gb", (1024, 1024), True, (False, False, False), True),
        ("11gb", (1024, 1024), False, (True, False, True), False),
        ("11gb", (1024, 1024), True, (True, False, True), True),
        ("11gb", (1216, 832), False, (True, False, True), False),
        ("11gb", (1536, 1536), False, (True, False, True), True),
        ("8gb", (1024, 1024), False, (True, True, True), False),
        ("8gb", (1280, 1280), False, (True, True, True), True),
    ],
)
def test_what_is_parked_and_tiled(
    profile: str,
    size: tuple[int, int],
    upcast: bool,
    parked: tuple[bool, bool, bool],
    tiled: bool,
) -> None:
    from bot.engine.families.sdxl.memory import WHOLE
    from bot.engine.memory import Plan, Profile, plan

    text, unet, reference = parked
    assert plan(Profile(profile), WHOLE, *size, upcast=upcast) == Plan(
        park_text_encoders=text,
        park_denoiser=unet,
        park_reference=reference,
        tiled=tiled,
        compiling=not text,
    )


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


@pytest.mark.gpu
def test_a_gpus_memory_is_given_back(models_dir: Path, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", device="cuda")
    paint(engine, request())
    engine.rest()
    floor = torch.cuda.memory_allocated()  # cuBLAS keeps a workspace of its own
    first = digests(paint(engine, request()))
    assert torch.cuda.memory_allocated() > floor
    held = torch.cuda.memory_allocated()
    paint(engine, request(model="other"))
    assert torch.cuda.memory_allocated() == held, "a model takes the place of the one before"
    assert digests(paint(engine, request())) == first
    engine.rest()
    assert torch.cuda.memory_allocated() == floor
