"""The call for the families beside SDXL: its rows with a tiny model, and what they conclude."""

import argparse
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from benchmarks.gpu.families import exactness, halves, memory, requests, standing, stock
from benchmarks.gpu.families.__main__ import BUDGET, main
from benchmarks.gpu.families.bench import Bench, Painted, hashes_file
from benchmarks.gpu.families.context import Context, opened
from benchmarks.gpu.families.models import BY_KEY, MODELS
from benchmarks.gpu.families.peak import Peak
from benchmarks.gpu.families.rows import MEASURES, PLANNED, planned, rows_of
from benchmarks.gpu.families.rows import USUAL as USUAL_FAMILIES
from benchmarks.gpu.families.standing import USUAL, Way, on_card, parked, streamed
from benchmarks.gpu.families.watching import Watch
from benchmarks.gpu.row import Figure
from bot.engine import memory as plans
from bot.engine.families import float16
from bot.engine.families.zimage import clamping
from bot.engine.hashing import HashCache
from bot.engine.memory import Profile
from bot.errors import JobFailed
from catalog.families import FAMILIES
from tests.engine.families.chroma.stock import exact
from tests.parameters import mostly_long
from tools.untrained import anima, chroma, flux1, flux2, krea2, sd15, zimage

Figures = dict[str, Figure]
ROOM = {**plans.ROOM}
"""As it is but while a context is open."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Z-Image, which has every way of being on a card."""
    yield from _context(tmp_path_factory.mktemp("weights"), "zimage")


def _context(weights: Path, key: str) -> Iterator[Context]:
    options = argparse.Namespace(family=[key], quick=True, weights=weights, device="cpu", repeat=1)
    before = {**plans.ROOM}
    with opened(options) as context:
        yield context
    assert before == plans.ROOM


def by_what(figures: Iterator[Figure]) -> Figures:
    return {figure.what: figure for figure in figures}


def test_every_family_but_sdxl_is_measured() -> None:
    assert {*BY_KEY} == {*FAMILIES} - {"sdxl"}


def test_all_is_planned_for_eight_minutes() -> None:
    assert sum(planned(key, rows_of(key)) for key in USUAL_FAMILIES) <= BUDGET == 480
    assert all(planned(key, rows_of(key)) <= BUDGET for key in PLANNED)
    assert planned("flux2", ()) == 0
    assert planned("flux2", rows_of("flux2", ["memory"])) < planned("flux2", rows_of("flux2"))


def test_the_list_without_torch_is_that_of_the_models() -> None:
    assert [*PLANNED] == [model.key for model in MODELS]
    for model in MODELS:
        kinds = {*MEASURES} - (set() if model.swelling else {"beyond float16"})
        assert PLANNED[model.key].kinds.keys() == kinds
    assert all(callable(measure.function) for measure in MEASURES.values())


def test_rows_are_of_a_family_and_caps_have_a_process_of_their_own() -> None:
    names = [row.name for key in PLANNED for row in rows_of(key)]
    assert len({*names}) == len(names) == len(MODELS) * len(MEASURES) - 1
    assert "sd15: beyond float16" not in names
    processes = [(row.name, row.process) for row in rows_of("anima")]
    assert processes[0] == ("anima: memory", "memory")
    assert {process for _, process in processes[1:]} == {""}


PUBLISHED = {
    flux2: {"transformer": 3.88, "text_encoder": 4.02},
    zimage: {"transformer": 6.15, "text_encoder": 4.02},
    anima: {"transformer": 1.96, "text_conditioner": 0.13, "text_encoder": 0.60},
    sd15: {"unet": 0.86, "text_encoder": 0.12},
    chroma: {"transformer": 8.90, "text_encoder": 4.76},
    flux1: {"transformer": 11.90, "text_encoder": 0.12, "text_encoder_2": 4.76},
    krea2: {"transformer": 12.82, "text_encoder": 4.44},
}
"""10⁹ parameters of each published network."""


