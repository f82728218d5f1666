"""Measurements of `benchmarks.gpu` with a tiny model, and CUDA replaced where they need it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._C._autograd import DeviceType

from benchmarks import adapters, bench_model, side_by_side
from benchmarks.bench_model import KEYS, Bench
from benchmarks.engine import cold
from benchmarks.engine.requests import request_end_to_end
from benchmarks.gpu import adapting, candidates, decoding, exactness, requests, switching
from benchmarks.gpu.candidates.capture import Cuda
from benchmarks.gpu.candidates.graphs import Graphs
from benchmarks.gpu.context import Context
from benchmarks.gpu.row import Figure
from benchmarks.gpu.rows import ROWS
from bot.engine.hashing import HashCache
from bot.engine.kernels import KernelChoice, Kernels, Shape
from tests.benchmarks.fake_cuda import FakeCuda
from tests.benchmarks.tiny import TINY

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    weights = tmp_path_factory.mktemp("weights")
    options: Any = SimpleNamespace(shape=TINY, weights=weights, device="cpu", repeat=1, steps=2)
    with bench_model.opened(options, KEYS, memory="full") as bench:
        context = Context(bench, options, {})
        context._plain_seconds = 1.0
        yield context


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return FakeCuda(monkeypatch)


class Compiled(Kernels):
    """Kernels that have compiled the network once that `prepare` was called.

    shapes: what has been compiled; None for all.
    """

    def __init__(self, shapes: list[Shape] | None = None) -> None:
        super().__init__(None)
        self._shapes = shapes

    def prepare(self, module: Any, shapes: Any, run: Any) -> None:
        del run
        self._module = module
        self._ready = set(shapes if self._shapes is None else self._shapes)

    def choose(self, module: Any, asked: str | None) -> KernelChoice:
        def compiled(*args: Any, **kwargs: Any) -> Any:
            self._runs[0] += 1
            return module(*args, **kwargs)

        assert asked is None
        return KernelChoice(module, compiled, frozenset(self._ready), lambda: self._runs[0])


def measured(context: Context, name: str) -> dict[str, Figure]:
    """As in its row; those for the VAE have none of their own."""
    (row,) = (row for row in ROWS if row.name == name)
    return {figure.what: figure for figure in row.measure(context)}


@pytest.mark.parametrize("name", ["graph", "graph-of-layouts"])
def test_graphs_are_measured_against_eager_kernels(
    context: Context, cuda: FakeCuda, name: str
) -> None:
    figures = measured(context, name)
    assert cuda.log.count("replay") >= 2 * context.steps
    assert not any(figure.wrong for figure in figures.values())
    of_plain = {"of_plain"} if name == "graph" else set()
    assert set(figures[name].numbers) == {"seconds", "eager", "of_eager"} | of_plain


def test_a_graph_that_was_never_used_fails_its_row(
    context: Context, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Graphs, "find", lambda *_: None)
    with pytest.raises(RuntimeError, match="no CUDA graph was used"):
        measured(context, "graph")


@pytest.mark.parametrize("place", ["begin", "call", "end"])
def test_a_graph_that_cannot_be_captured_fails_its_row(
    context: Context, cuda: FakeCuda, place: str
) -> None:
    cuda.fail_at = place
    with pytest.raises(RuntimeError, match="given up: RuntimeError"):
        measured(context, "graph")


def test_what_a_failed_capture_leaves_unusable_is_said(
    context: Context, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.fail_at = "end"
    found = exactness.failed_capture(context)
    next(found)

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.\nmore")

    monkeypatch.setattr(torch, "randn", refuse)
    monkeypatch.setattr(torch, "empty", refuse)
    drawn, pinned = found
    assert drawn.wrong
    assert pinned.wrong
    assert drawn.note == "Offset increment outside graph capture encountered unexpectedly."


def test_a_stop_is_timed_while_graphs_run_ahead(context: Context, cuda: FakeCuda) -> None:
    (figure,) = exactness.cancel_graphed(context)
    assert figure.numbers["seconds"]
    assert cuda.log.count("replay") > 6


def test_loras_are_added_in_batches_or_not_measured(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled, far, restored = adapting.batched(context)
    assert filled.numbers["of_eager"]
    assert "3 networks, with 4 LoRAs" in filled.what
    assert not far.wrong
    assert not restored.wrong
    monkeypatch.setattr(candidates.adapters, "_group", lambda *_: None)
    with pytest.raises(RuntimeError, match="nothing was batched"):
        list(adapting.batched(context))


@pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning:peft")
def test_plain_loads_each_lora_once_for_all_rows_of_a_rank(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    load_one = adapters.load_one

    def loading(pipeline: Any, file: Path) -> None:
        loads.append(file.stem)
        load_one(pipeline, file)

    monkeypatch.setattr(adapters, "load_one", loading)
    monkeypatch.setattr(context, "_peft_used", True)
    one, four, again = adapting.use(context, 32)
    lines = list(adapting.step(context))
    assert loads == [f"lora-{number}-r32" for number in range(4)]
    for figure in (one, four):
        assert figure.numbers["ratio"]
    assert float(one.numbers["plain"]) < float(four.numbers["plain"])
    assert again.note.startswith("plain ")
    assert not any(figure.wrong for figure in lines)
    assert "lora" in str(context._plain.get_list_adapters()["unet"])
    assert not context.plain.get_list_adapters()


def test_gaps_are_those_of_the_unet_alone(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    kernels = [(0, 6), (8, 10)]
    events = [
        SimpleNamespace(
            time_range=SimpleNamespace(start=start, end=end), device_type=DeviceType.CUDA
        )
        for start, end in kernels
    ]

    @contextmanager
    def profile(**_: Any) -> Iterator[Any]:
        calls.clear()
        yield SimpleNamespace(events=lambda: events)

    monkeypatch.setattr(torch.profiler, "profile", profile)
    resident, plain = context.bench.resident, context.plain
    with ExitStack() as hooks:
        for name, module in {
            "ours": resident.denoiser,
            "plain": plain.unet,
            "decoder": resident.vae.decoder,
            "plain decoder": plain.vae.decoder,
        }.items():
            hook = module.register_forward_hook(lambda *_, name=name: calls.append(name))
            hooks.callback(hook.remove)
        for figure, name in zip(requests.gaps(context), ("ours", "plain"), strict=True):
            assert calls == [name] * requests.CALLS
            assert figure.numbers["share"] == pytest.approx(0.2)


def test_four_images_are_compared_with_a_batch_of_plain(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[dict[str, Any]] = []
    paint_plain = Bench.paint_plain

    def painting(self: Bench, pipeline: Any, request: Any, **more: Any) -> Any:
        painted.append(more)
        return paint_plain(self, pipeline, request, **more)

    monkeypatch.setattr(Bench, "paint_plain", painting)
    (figure,) = requests.counts(context, 4)
    assert figure.numbers["ratio"]
    assert painted == [{"num_images_per_prompt": 4}] * 2


def test_another_process_has_the_same_bytes(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exactness, "alone", lambda *_: "other bytes")
    (alone,) = exactness.in_a_new_process(context)
    assert alone.wrong
    digest = exactness._digest(context)
    for said, wrong in ((digest, False), ("other bytes", True)):
        exactness._kept(context, 1).write_text(said, encoding="utf-8")
        (figure,) = exactness.in_a_new_process(context)
        assert figure.wrong == wrong
    exactness._kept(context, 1).unlink()


def changed(capture: Any) -> Any:
    """`capture` with a replay that gives other bits."""

    def captured(self: Cuda, call: Any) -> Any:
        result, replay = capture(self, call)
        return result, lambda: (replay(), result.add_(0.25))

    return captured


def test_a_graph_of_other_bits_fails_its_row(
    context: Context, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cuda, "capture", changed(Cuda.capture))
    with pytest.raises(RuntimeError, match="given up: a CUDA graph gives other bits"):
        measured(context, "graph")
    monkeypatch.setattr(Graphs, "_proven", lambda *_: True)
    figures = measured(context, "graph")
    assert figures["graph: same bytes as ours eager"].wrong
    assert not figures["graph: ours eager has its bytes again afterwards"].wrong
    wrong = [figure.wrong for figure in exactness.graphed(context)]
    assert wrong == [True] * 6


def test_graphs_give_eager_bytes_while_models_and_adapters_change(
    context: Context, cuda: FakeCuda
) -> None:
    found = list(exactness.graphed(context))
    assert [figure.value for figure in found] == ["yes"] * 6
    assert "captured" in cuda.log


def test_compiled_code_is_captured_and_measured_as_such(
    context: Context, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "Kernels", lambda _: Compiled())
    figures = measured(context, "compiled-graph")
    assert cuda.log.count("captured") == 1, "once, not for each of the runs"
    assert not any(figure.wrong for figure in figures.values())


def test_what_is_not_compiled_is_not_measured_as_compiled(
    context: Context, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "Kernels", lambda _: Compiled([]))
    with pytest.raises(RuntimeError, match="nothing was compiled"):
        measured(context, "compiled-graph")
    another = Compiled([Shape(2, 77, 8, 8)])
    monkeypatch.setattr(candidates, "Kernels", lambda _: another)
    with pytest.raises(RuntimeError, match="compiled code did not run: the recipe says 'eager'"):
        measured(context, "compiled-graph")
    monkeypatch.setattr(context.bench.painter, "_kernels", Compiled())
    context.paint()
    with pytest.raises(RuntimeError, match="eager code did not run: the recipe says 'compiled'"):
        measured(context, "fused-qkv")


def test_a_capture_that_fails_leaves_the_bytes(context: Context, cuda: FakeCuda) -> None:
    with pytest.raises(RuntimeError, match="meant to fail and did not"):
        list(exactness.failed_capture(context))
    cuda.fail_at = "end"
    figure, drawn, pinned = exactness.failed_capture(context)
    assert (figure.value, figure.note, figure.wrong) == ("yes", "capture was invalidated", False)
    assert [(each.value, each.wrong) for each in (drawn, pinned)] == [("works", False)] * 2
    assert cuda.stream is cuda.default
    assert not cuda.allocating


@pytest.mark.parametrize("row", ["request", "candidate", "engine", "adapters"])
def test_texts_are_encoded_in_every_timed_run(
    context: Context, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    """Plain diffusers remembers none of them: both texts, by both encoders. Ours may remember the
    negative prompt where a set comes again with another prompt."""
    bench, time, encoded, timed = context.bench, side_by_side.seconds, [0], list[int]()
    context.paint()

    def count(*_: object) -> None:
        encoded[0] += 1

    def taken_by(work: Any) -> float:
        before = encoded[0]
        taken = time(work)
        timed.append(encoded[0] - before)
        return taken

    for module in (side_by_side, requests):
        monkeypatch.setattr(module, "seconds", taken_by)
    measures: dict[str, Any] = {
        "request": lambda: list(requests.request(context)),
        "candidate": lambda: list(requests.candidate(context, "fused-qkv")),
        "engine": lambda: request_end_to_end(bench, context.plain, 2, 1),
        "adapters": lambda: adapters._loaded(adapters.again, bench, context.plain, 1),
    }
    _ = context.plain
    with ExitStack() as hooks:
        resident = bench.resident
        for network in (resident.network, partial(getattr, context.plain)):
            for name in resident.family.text_encoders:
                hooks.callback(network(name).register_forward_hook(count).remove)
        measures[row]()
    assert len(timed) >= 2
    assert set(timed) == ({2, 4} if row == "adapters" else {4})


def test_the_seconds_of_every_stage_are_found(context: Context) -> None:
    found = {figure.what: figure for figure in requests.stages(context)}
    stages = ("text encoding", "UNet", "VAE decode")
    assert all(found[stage].numbers["seconds"] for stage in stages)
    assert found["UNet"].note.startswith(f"{context.steps} × ")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is hashed, as HashCache keeps it."""
    keys: list[str] = []
    note = HashCache._note

    def noted(self: HashCache, found: Any) -> None:
        keys.extend(found)
        note(self, found)

    monkeypatch.setattr(HashCache, "_note", noted)
    return keys


