"""What holds for an engine wherever it is. Whatever ends one comes last."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest

from bot.errors import EngineLost, JobFailed, Loss, PaintStopped, StopReason
from bot.order import Order
from bot.painting import PaintedImage, Painting
from bot.progress import Progress, Stage
from bot.recipe import place_id
from bot.request import Describe, Hires, InitImage
from bot.wire.options import EngineOptions
from bot.worker.engine import ImageEngine
from catalog import AdapterEntry, DescriberEntry
from tests.conformance import faults
from tests.conformance.engines import Row
from tests.conformance.faults import named
from tests.engine.factories import catalog, digests, kohya_lora, model, ordered, picture, request
from tests.parameters import mostly_long

Expected = Callable[[Order], Painting]


HERE = "it is in this process, which goes with it"
"""Why an engine that cannot be renewed has nothing to show."""


def ignored(_: object) -> None:
    """Neither reports nor images are of interest."""


def never() -> None:
    """Nothing stops it."""


def paint(engine: ImageEngine, order: Order) -> Painting:
    return engine.paint(order, ignored, never, ignored)


@pytest.fixture
def order() -> Order:
    return ordered(request())


@pytest.fixture(scope="session")
def lora(options: EngineOptions) -> Path:
    return kohya_lora(options.models_dir / "ink.safetensors")


def test_it_generates_the_same_bytes(engine: ImageEngine, expected: Expected, lora: Path) -> None:
    offered = catalog(ink=lora)
    for wanted in (
        request(),
        request(("ink", 0.7), seed=2**32 - 1, count=2),
        request(init_image=InitImage(picture(), 0.6), hires=Hires(1.5, 0.5, 4)),
        request(model="other"),
    ):
        order = ordered(wanted, offered)
        painting, plain = paint(engine, order), expected(order)
        assert painting.recipe == plain.recipe
        assert painting.warnings == plain.warnings
        assert [image.seed for image in painting.images] == [i.seed for i in plain.images]
        assert digests(painting) == digests(plain)
        for image, other in zip(painting.images, plain.images, strict=True):
            assert image.image.tobytes() == other.image.tobytes()
        assert engine.loaded == wanted.model


def test_it_writes_the_same_words(
    engine: ImageEngine, expected: Expected, options: EngineOptions
) -> None:
    from tools.untrained import florence2

    florence2.write(options.models_dir / "sees", florence2.module())
    offered = replace(catalog(), describer=DescriberEntry(path="sees"))
    asked = request(model="", steps=0, scheduler="", describe=Describe(picture(), "short"))
    order = ordered(asked, offered)
    painting, plain = paint(engine, order), expected(order)
    assert painting.words
    assert (painting.words, painting.images) == (plain.words, ())
    assert painting.recipe == plain.recipe


def test_its_environment_is_that_of_its_recipes_before_the_first(
    engine: ImageEngine, row: Row, order: Order
) -> None:
    engine.warm_up()
    told = engine.environment
    assert told.ids or row.remote, "a worker tells of it the next time that it says something"
    assert order.model is not None
    here = place_id(paint(engine, order).recipe.environment, order.model.family.key)
    assert here in told.ids or not told.ids


def test_reports_previews_and_images_come_in_order(engine: ImageEngine, row: Row) -> None:
    seen: list[Progress] = []
    images: list[tuple[int, PaintedImage]] = []

    def painted(image: PaintedImage) -> None:
        images.append((len(seen), image))

    wanted = ordered(request(steps=3, count=2))
    painting = engine.paint(wanted, seen.append, never, painted)
    steps = [(p.image, p.step) for p in seen if p.stage is Stage.PAINTING]
    every = [(i, s) for i in (1, 2) for s in range(4)]
    assert set(steps) <= set(every) if row.remote else list(dict.fromkeys(steps)) == every
    assert steps == sorted(steps)
    previews = [(p.image, p.preview) for p in seen if p.preview]
    assert row.remote or [image for image, _ in previews] == [1, 1, 2, 2]
    for _, preview in previews:
        with PIL.Image.open(io.BytesIO(preview or b"")) as jpeg:
            assert (jpeg.format, jpeg.size) == ("JPEG", (256, 256))
    assert tuple(image for _, image in images) == painting.images
    if not row.remote:
        assert seen[images[0][0] - 1].image == 1, "the first is there before the second is begun"


def test_previews_can_be_turned_off_between_two_jobs(engine: ImageEngine, order: Order) -> None:
    seen: list[Progress] = []
    engine.preview_interval = None
    try:
        engine.paint(order, seen.append, never, ignored)
    finally:
        engine.preview_interval = 0
    assert seen
    assert not any(progress.preview for progress in seen)


@pytest.mark.parametrize("reason", mostly_long(StopReason, usual=[StopReason.CANCELLED]))
def test_a_stop_ends_it_at_the_next_step(
    engine: ImageEngine, expected: Expected, order: Order, reason: StopReason
) -> None:
    """Whether it was cancelled, its time is up, or the bot ends."""
    seen: list[Progress] = []

    def stop_at_three() -> None:
        if any(progress.step == 3 for progress in seen):
            raise PaintStopped(reason)

    gated = named(ordered(request(steps=8)), faults.GATE)
    with pytest.raises(PaintStopped) as stopped:
        engine.paint(gated, seen.append, stop_at_three, ignored)
    assert stopped.value.reason is reason
    assert max(progress.step for progress in seen) == 3
    assert not [progress for progress in seen if progress.stage is Stage.DECODING]
    assert digests(paint(engine, order)) == digests(expected(order))


def test_a_stop_before_the_start_generates_nothing(engine: ImageEngine, order: Order) -> None:
    seen: list[Progress] = []

    def stop() -> None:
        raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        engine.paint(named(order, faults.GATE), seen.append, stop, ignored)
    assert not [progress for progress in seen if progress.step > 3]


def test_out_of_memory_once_is_tried_again_with_less(
    engine: ImageEngine, expected: Expected, order: Order
) -> None:
    painting = paint(engine, named(order, faults.MEMORY_ONCE))
    assert [notice.code for notice in painting.warnings] == ["memory.lowered"]
    assert digests(painting) == digests(expected(order))


def test_out_of_memory_fails_the_job_and_not_the_engine(
    engine: ImageEngine, expected: Expected, order: Order
) -> None:
    paint(engine, order)  # so that it is not the model that does not fit
    with pytest.raises(JobFailed) as failed:
        paint(engine, named(order, faults.MEMORY))
    assert failed.value.code in {"memory.out", "memory.model"}
    assert digests(paint(engine, order)) == digests(expected(order))


def test_what_is_the_jobs_fault_has_the_same_words(engine: ImageEngine, expected: Expected) -> None:
    gone = ordered(request(model="gone"), catalog([model("gone", "no/such/model.safetensors")]))
    failures = []
    for make in (lambda order: paint(engine, order), expected):
        with pytest.raises(JobFailed) as failed:
            make(gone)
        failures.append((failed.value.code, failed.value.params))
    assert failures[0] == failures[1]


def test_what_nobody_expected_fails_the_job_and_not_the_engine(
    engine: ImageEngine, row: Row, expected: Expected, order: Order
) -> None:
    with pytest.raises(Exception, match=r".") as odd:
        paint(engine, named(order, faults.ODDLY))
    if row.killed is not None:
        assert "KeyError" in str(odd.value)
        assert order.request.prompt not in str(odd.value)
    assert digests(paint(engine, order)) == digests(expected(order))


def test_what_is_fetched_ahead_changes_nothing(
    engine: ImageEngine, expected: Expected, lora: Path
) -> None:
    offered = catalog(ink=lora)
    engine.prefetch([offered.adapters["ink"], AdapterEntry(key="no", name="No", path="no/such")])
    order = ordered(request(("ink", 0.5)), offered)
    assert digests(paint(engine, order)) == digests(expected(order))


def test_a_rest_frees_the_model_and_the_next_job_has_it_again(
    engine: ImageEngine, row: Row, expected: Expected, order: Order
) -> None:
    assert order.model is not None
    engine.preload(order.model, never)
    assert row.remote or engine.loaded == order.model.key
    engine.rest()
    assert digests(paint(engine, order)) == digests(expected(order))
    assert engine.gpu_memory() == ({} if row.remote else faults.GPU_MEMORY)


@pytest.mark.long
def test_a_lost_device_is_lost_until_the_engine_is_renewed(
    engine: ImageEngine, row: Row, expected: Expected, order: Order
) -> None:
    with pytest.raises(EngineLost, match="device-side assert triggered") as lost:
        paint(engine, named(order, faults.DEVICE))
    assert (lost.value.loss, lost.value.sure) == (Loss.DEVICE, True)
    assert engine.renew() == (row.killed is not None)
    assert digests(paint(engine, order)) == digests(expected(order))


@pytest.mark.long
def test_a_call_that_hangs_is_freed_by_renewing(
    engine: ImageEngine, row: Row, expected: Expected, order: Order
) -> None:
    if row.killed is None:
        assert not engine.renew()
        pytest.skip(HERE)
    hanging = threading.Event()

    def report(progress: Progress) -> None:
        if progress.stage is Stage.PAINTING:
            hanging.set()

    with ThreadPoolExecutor(1) as thread:
        order_of_it = named(order, faults.HANG)
        call = thread.submit(engine.paint, order_of_it, report, never, ignored)
        hanging.wait()
        assert engine.renew()
        with pytest.raises(EngineLost):
            call.result()
        again = thread.submit(paint, engine, order).result()
    assert digests(again) == digests(expected(order))


@pytest.mark.long
def test_one_that_is_killed_is_lost_until_it_is_renewed(
    engine: ImageEngine, row: Row, expected: Expected, order: Order
) -> None:
    if row.killed is None:
        pytest.skip(HERE)
    with pytest.raises(EngineLost) as lost:
        paint(engine, named(order, faults.KILLED))
    assert (lost.value.loss, lost.value.sure) == (row.killed, False)
    assert engine.renew()
    assert digests(paint(engine, order)) == digests(expected(order))
