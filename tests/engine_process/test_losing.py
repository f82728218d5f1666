"""However an engine process ends, the call says how, and the next one has another process."""

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from bot.backoff import Backoff
from bot.engine_process import ProcessEngine
from bot.errors import EngineLost, Loss, PaintStopped, StopReason
from bot.painting import Painting
from bot.progress import Progress
from bot.request import InitImage
from tests.engine_process.conftest import MODULE, build, order, paint


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
    [
        ("SEGV", "SIGSEGV", True),
        ("KILL", "SIGKILL", False),
        ("exit", "exit code 3", False),
    ],
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
    while alive(pid):
        time.sleep(0.01)


def blocked(
    engine: ProcessEngine, thread: ThreadPoolExecutor, prompt: str
) -> tuple[Future[Painting], int]:
    """A call that has begun, and the process that it waits for."""
    begun = threading.Event()

    def report(_: Progress) -> None:
        begun.set()

    call = thread.submit(paint, engine, prompt, report)
    begun.wait()
    assert engine.pid is not None
    return call, engine.pid


@pytest.mark.parametrize("stopped", [False, True], ids=["hangs", "is stopped by a signal"])
def test_renewing_frees_a_call_that_hangs(engine: ProcessEngine, stopped: bool) -> None:
    with ThreadPoolExecutor(1) as thread:
        call, pid = blocked(engine, thread, "hang")
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        assert engine.renew()
        with pytest.raises(EngineLost, match="given up") as lost:
            call.result()
        assert lost.value.loss is Loss.HUNG
        assert thread.submit(paint, engine).result().images
        until_gone(pid)


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
        while not process._writing.locked():
            time.sleep(0.01)
        engine.renew()
        with pytest.raises(EngineLost) as lost:
            call.result()
    assert lost.value.loss is Loss.HUNG


def test_a_process_that_died_while_nobody_asked_is_replaced(engine: ProcessEngine) -> None:
    pid = pid_of(engine)
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    assert paint(engine).images
    assert engine.pid not in {pid, None}


def test_processes_that_die_at_once_are_started_ever_more_slowly() -> None:
    engine = build()
    engine._pauses = Backoff(0, 3600)
    checks = 0

    def stop_later() -> None:
        nonlocal checks
        checks += 1
        if checks > 2:
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(EngineLost):
        paint(engine, "die exit")
    with pytest.raises(PaintStopped):
        paint(engine, check_stop=stop_later)
    assert engine.pid is None, "none was started, and waiting for it could be stopped"
    engine._deaths = 0
    assert paint(engine).images
    assert engine._deaths == 0
    engine.close()


def test_one_that_cannot_even_begin_says_so() -> None:
    engine = build()
    engine._module = "tests.engine_process.no_such_module"
    with pytest.raises(EngineLost, match="exit code 1") as lost:
        engine.warm_up()
    assert not lost.value.sure
    engine._module = MODULE
    engine.warm_up()
    engine.close()