def test_a_model_is_hashed_once_for_all_processes(tmp_path: Path, hashed: list[str]) -> None:
    options: Any = SimpleNamespace(shape=TINY, weights=tmp_path, device="cpu", repeat=1, steps=2)
    for first in (True, False):
        with bench_model.opened(options, KEYS) as bench:
            for key in KEYS:
                bench.paint(bench.request(steps=1, model=key))
        assert bool(hashed) == first
        hashed.clear()


def test_a_cold_file_is_beside_the_results_and_not_hashed(
    context: Context, hashed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {**vars(context.options), "out": tmp_path / "results", "memory": "full"}
    monkeypatch.setattr(context, "options", SimpleNamespace(**given))
    monkeypatch.setattr(switching, "in_memory", lambda _: False)
    for key in KEYS:
        context.bench.paint(context.request(steps=1, model=key))
    hashed.clear()
    seen: list[list[str]] = []
    monkeypatch.setattr(
        cold,
        "_forget",
        lambda files: seen.append([path.name for path in tmp_path.iterdir()]),
    )
    (figure,) = switching.from_disk(context)
    assert figure.value.endswith(" s")
    assert not hashed
    assert seen[0] == ["results.large"]
    assert not [*tmp_path.iterdir()]


def test_the_vae_is_timed_in_each_precision(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(decoding.WAYS, "fp16, scaled")  # slow on a CPU
    figures = list(decoding.vae(context))
    assert [figure.what for figure in figures] == list(decoding.WAYS)
    unmeasured = {figure.what for figure in figures if not figure.numbers}
    assert unmeasured == decoding.FP32_ON_CPU
