"""Recordings of compiled code: proven before they are used, and let go of with the memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from bot.engine.graphs import RECORDINGS_MAX, CudaGraphs, Recordings
from bot.engine.kernels import Kernels
from tests.engine.factories import catalog, digests, kohya_lora, paint, request, resident

Call = Callable[[], torch.Tensor]


class Tape:
    """Does what a CUDA graph does: the same work, from and into the same memory."""

    def __init__(self) -> None:
        self.recorded = self.played = self.forgotten = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.recorded, self.played, self.forgotten

    def record(self, call: Call) -> tuple[torch.Tensor, Callable[[], object]]:
        self.recorded += 1
        result = call().clone()

        def play() -> None:
            self.played += 1
            result.copy_(call())

        return result, play

    def forget(self) -> None:
        self.forgotten += 1


class Frozen(Tape):
    """As when a kernel's input was baked into the graph."""

    def record(self, call: Call) -> tuple[torch.Tensor, Callable[[], object]]:
        return super().record(call)[0], lambda: None


class Failing(Tape):
    def record(self, call: Call) -> tuple[torch.Tensor, Callable[[], object]]:
        self.recorded += 1
        raise RuntimeError("operation not permitted when stream is capturing")


def double(given: torch.Tensor, *, scale: torch.Tensor, flag: bool) -> tuple[torch.Tensor]:
    assert flag
    return (given * scale,)


def made(recordings: Recordings, key: object = "key") -> None:
    recordings.make(key, double, (torch.ones(3),), {"scale": torch.tensor(2.0), "flag": True})


def test_it_computes_with_what_it_is_given() -> None:
    recordings = Recordings(tape := Tape())
    made(recordings)
    recording = recordings.of("key")
    assert recording
    first = recording(torch.full((3,), 5.0), scale=torch.tensor(3.0), flag=True)[0]
    recording(torch.zeros(3), scale=torch.tensor(3.0), flag=True)
    assert first.tolist() == [15.0] * 3, "the next call must not write into the last one's result"
    made(recordings)
    assert tape.recorded == 1


@pytest.mark.parametrize(
    ("tape", "said"), [(Frozen(), "gives other bits"), (Failing(), "cannot be recorded")]
)
def test_one_that_is_not_the_code_is_not_used(
    tape: Tape, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = Recordings(tape)
    made(recordings)
    made(recordings)
    assert recordings.of("key") is None
    assert caplog.text.count(said) == 1, "it is tried once"


def test_without_a_recorder_nothing_is_recorded() -> None:
    recordings = Recordings(None)
    made(recordings)
    recordings.forget()
    assert recordings.of("key") is None


def test_few_are_kept() -> None:
    recordings = Recordings(Tape())
    for key in range(RECORDINGS_MAX + 1):
        made(recordings, key)
    assert [recordings.of(key) is None for key in (0, 1, RECORDINGS_MAX)] == [True, False, False]


def test_weights_that_moved_make_it_void() -> None:
    recordings = Recordings(tape := Tape())
    module = torch.nn.Linear(2, 2)
    recordings.look(module)
    made(recordings)
    recordings.look(module)
    assert recordings.of("key")
    module.weight = torch.nn.Parameter(module.weight.detach().clone())
    module.bias = torch.nn.Parameter(module.bias.detach().clone())
    recordings.look(module)
    assert recordings.of("key") is None
    assert tape.forgotten == 2


def engine_with(recorder: Any, models_dir: Path, folder: Path, **options: Any) -> Engine:
    """One that compiles, as far as it can be without a C compiler, and records."""
    engine = Engine(
        models_dir=models_dir,
        hashes_file=folder / "h.json",
        compiled=True,
        memory="full",
        **options,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.engine.kernels.Kernels", lambda *_: Kernels("eager", recorder))
        engine.warm_up()
    return engine


def compiled(engine: Engine) -> None:
    painter: Any = engine._painter
    painter._kernels.wait()


def test_one_recording_outlives_every_switch(
    models_dir: Path, tmp_path: Path, engine: Engine
) -> None:
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    recording = engine_with(tape := Tape(), models_dir, tmp_path)
    first = request(steps=3)
    paint(recording, first, offered)
    compiled(recording)
    for one in (request(width=72, steps=3), request(kernels="eager", steps=3)):
        paint(recording, one, offered)
    assert tape.counts[:2] == (0, 0), "what is not compiled is not recorded"
    wanted = [
        first,
        request(("a", 0.7), steps=3, prompt="a castle", seed=5),
        request(steps=3, model="other", negative="fog"),
        first,
    ]
    for one in wanted:
        played = tape.played
        painting = paint(recording, one, offered)
        assert painting.recipe.environment["kernels"] == "compiled"
        assert tape.played > played
        assert digests(painting) == digests(paint(engine, one, offered))
    # Two prove it, while the code paints one step.
    assert tape.counts[:2] == (1, 2 + 4 * 3 - 1)
    before = tape.forgotten
    recording.rest()
    assert tape.forgotten > before, "it holds memory of the device"
    assert digests(paint(recording, first, offered)) == digests(paint(engine, first, offered))
    assert tape.counts[0] == 2
    recording.close()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a CUDA device")
def test_cuda_graphs_give_the_bits_of_the_code(models_dir: Path, tmp_path: Path) -> None:
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    wanted = [request(steps=3), request(("a", 0.7), steps=3), request(steps=3, model="other")]
    found = []
    for recorder in (None, CudaGraphs()):
        engine = engine_with(recorder, models_dir, tmp_path, device="cuda")
        paint(engine, wanted[0], offered)
        compiled(engine)
        found.append([digests(paint(engine, one, offered)) for one in wanted])
        if recorder:
            module = resident(engine).unet
            kernels: Any = engine._painter
            choice = kernels._kernels.choose(module, None)
            assert [choice.recordings.of(shape) is not None for shape in choice.ready].count(True)
        engine.close()
    assert found[0] == found[1]
