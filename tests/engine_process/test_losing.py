"""However an engine process ends, the call says how, and the next one has another process."""

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from bot.engine_process import ProcessEngine
from bot.engine_process.process import TICK
from bot.errors import EngineLost, Loss
from bot.painting import Painting
from bot.progress import Progress
from bot.request import InitImage
from tests.engine_process.conftest import MODULE, PATIENCE, build, order, paint, until
from tests.engine_process.light import FLOOD
from tests.parameters import mostly_long


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(engine: ProcessEngine) -> int:
    engine.warm_up()
    assert engine.pid is not None
    return engine.pid


@pytest.mark.parametrize(
    ("how", "said", "sure"),
    mostly_long(
        [
            ("SEGV", "signal 11: ", True),
            ("KILL", "signal 9: ", False),
            ("RTMAX", "signal 64: ", False),
            ("exit", "exit code 3", False),
        ],
        usual=2,
    ),
)
def test_a_process_that_dies_in_a_call(
    engine: ProcessEngine, how: str, said: str, sure: bool
) -> None:
    with pytest.raises(EngineLost, match=f"gpu-1: .*{said}") as lost:
        paint(engine, f"die {how}")
    assert (lost.value.loss, lost.value.sure) == (Loss.DIED, sure)
    assert engine.loaded is None
    assert engine.pid is None


def test_a_lost_device_is_lost_with_its_process(engine: ProcessEngine) -> None:
    before = pid_of(engine)
    with pytest.raises(EngineLost, match="an assert") as lost:
        paint(engine, "fail device")
    assert lost.value.loss is Loss.DEVICE
    until_gone(before)
    assert engine.renew()
    assert paint(engine).images


def until_gone(pid: int) -> None:
    until(lambda: not alive(pid))


def blocked(
    engine: ProcessEngine, thread: ThreadPoolExecutor, prompt: str
) -> tuple[Future[Painting], int]:
    """A call that has begun, and the process that it waits for."""
    begun = threading.Event()

    def report(_: Progress) -> None:
        begun.set()

    call = thread.submit(paint, engine, prompt, report)
    assert begun.wait(PATIENCE)
    assert engine.pid is not None
    return call, engine.pid


@pytest.mark.parametrize(
    "stopped", mostly_long([False, True], usual=[False]), ids=["hangs", "is stopped by a signal"]
)
def test_renewing_frees_a_call_that_hangs(engine: ProcessEngine, stopped: bool) -> None:
    with ThreadPoolExecutor(1) as thread:
        call, pid = blocked(engine, thread, "hang")
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        assert engine.renew()
        with pytest.raises(EngineLost, match="given up") as lost:
            call.result(PATIENCE)
        assert lost.value.loss is Loss.HUNG
        assert thread.submit(paint, engine).result().images
        until_gone(pid)


@pytest.mark.long
def test_renewing_frees_a_call_that_cannot_be_written(engine: ProcessEngine) -> None:
    """More than a pipe holds, to a process that does not read."""
    pid = pid_of(engine)
    os.kill(pid, signal.SIGSTOP)
    wanted = order()
    request = replace(wanted.request, init_image=InitImage("0" * 64, 0.5))
    wanted = replace(wanted, request=request, pictures={"0" * 64: bytes(2**24)})
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(engine.paint, wanted, lambda _: None, lambda: None)
        process = engine._process
        assert process is not None
        until(process._writing.locked)
        engine.prefetch([])  # does not wait for it
        assert engine.gpu_memory() == {}
        engine.renew()
        with pytest.raises(EngineLost) as lost:
            call.result(PATIENCE)
    assert lost.value.loss is Loss.HUNG


@pytest.mark.long
def test_one_that_was_given_up_is_not_called_again(engine: ProcessEngine) -> None:
    """Even if it takes its time to end."""
    pid = pid_of(engine)
    process = engine._process
    assert process is not None
    with process._dying:  # as if it were being waited for
        assert engine.renew()
        assert paint(engine).images
    assert engine.pid not in {pid, None}
    process.kill()


def test_a_process_that_died_while_nobody_asked_is_replaced(engine: ProcessEngine) -> None:
    pid = pid_of(engine)
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    assert paint(engine).images
    assert engine.pid not in {pid, None}


def test_one_that_cannot_even_begin_says_so() -> None:
    engine = build()
    engine._module = "tests.engine_process.no_such_module"
    with pytest.raises(EngineLost, match="exit code 1") as lost:
        engine.warm_up()
    assert not lost.value.sure
    engine._module = MODULE
    engine.warm_up()
    engine.close()


def test_renewing_frees_one_that_reports_faster_than_anybody_listens(
    engine: ProcessEngine,
) -> None:
    pids: list[int | None] = []

    def report(_: Progress) -> None:
        if not pids:
            pids.append(engine.pid)
            engine.renew()
            until(lambda: engine.pid is None)

    with pytest.raises(EngineLost):
        paint(engine, "flood", report)
    assert pids[0] is not None
    until_gone(pids[0])


@pytest.mark.long
def test_reports_wait_for_one_who_listens_slowly(shared: ProcessEngine) -> None:
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        if not seen:
            time.sleep(5 * TICK)
        seen.append(progress)

    assert paint(shared, "flood", report).images
    assert len(seen) == FLOOD + 3


def test_closing_does_not_wait_for_one_that_does_not_listen(engine: ProcessEngine) -> None:
    pid = pid_of(engine)
    os.kill(pid, signal.SIGSTOP)
    engine.close()
    assert not alive(pid)
