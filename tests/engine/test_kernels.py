"""Compiled code: compiled in the background, kept across switches, never compiled within a job."""

import json
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.progress import Progress
from catalog import FloatRange, ModelEntry
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    resident,
)
from tests.engine.inside import pipeline_of

pytestmark = pytest.mark.long


Opened = tuple[Engine, list[object]]
REHEARSE = "bot.engine.families.unet.conditioning.rehearse"


@contextmanager
def opened(
    models_dir: Path, folder: Path, memory: str = "full", weights: str = "auto"
) -> Iterator[Opened]:
    """An engine that compiles as for a GPU, but lets torch's own kernels compute.

    Also a list that grows by one entry each time compiled code runs.
    """
    from bot.engine import kernels

    ran: list[object] = []

    def counting(graph: Any, _: Any) -> Any:
        def run(*args: Any) -> Any:
            ran.append(graph)
            return graph.forward(*args)

        return run

    real = kernels.Kernels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "Kernels", lambda _: real(counting))
        hashes = folder / "h.json"
        engine = Engine(
            models_dir=models_dir,
            hashes_file=hashes,
            compiled=True,
            memory=memory,
            weights=weights,
        )
        engine.warm_up()
    yield engine, ran
    engine.close()


@pytest.fixture
def tracing(models_dir: Path, tmp_path: Path) -> Iterator[Engine]:
    """One that has not compiled anything yet."""
    with opened(models_dir, tmp_path) as (engine, _):
        yield engine


