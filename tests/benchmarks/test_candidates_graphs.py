"""CUDA graphs of a denoiser, with CUDA replaced by tapes of operations."""

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.gpu.candidates import graphs
from benchmarks.gpu.candidates.capture import Cuda
from benchmarks.gpu.candidates.graphs import GraphedKernels
from bot.engine.kernels import Kernels, Shape
from tests.benchmarks.fake_cuda import FakeCuda

pytestmark = pytest.mark.long


SHAPE = Shape(1, 77, 64, 64)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 16), torch.nn.Linear(16, 8)
        self.requires_grad_(False)
        self.calls = 0

    def forward(self, x: torch.Tensor, time: torch.Tensor, *, return_dict: bool) -> Any:
        assert not return_dict
        self.calls += 1
        return (self.second(torch.nn.functional.silu(self.first(x)) * time),)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return FakeCuda(monkeypatch)


@pytest.fixture
def kernels(cuda: FakeCuda) -> GraphedKernels:
    return GraphedKernels(Kernels(None), Cuda())


def steps(kernels: GraphedKernels, net: Net, count: int = 5, rows: int = 2) -> list[torch.Tensor]:
    """One pass's predictions, all of them compared with the eager ones."""
    results = []
    with torch.inference_mode():
        call = kernels.choose(net, None).of(SHAPE)
        for number in range(count):
            x = torch.randn(rows, 8, generator=torch.Generator().manual_seed(number))
            time = torch.tensor(1.0 + number)
            results.append(call(x, time, return_dict=False)[0])
        for number, result in enumerate(results):
            x = torch.randn(rows, 8, generator=torch.Generator().manual_seed(number))
            eager = net(x, torch.tensor(1.0 + number), return_dict=False)[0]
            assert torch.equal(result, eager)
    return results


def test_replays_give_the_bits_of_the_kernels(cuda: FakeCuda, kernels: GraphedKernels) -> None:
    net = Net()
    steps(kernels, net)
    # Once for the first step, the warm-up, the capture and the proof; none for the other steps.
    assert net.calls == 4 + 5
    assert cuda.log.count("captured") == 1
    assert cuda.log.count("replay") == 2 + 4
    steps(kernels, net)
    assert cuda.log.count("captured") == 1
    steps(kernels, net, rows=1)
    assert cuda.log.count("captured") == 2


def test_a_replay_sees_weights_that_were_changed_in_place(
    cuda: FakeCuda, kernels: GraphedKernels
) -> None:
    net = Net()
    before = steps(kernels, net)
    net.first.weight.mul_(1.5)
    after = steps(kernels, net)
    assert not torch.equal(before[0], after[0])
    assert cuda.log.count("captured") == 1


@pytest.mark.parametrize("place", ["first", "second"])
def test_moved_weights_are_captured_again(
    cuda: FakeCuda, kernels: GraphedKernels, place: str
) -> None:
    net = Net()
    steps(kernels, net)
    layer, kept = getattr(net, place), getattr(net, place).weight
    layer.weight = torch.nn.Parameter(kept * 2, requires_grad=False)
    steps(kernels, net)
    assert cuda.log.count("captured") == 2


def test_a_reference_of_another_weight_is_captured_again(
    cuda: FakeCuda, kernels: GraphedKernels
) -> None:
    net: Any = Net()
    for scale in (0.5, 0.8):
        net.attn_processors = {"attn2": SimpleNamespace(scale=[scale])}
        steps(kernels, net)
    assert cuda.log.count("captured") == 2


def test_other_settings_of_torch_are_captured_again(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    steps(kernels, net)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark)
    steps(kernels, net)
    assert cuda.log.count("captured") == 2


@pytest.mark.parametrize("place", ["begin", "call", "end"])
def test_a_failed_capture_leaves_eager_kernels_and_no_other_trace(
    cuda: FakeCuda, kernels: GraphedKernels, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    cuda.fail_at = place
    net = Net()
    steps(kernels, net)
    assert kernels.graphs.failure is not None
    assert "RuntimeError" in kernels.graphs.failure
    assert "none are used from now on" in caplog.text
    assert cuda.capturing is None
    assert not cuda.allocating
    assert cuda.stream is cuda.default
    assert gc.isenabled()
    cuda.fail_at = None
    steps(kernels, net, rows=3)
    assert "captured" not in cuda.log


def test_a_device_that_does_not_survive_a_failed_capture_is_reported(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> Any:
        cuda.lost = True
        raise RuntimeError("illegal address")

    monkeypatch.setattr(kernels.graphs._device, "capture", lose)
    with pytest.raises(RuntimeError, match="cannot be synchronised"):
        steps(kernels, Net())


def test_garbage_is_collected_before_a_capture_and_not_within(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    collect = gc.collect

    def collected() -> int:
        seen.append(gc.isenabled())
        return collect()

    monkeypatch.setattr(gc, "collect", collected)
    net = Net()
    hook = net.register_forward_hook(lambda *_: seen.append(gc.isenabled()))
    steps(kernels, net, count=1)
    hook.remove()
    # the step, the warm-up, the collection, the capture, the proof, the comparison
    assert seen == [True, True, True, False, True, True]
    assert gc.isenabled()


def test_nothing_is_captured_while_the_compiler_runs(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, thread = Net(), SimpleNamespace(is_alive=lambda: True)
    monkeypatch.setattr(kernels._kernels, "_thread", thread)
    steps(kernels, net)
    assert "captured" not in cuda.log
    thread.is_alive = lambda: False
    steps(kernels, net)
    assert cuda.log.count("captured") == 1


def test_a_step_waits_for_the_one_before_the_previous(
    cuda: FakeCuda, kernels: GraphedKernels
) -> None:
    steps(kernels, Net(), count=5)
    said = [entry for entry in cuda.log if entry.startswith(("wait", "record"))]
    assert said == ["record", "record", *["wait 1", "record"] * 3]


def test_a_graph_of_other_bits_is_not_used(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = kernels.graphs._device.capture

    def wrong(call: Any) -> Any:
        result, replay = capture(call)
        return result, lambda: (replay(), result.add_(1e-6))

    monkeypatch.setattr(kernels.graphs._device, "capture", wrong)
    steps(kernels, Net())
    assert kernels.graphs.failure == "a CUDA graph gives other bits than its kernels"
    assert kernels.graphs.replays == 0


def test_graphs_are_bounded_and_dropped_together(
    cuda: FakeCuda, kernels: GraphedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "GRAPHS_MAX", 2)
    net = Net()
    for rows in (1, 2, 3):
        steps(kernels, net, rows=rows)
    assert len(kernels.graphs._graphs) == 1
    kernels.forget(net)
    assert not kernels.graphs._graphs
