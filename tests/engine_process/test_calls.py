"""What is asked of an engine process, and what comes back."""

import errno
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.engine_process import ProcessEngine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.log import concerning, job_of
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.recipe import Environment
from bot.request import InitImage
from bot.wire.failures import RaisedElsewhere
from catalog import AdapterEntry
from tests.engine_process.conftest import MODEL, build, order, paint, until
from tests.engine_process.light import AETHER, painting_of
from tests.wire.things import PICTURE, SHA256

CANARY = "acanaryinthecoalmine"


def test_an_order_is_painted(shared: ProcessEngine) -> None:
    seen: list[Progress] = []
    images: list[PaintedImage] = []
    got = paint(shared, report=seen.append, painted=images.append, count=3)
    assert got == painting_of(order(count=3))
    assert tuple(images) == got.images
    assert [(p.image, p.step) for p in seen] == [(i, s) for i in (1, 2, 3) for s in range(3)]
    assert shared.loaded == "demo"


def test_its_pictures_go_along(shared: ProcessEngine) -> None:
    wanted = order()
    request = replace(wanted.request, init_image=InitImage(SHA256, 0.5))
    wanted = replace(wanted, request=request, pictures={SHA256: PICTURE})
    got = shared.paint(wanted, lambda _: None, lambda: None)
    assert got.recipe.request == request


class Stopper:
    """Stops at the first report; counts what comes after that."""

    def __init__(self, reason: StopReason) -> None:
        self.reason = reason
        self.reports = self.checks = 0

    def report(self, _: Progress) -> None:
        self.reports += 1

    def check_stop(self) -> None:
        if self.reports:
            self.checks += 1
            raise PaintStopped(self.reason)


@pytest.mark.parametrize("reason", StopReason)
def test_a_stop_ends_the_call_with_its_reason(shared: ProcessEngine, reason: StopReason) -> None:
    stopper = Stopper(reason)
    with pytest.raises(PaintStopped) as stopped:
        paint(shared, "wait", stopper.report, stopper.check_stop)
    assert stopped.value.reason is reason
    assert stopper.checks == 1
    assert paint(shared).images, "the stop is over"


def test_a_stop_before_the_first_report_ends_it_too(shared: ProcessEngine) -> None:
    checks = 0

    def stop_at_the_third() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise PaintStopped(StopReason.SHUTDOWN)

    slow = MODEL.model_copy(update={"name": "Slow"})
    with pytest.raises(PaintStopped):
        shared.preload(slow, stop_at_the_third)
    assert checks == 3


def test_what_was_done_before_it_heard_of_the_stop_is_kept(shared: ProcessEngine) -> None:
    stopper = Stopper(StopReason.TIMEOUT)
    assert paint(shared, "deaf", stopper.report, stopper.check_stop).images
    assert stopper.checks == 1


def test_what_a_callback_raises_stops_the_call_and_is_raised(shared: ProcessEngine) -> None:
    def report(_: Progress) -> None:
        raise RuntimeError("of the one who asked")

    for prompt in ("wait", "deaf"):
        with pytest.raises(RuntimeError, match="of the one who asked"):
            paint(shared, prompt, report)
    with pytest.raises(RuntimeError, match="of the one who asked"):
        paint(shared, painted=lambda _: report(Progress(Stage.PAINTING)))
    assert paint(shared).images


def test_what_the_engine_raises_is_raised_again(shared: ProcessEngine) -> None:
    with pytest.raises(JobFailed) as failed:
        paint(shared, "fail job")
    assert (failed.value.code, failed.value.params) == ("memory.out", {"width": 8, "height": 8})
    with pytest.raises(OSError, match=r"demo\.safetensors") as unread:
        paint(shared, "fail disk")
    assert unread.value.errno == errno.EIO
    with pytest.raises(RaisedElsewhere, match="KeyError") as odd:
        paint(shared, f"fail oddly {CANARY}")
    assert CANARY not in str(odd.value)
    assert paint(shared).images, "it is as good as ever"


def test_its_environment_is_told_before_the_first_job(engine: ProcessEngine) -> None:
    assert engine.environment == Environment()
    engine.warm_up()
    assert engine.environment == AETHER


def test_what_is_loaded_is_told(shared: ProcessEngine) -> None:
    shared.preload(MODEL.model_copy(update={"key": "other"}), lambda: None)
    assert shared.loaded == "other"
    shared.rest()
    assert shared.loaded is None


def test_the_memory_is_measured_when_asked_even_in_a_call(shared: ProcessEngine) -> None:
    paint(shared)
    assert shared.gpu_memory()["total"] == 24 * 2**30
    told: list[dict[str, int]] = []
    paint(shared, "deaf", lambda _: told.append(shared.gpu_memory()))
    assert told[0]["total"] == 24 * 2**30
    shared.rest()
    with pytest.raises(RaisedElsewhere, match="RuntimeError"):
        shared.gpu_memory()


def test_a_driver_that_does_not_answer_keeps_nothing_from_being_stopped(
    engine: ProcessEngine,
) -> None:
    engine.preload(MODEL.model_copy(update={"key": "stuck"}), lambda: None)
    assert engine.gpu_memory() == {}
    stopper = Stopper(StopReason.CANCELLED)
    with pytest.raises(PaintStopped):
        paint(engine, "wait", stopper.report, stopper.check_stop)


def test_without_a_process_there_is_nothing_to_tell(engine: ProcessEngine) -> None:
    assert (engine.loaded, engine.gpu_memory(), engine.pid) == (None, {}, None)
    engine.prefetch([])
    engine.rest()
    assert engine.pid is None, "it is started when it is needed"


class Lines(logging.Handler):
    """Every line, with the job that the bot's own formatters would name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((job_of(record), record.name, record.levelno, record.getMessage()))

    def of(self, text: str) -> list[tuple[str, str, int, str]]:
        return [line for line in self.seen if text in line[3]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_its_lines_come_through_with_the_job_and_without_prompts(lines: Lines) -> None:
    logging.getLogger("bot").setLevel(logging.INFO)
    engine = build()
    try:
        with concerning("job1"):
            engine.warm_up()
            # What it prints once it was given a prompt may quote it.
            until(lambda: lines.of("printed: written to stdout"))
            paint(engine, f"say {CANARY}")
            paint(engine, f"cut {CANARY}")
            engine.prefetch(
                [AdapterEntry(key=key, name=key, path=key) for key in ("ink", "broken")]
            )
        until(lambda: lines.of("the disk") and lines.of("printed a line"))
    finally:
        engine.close()
    assert lines.of("said")[0] == ("job1", "bot.engine.light", logging.INFO, "said [hidden]")
    [raised] = lines.of("raised\nTraceback")
    assert raised[0] == "job1"
    assert "ValueError: [hidden]" in raised[3]
    assert lines.of("from a library")[0][1:3] == ("library", logging.WARNING)
    assert lines.of("fetched ink, broken")[0][0] == "job1"
    assert lines.of("reading ahead failed")[0][0] == "job1"
    assert lines.of("printed: written to stdout")[0][0] == "job1", (
        "what libraries print is heard, and breaks no frame"
    )
    assert len(lines.of("xxx")) == 1
    assert not lines.of("whispered"), "below the level here"
    assert not lines.of(CANARY[:-1])


def test_its_levels_are_those_here(lines: Lines) -> None:
    logging.getLogger("bot").setLevel(logging.DEBUG)
    engine = build(device="cuda:1")
    engine.warm_up()
    engine.close()
    assert lines.of("warming up")[0] == (
        "",
        "bot.engine.light",
        logging.DEBUG,
        "warming up on cuda",
    )