@pytest.mark.long
@pytest.mark.parametrize("untrained", PUBLISHED, ids=lambda module: module.__name__)
def test_true_sizes_are_those_of_the_published_models(
    untrained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the meta device; the weights are not drawn. Their configurations are such as it reads."""
    from bot.engine.subject import Subject
    from tools.untrained import filling

    monkeypatch.setattr(filling, "fill", lambda *_: None)
    pipeline = untrained.pipeline(untrained.TRUE, like=filling.Like("meta"))
    counted = {
        name: sum(each.numel() for each in getattr(pipeline, name).parameters()) / 1e9
        for name in PUBLISHED[untrained]
    }
    assert counted == pytest.approx(PUBLISHED[untrained], abs=0.01)
    (model,) = (each for each in MODELS if each.untrained is untrained)
    subject = Subject("model", "x", lambda _: None, lambda: None)
    for name in model.family.networks:
        part = getattr(pipeline, name)
        config = part.config.to_dict() if hasattr(part.config, "to_dict") else {**part.config}
        config = json.loads(json.dumps(config))
        model.family.build(name, model.family.checked_config(name, config, subject))


def test_its_files_are_hashed_and_written_once(context: Context) -> None:
    folder = context.bench.folder
    hashes = HashCache(hashes_file(folder))
    files = [*folder.rglob("*.safetensors")]
    assert len(files) == 3
    assert all(hashes.whole(file) for file in files)
    times = [file.stat().st_mtime_ns for file in files]
    (again,) = [next(_context(folder.parent, "zimage"))]
    again.close()
    assert [file.stat().st_mtime_ns for file in files] == times


@pytest.mark.long
def test_the_same_bytes_in_every_way(context: Context) -> None:
    found = by_what(exactness.exact(context))
    assert not [figure for figure in found.values() if figure.wrong]
    in_8 = ("8 bits", "8 bits, streamed, as on 8gb")
    ways = ("whole", "parked, as on 16gb", "streamed, as on 8gb", *in_8)
    for way in ways:
        assert found[f"{way}: same bytes twice, a LoRA and none in turns"].value == "yes"
        ratio = found[f"{way}: a step with a LoRA of rank 32 on every matrix ÷ without"]
        assert ratio.numbers["ratio"]
    for way in ways[1:3]:
        assert found[f"{way}: bytes of whole"].value == "yes"
        assert found[f"{way}: bytes of whole, with a LoRA"].value == "yes"
    for with_it in ("", ", with a LoRA"):
        assert found[f"{in_8[1]}: bytes of 8 bits{with_it}"].value == "yes"
    assert len(found) == 2 * len(ways) + 6


@pytest.mark.long
def test_other_bytes_are_wrong(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    paint, numbers = Bench.paint, iter(range(100))

    def other(self: Bench, *args: Any) -> Painted:
        painted = paint(self, *args)
        image = painted.image
        image.putpixel((0, 0), (next(numbers), 0, 0))
        return painted

    monkeypatch.setattr(Bench, "paint", other)
    monkeypatch.setattr(Painted, "digest", property(lambda self: self.image.tobytes()))
    found = by_what(exactness.exact(context))
    assert [figure.what for figure in found.values() if figure.value == "no"] == [
        what for what in found if "bytes" in what
    ]
    assert all(figure.wrong for figure in found.values() if figure.value == "no")


@pytest.mark.long
def test_a_lora_that_does_nothing_shows_nothing(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Bench.request
    monkeypatch.setattr(Bench, "request", lambda self, lora=False, **more: request(self, **more))
    with pytest.raises(RuntimeError, match="the LoRA changed nothing"):
        list(exactness.exact(context))


@pytest.mark.long
def test_a_model_that_is_there_in_another_way_fails_its_row(context: Context) -> None:
    wrong = Way("streamed, they say", Profile.FULL, "full", standing.STREAMED)
    with pytest.raises(RuntimeError, match="the denoiser is there whole, not streamed"):
        exactness._found(context, wrong)


@pytest.mark.long
def test_the_engine_is_afterwards_as_it_was(context: Context) -> None:
    bench = context.bench
    before = bench.paint(bench.request(steps=2)).digest
    way = streamed(bench.model)
    assert way
    with standing.standing(bench, way):
        painted = bench.paint(bench.request(steps=2))
        assert painted.painting.recipe.environment["memory"] == Profile.GB8.value
    after = bench.paint(bench.request(steps=2))
    assert after.painting.recipe.environment["memory"] == Profile.FULL.value
    assert before == painted.digest == after.digest
    USUAL.check(bench)


def test_ways_are_those_that_the_families_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile, left in ROOM.items():
        monkeypatch.setitem(plans.ROOM, profile, left)
    found = {
        key: {way.name for profile in memory.CAPS for way in on_card(model, profile)}
        for key, model in BY_KEY.items()
    }
    whole = {f"{size}gb, whole" for size in (8, 11, 16)}
    eleven = {"11gb, 8 bits", "11gb, streamed"}
    assert found == {
        "flux2": {"8gb, 8 bits", "8gb, streamed", "11gb, whole", "16gb, whole"},
        "zimage": {"8gb, 8 bits, streamed", "8gb, streamed", *eleven, "16gb, whole"},
        "anima": whole,
        "sd15": whole,
        "chroma": {
            *("8gb, 8 bits, streamed", "8gb, streamed", "11gb, 8 bits, streamed", "11gb, streamed"),
            *("16gb, 8 bits", "16gb, streamed"),
        },
        "flux1": {
            f"{size}gb, {how}" for size in (8, 11, 16) for how in ("8 bits, streamed", "streamed")
        },
        "krea2": {
            f"{size}gb, {kind}" for size in (8, 11, 16) for kind in ("8 bits, streamed", "streamed")
        },
    }
    assert {key: (way := parked(model)) and way.profile for key, model in BY_KEY.items()} == {
        "flux2": Profile.GB11,
        "zimage": Profile.GB16,
        "anima": Profile.GB8,
        "sd15": Profile.GB8,
        "chroma": None,
        "flux1": None,
        "krea2": None,
    }
    large = {"flux2", "zimage", "flux1", "chroma", "krea2"}
    assert {key for key, model in BY_KEY.items() if streamed(model)} == large
    in_8 = {key for key, model in BY_KEY.items() if standing.streamed_in_eight_bits(model)}
    assert in_8 == {"zimage", "flux1", "chroma", "krea2"}


@pytest.mark.long
def test_each_card_is_painted_on_under_its_cap(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    caps: list[float] = []

    @contextmanager
    def capped(gibibytes: float) -> Iterator[None]:
        caps.append(gibibytes)
        yield

    monkeypatch.setattr(memory, "capped", capped)
    found = [*memory.memory(context)]
    assert caps == [7.0, 7.0, 9.3, 9.3, 14.3]
    assert [figure.value for figure in found[1:]] == ["fits"] * 5
    assert not any(figure.wrong for figure in found)
    assert all(figure.numbers["ratio"] for figure in found[1:])


@pytest.mark.parametrize("times", mostly_long([1, 2], usual=0))
def test_a_model_that_runs_out_of_memory_does_not_fit(
    context: Context, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Whether or not the engine then succeeds in another way."""
    from bot.engine import passes

    denoise: Any = vars(passes)["denoise"]
    failed: list[bool] = []

    def full(*args: Any) -> Any:
        if len(failed) < times:
            failed.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoise(*args)

    monkeypatch.setattr(passes, "denoise", full)
    way = Way("11gb, whole", Profile.GB11, "int8", standing.EIGHT_BITS)
    figure = memory._on(context, way, 9.3, 1.0)
    assert (figure.value, figure.wrong) == ("does not fit", True)
    assert figure.note.startswith("painted as on 8gb" if times == 1 else "memory.out")


def test_another_failure_fails_the_row(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def black(*_: Any) -> Any:
        raise JobFailed("image.black", model="x")

    monkeypatch.setattr(Bench, "paint", black)
    with pytest.raises(JobFailed):
        memory._on(context, USUAL, 9.3, 1.0)


def test_peaks_are_without_what_others_have(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peak() as peak:
        pass
    assert (str(peak), peak.numbers) == ("memory not measured", {})
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: asked.append("reset"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 4 * 2**30)
    with Peak(less=2**30) as peak:
        assert asked == ["reset"]
    assert str(peak) == "2.00 GiB allocated, 3.00 reserved"
    assert peak.numbers == {"allocated": 2.0 * 2**30, "reserved": 3.0 * 2**30}


@pytest.mark.long
def test_float16_is_finite_and_who_is_not_is_named(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (figure,) = halves.finite(context)
    assert (figure.value, figure.wrong) == ("yes", False)
    assert "transformer float16, text_encoder bfloat16, vae float32" in figure.note
    module = context.half.resident.denoiser.layers[1].feed_forward
    hook = module.register_forward_hook(lambda *args: args[-1] * float("inf"))
    try:
        (figure,) = halves.finite(context)
    finally:
        hook.remove()
    assert (figure.value, figure.wrong) == ("no", True)
    assert "first not finite: transformer.layers.1.feed_forward;" in figure.note
    assert "image.diverged" in figure.note


@pytest.mark.long
def test_beyond_float16_what_holds_it_is_needed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgrown, held = halves.beyond(context)
    assert float(outgrown.numbers["largest"]) > halves.LIMIT
    assert (held.value, held.wrong) == ("yes", False)
    assert "held within: transformer.layers.0.feed_forward.w2" in held.note
    monkeypatch.setattr(clamping, "clamped", lambda values: values)
    _, held = halves.beyond(context)
    assert (held.value, held.wrong) == ("no", True)
    monkeypatch.undo()
    assert clamping.__dict__["clamped"] is float16.clamped
    bench = context.bench
    bench.paint(bench.request(steps=2))
    before, _ = bench.resident.denoiser.layers[0].feed_forward.w1.weight.aminmax()
    assert abs(float(before)) < 2, "the weights are pristine again"


def test_weights_that_nothing_is_called_fail_the_row(context: Context) -> None:
    with pytest.raises(RuntimeError, match="no weight is called nothing"):
        halves._outgrown(context, "nothing")


def test_the_largest_and_the_first_that_is_not_finite() -> None:
    class Twice(torch.nn.Module):
        def forward(self, given: torch.Tensor, *, attention_mask: torch.Tensor) -> Any:
            return {"found": [given * 2, attention_mask.bool()]}

    network = torch.nn.ModuleDict({"inner": Twice()})
    mask = torch.full((2,), float("-inf"))
    with Watch({"net": network}) as watch:
        network["inner"](torch.tensor([-40.0, 1.0]), attention_mask=mask)
        network["inner"](torch.tensor([3e38, 1.0]), attention_mask=mask)
    assert watch.largest[0] == pytest.approx(3e38)
    assert (watch.largest[1], watch.broken) == ("net.inner, its input", ["net.inner"])
    with Watch({"net": network}) as watch:
        network["inner"](torch.tensor([-40.0, 1.0]), attention_mask=mask)
    assert (watch.largest, watch.broken) == ((80.0, "net.inner"), [])
    assert not network["inner"]._forward_hooks


@pytest.mark.long
def test_a_request_is_compared_with_the_stock_pipeline(context: Context) -> None:
    plain, ours, apart = requests.request(context)
    assert plain.what == "stock diffusers, bfloat16, torch's own settings"
    assert ours.numbers["ratio"]
    assert ours.numbers["step"]
    assert apart.numbers["farthest"] == 0
    assert context._plain is None


@pytest.mark.long
@pytest.mark.parametrize("key", [key for key in BY_KEY if key != "zimage"])
def test_every_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """In one process, which takes less time than the call."""
    if key == "chroma":  # whose stock pipeline gives other images without it
        loaded = stock._loaded
        monkeypatch.setattr(stock, "_loaded", lambda *args, **more: exact(loaded(*args, **more)))
    for context in _context(tmp_path, key):
        found = {row.name: [*row.measure(context)] for row in rows_of(key)}
        assert all(found.values())
        assert not [f for figures in found.values() for f in figures if f.wrong]
        # Of what was made in 16 bits, images need not be equal. The stock pipeline of Krea 2 rounds
        # the noise levels to 16 bits, too, which is much to untrained weights.
        most = 130 if key == "krea2" else 40
        assert float(found[f"{key}: request"][-1].numbers["farthest"]) < most


@pytest.mark.long
def test_a_quick_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    weights = tmp_path / "weights"
    monkeypatch.setattr("benchmarks.gpu.families.__main__.weights_folder", lambda _: weights)
    given = ["--quick", "--out", str(tmp_path), "--device", "cpu"]
    given += ["--family", "sd15", "flux2", "--only", "request", "memory"]
    assert main(given) == 0
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "families.json").read_text(encoding="utf-8"))
    rows = {name: row["state"] for name, row in written["rows"].items()}
    assert rows == {
        f"{key}: {kind}": "done" for key in ("flux2", "sd15") for kind in ("request", "memory")
    }
    assert "tiny" in written["facts"]["FLUX.2 klein"]
    assert (tmp_path / "families.md").read_text(encoding="utf-8") in printed
    assert not weights.exists()
    assert "| flux2: memory | 8gb, streamed, not capped without CUDA | fits |" in printed


def test_a_slow_family_leaves_the_others_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And each finds no files of the one before it."""
    budgets: list[float] = []
    weights = tmp_path / "weights"
    weights.mkdir()

    class Idle:
        outcomes: ClassVar[dict[str, Any]] = {}
        facts: ClassVar[dict[str, Any]] = {}

        def __init__(self, *_: Any, budget: float, **__: Any) -> None:
            budgets.append(budget)
            assert not [*weights.iterdir()]

        def run(self) -> None:
            (weights / MODELS[len(budgets) - 1].key).mkdir()
            (weights / f"{MODELS[len(budgets) - 1].key}-complete").touch()

    call = "benchmarks.gpu.families.__main__"
    monkeypatch.setattr(f"{call}.Supervisor", Idle)
    monkeypatch.setattr(f"{call}.weights_folder", lambda _: weights)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(["--out", str(tmp_path), "--budget", "450"]) == 1, "no row was run"
    times = [planned(key, rows_of(key)) for key in USUAL_FAMILIES]
    expected = [max(450 - sum(times[number:]), 0) for number in range(1, 1 + len(times))]
    assert budgets == pytest.approx(expected, abs=5)
    assert budgets[-1] > 440
    assert "| zimage: bytes | – | **pending** |" in capsys.readouterr().out
    assert not weights.exists()