@pytest.fixture(scope="module")
def traced_once(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(models_dir, tmp_path_factory.mktemp("kernels")) as (engine, ran):
        first = paint(engine, request())
        assert first.recipe.environment["kernels"] == "eager", "nobody waits for a compiler"
        kernels_of(engine).wait()
        yield engine, ran


@pytest.fixture
def traced(traced_once: Opened) -> Engine:
    """One whose compiler has finished the usual shape, which takes seconds.

    Reliable for the first tests only: torch may also use code that a later one compiles, and which
    code ran is counted separately.
    """
    return traced_once[0]


@pytest.fixture
def ran(traced_once: Opened) -> list[object]:
    """One entry for each run of its compiled code."""
    traced_once[1].clear()
    return traced_once[1]


def kernels_of(engine: Engine) -> Any:
    pipeline: Any = engine._pipeline
    return pipeline._kernels


def graphs() -> int:
    """How many times anything was compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each evaluation of the UNet during a job."""
    from bot.engine.denoise import denoise

    evaluations: list[object] = []

    def watched(unet: Any, *rest: Any) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            evaluations.append(unet)
            return unet(*args, **kwargs)

        return denoise(ask, *rest)

    monkeypatch.setattr("bot.engine.passes.denoise", watched)
    return evaluations


@pytest.mark.long
def test_nothing_is_compiled_again_over_fifty_switches(
    traced: Engine, engine: Engine, tmp_path: Path, ran: list[object], asked: list[object]
) -> None:
    loras = ("a", "b", "c")
    a, b, c = (kohya_lora(tmp_path / f"{key}.safetensors", seed=ord(key)) for key in loras)
    offered = catalog(a=a, b=b, c=c)
    first = paint(engine, request(), offered)
    before, chance = graphs(), random.Random(3)
    asked.clear()
    for _ in range(50):
        chosen = chance.sample(loras, chance.randrange(4))
        wanted = request(
            *((key, chance.uniform(-1, 1)) for key in chosen),
            model=chance.choice(["demo", "other"]),
            scheduler=chance.choice(["Euler", "DPM++ 2M Karras", "Heun"]),
            steps=1,
        )
        painting = paint(traced, wanted, offered)
        assert painting.recipe.environment["kernels"] == "compiled"
    assert len(ran) == len(asked) >= 50
    traced.rest()
    assert paint(traced, request(), offered).recipe.environment["kernels"] == "compiled"
    assert len(ran) == len(asked) >= 52
    assert graphs() == before
    assert digests(paint(traced, request(), offered)) == digests(first)


@pytest.mark.long
def test_other_sizes_and_earlier_pictures_get_torchs_own(traced: Engine) -> None:
    offered = catalog([model("other-size", "tiny")])
    before = graphs()
    for fields in ({"width": 72}, {"guidance": 1.0}, {"kernels": "eager"}):
        painting = paint(traced, request(**fields), offered)
        assert painting.recipe.environment["kernels"] == "eager"
    asked = paint(traced, request(kernels="compiled"), offered)
    assert asked.recipe.environment["kernels"] == "compiled"
    assert graphs() == before


def test_what_wraps_around_gets_torchs_own_and_leaves_the_code_as_it_is(
    traced: Engine, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    before, plain = graphs(), digests(paint(traced, request()))
    seamless = paint(traced, request(tile=True))
    assert seamless.recipe.environment["kernels"] == "eager"
    assert digests(seamless) == digests(paint(engine, request(tile=True)))
    assert "does not apply" not in caplog.text, "it was not even tried"
    again = paint(traced, request())
    assert (again.recipe.environment["kernels"], digests(again)) == ("compiled", plain)
    assert graphs() == before


def test_a_job_for_which_the_code_does_not_hold_says_so(
    traced: Engine, ran: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    """For instance, traced while something else was attached to it. It compiles nothing."""
    expected = digests(paint(traced, request()))
    before = graphs()
    ran.clear()
    attention = resident(traced).denoiser.mid_block.attentions[0].transformer_blocks[0].attn1
    attention.rescale_output_factor = 1.5
    try:
        painting = paint(traced, request())
    finally:
        attention.rescale_output_factor = 1.0
    assert not ran
    assert painting.recipe.environment["kernels"] == "eager"
    assert caplog.text.count("compiled code does not apply") == 1
    assert graphs() == before
    again = paint(traced, request())
    assert again.recipe.environment["kernels"] == "compiled"
    assert digests(again) == expected


@pytest.mark.long
def test_what_is_compiled_while_an_image_wraps_around_does_not(
    tracing: Engine, engine: Engine
) -> None:
    def compiled(progress: Progress) -> None:
        kernels_of(tracing).wait()  # compiling began with the model that was loaded for the job

    tracing.preload(model("demo", TINY), lambda: None)
    seamless = paint(tracing, request(tile=True), report=compiled)
    assert digests(seamless) == digests(paint(engine, request(tile=True)))
    plain = paint(tracing, request())
    assert plain.recipe.environment["kernels"] == "compiled"
    assert digests(plain) == digests(paint(engine, request()))


@pytest.mark.long
def test_the_sizes_that_are_proposed_are_compiled_too(
    tracing: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.kernels import shapes_of

    asked = []
    monkeypatch.setattr(REHEARSE, lambda *given: asked.append(given[2]))
    wide = ModelEntry(key="wide", name="Wide", path="builtin:flat", size=(96, 96), min_side=64)
    paint(tracing, request(model="wide", steps=1), catalog([wide]))
    kernels_of(tracing).wait()
    assert asked == [*shapes_of(wide, 77)]
    assert {(96, 96), (80, 112), (112, 80)} <= {(shape.width, shape.height) for shape in asked}


def test_what_most_pictures_of_a_model_look_like() -> None:
    from bot.engine.kernels import Shape, shapes_of

    usual = ModelEntry(key="a", name="A", path="a/b", size=(832, 1216))
    assert shapes_of(usual, 77)[:2] == (Shape(2, 77, 832, 1216), Shape(2, 77, 1024, 1024))
    assert len(set(shapes_of(usual, 77))) == len(shapes_of(usual, 77)) > 6
    distilled = model("b", "b", guidance=FloatRange(min=1.0, default=1.0, max=2.0))
    assert shapes_of(distilled, 77) == (Shape(1, 77, 64, 64),)


def test_more_shapes_are_compiled_than_torch_would_by_itself() -> None:
    """By default it gives up at the ninth shape."""
    import torch

    from bot.engine.kernels import Kernels, Shape

    class Own(torch.nn.Linear):
        """Code for a module of torch.nn itself would be bound to the frame it was compiled in."""

        def __init__(self) -> None:
            super().__init__(8, 8)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return super().forward(given)

    shapes = [Shape(1, 77, 8 * n, 8) for n in range(1, 13)]
    module, kernels = Own(), Kernels("eager")
    kernels.prepare(module, shapes, lambda run, shape: run(torch.zeros(shape.width, 8)))
    kernels.wait()
    for shape in shapes:
        choice = kernels.choose(module, None)
        with torch.inference_mode():
            choice.of(shape)(torch.zeros(shape.width, 8))
        assert choice.used == "compiled"


def test_a_compiler_that_fails_costs_nothing(
    tracing: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from bot.engine import kernels

    def fail(*_: Any) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(REHEARSE, fail)
    expected = digests(paint(tracing, request()))
    kernels_of(tracing).wait()
    assert "using torch's kernels" in caplog.text
    assert digests(paint(tracing, request())) == expected
    shape = kernels.Shape(2, 77, 64, 64)
    unet = resident(tracing).denoiser
    assert kernels_of(tracing).choose(unet, None).of(shape) is unet


@pytest.mark.long
def test_a_compiler_that_always_fails_is_not_asked_for_ever(
    tracing: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import kernels

    asked: list[object] = []

    def fail(*given: object) -> None:
        asked.append(given)
        raise RuntimeError("no compiler")

    monkeypatch.setattr(REHEARSE, fail)
    for _ in range(kernels.TRIES + 2):
        paint(tracing, request())
        kernels_of(tracing).wait()
    assert len(asked) == kernels.TRIES


@pytest.mark.long
def test_a_job_is_painted_in_one_way(tracing: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when the compiler finishes between two of its images."""
    from bot.engine import passes, pipeline
    from bot.engine.families.unet import conditioning

    paint_image, begin = passes.paint_image, pipeline.Pipeline._prepare
    rehearse = conditioning.rehearse
    painted, done = threading.Event(), []

    def first_paint(job: Any, number: int) -> Any:
        result = paint_image(job, number)
        painted.set()
        kernels_of(tracing).wait()
        done.append(job.kernels.used)
        return result

    def then_compile(*given: Any) -> None:
        painted.wait()
        rehearse(*given)

    def begin_to_compile(self: Any, needed: Any, held: Any, chosen: Any, *others: Any) -> Any:
        self._compile(needed.entry, held, chosen)
        return begin(self, needed, held, chosen, *others)

    monkeypatch.setattr(pipeline, "paint_image", first_paint)
    monkeypatch.setattr(conditioning, "rehearse", then_compile)
    monkeypatch.setattr(pipeline.Pipeline, "_prepare", begin_to_compile)
    first = paint(tracing, request(count=2))
    assert done == ["eager", "eager"]
    assert first.recipe.environment["kernels"] == "eager"
    assert paint(tracing, request()).recipe.environment["kernels"] == "compiled"


@pytest.mark.long
def test_the_smallest_card_compiles_nothing(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a job, and before the first one, its UNet is in RAM."""
    from bot.engine import kernels

    real = kernels.Kernels
    monkeypatch.setattr(kernels, "Kernels", lambda _: real("eager"))
    hashes = tmp_path / "h.json"
    engine = Engine(models_dir=models_dir, hashes_file=hashes, compiled=True, memory="8gb")
    engine.preload(catalog().models["demo"], lambda: None)
    assert not resident(engine).parts["unet"].present
    paint(engine, request())
    assert kernels_of(engine)._thread is None
    engine.close()


@pytest.mark.parametrize("leaving", ["freed", "another shape"])
def test_a_network_that_is_not_used_any_more_leaves_the_device_while_it_compiles(
    models_dir: Path,
    tmp_path: Path,
    tracing: Engine,
    monkeypatch: pytest.MonkeyPatch,
    leaving: str,
) -> None:
    compiling, go_on = threading.Event(), threading.Event()

    def held_up(*_: Any) -> None:
        compiling.set()
        go_on.wait()

    monkeypatch.setattr(REHEARSE, held_up)
    paint(tracing, request())
    assert compiling.wait(60)
    unet = resident(tracing).denoiser
    if leaving == "freed":
        pipeline_of(tracing).free()
    else:
        other = shutil.copytree(models_dir / TINY, tmp_path / "deeper")
        config = json.loads((other / "unet/config.json").read_text())
        deeper = {**config, "transformer_layers_per_block": 3}
        (other / "unet/config.json").write_text(json.dumps(deeper))
        with pytest.raises(JobFailed):  # the tensors do not fit, but the network is built
            paint(tracing, request(model="deeper"), catalog([model("deeper", str(other))]))
    assert {parameter.device.type for parameter in unet.parameters()} == {"meta"}
    assert kernels_of(tracing)._module is not unet
    go_on.set()
    kernels_of(tracing).wait()


@pytest.mark.long
def test_nothing_is_compiled_unless_it_is_asked_for(engine: Engine) -> None:
    before = graphs()
    assert paint(engine, request()).recipe.environment["kernels"] == "eager"
    kernels_of(engine).wait()
    assert graphs() == before
