"""What a process leaves of how it died, tried with processes that die."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.process.crash import NAME, Trace, crashes_recorded

DIES = """
import asyncio, os, sys, threading, time
from pathlib import Path
from bot.process.crash import crashes_recorded

async def main():
    async with crashes_recorded(Path(sys.argv[1])):
        {what}

asyncio.run(main())
"""


def died(folder: Path, what: str) -> int:
    """Run a process that does `what` while its crash is recorded; returns how it ended."""
    code = DIES.format(what=what)
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, check=False
    ).returncode


async def left_in(folder: Path) -> Trace:
    async with crashes_recorded(folder) as left:
        return left


@pytest.mark.parametrize(
    "crash", ["os.abort", "__import__('ctypes').string_at", "(lambda: os._exit(0))"]
)
async def test_a_crash_in_a_thread_leaves_its_trace(
    tmp_path: Path, crash: str, caplog: pytest.LogCaptureFixture
) -> None:
    argument = "args=(0,)" if "string_at" in crash else "args=()"
    ended = died(tmp_path, f"t = threading.Thread(target={crash}, {argument}); t.start(); t.join()")
    left = await left_in(tmp_path)
    assert left.in_a_thread == (ended < 0)
    assert bool(left.text) == (ended < 0)
    assert ("the last process crashed" in caplog.text) == (ended < 0)
    # It is told once.
    assert await left_in(tmp_path) == Trace()


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
async def test_a_signal_from_outside_is_not_taken_for_a_threads(
    tmp_path: Path, number: signal.Signals
) -> None:
    ended = died(
        tmp_path,
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start();"
        # Later: while the main thread starts a process, its signals are blocked.
        "__import__('subprocess').Popen("
        f"['sh', '-c', f'sleep 0.3; kill -{number.value} {{os.getpid()}}']);"
        "time.sleep(60)",
    )
    assert ended == -number
    left = await left_in(tmp_path)
    assert bool(left.text) == (number is not signal.SIGKILL)
    assert not left.in_a_thread


async def test_a_thread_that_is_not_pythons_counts_as_one() -> None:
    text = "Fatal Python error: Segmentation fault\n\nThread 0x0000000000000007 (most recent"
    assert Trace(text, main=7).in_a_thread
    assert not Trace(text.replace("Thread", "Current thread"), main=7).in_a_thread
    assert not Trace(text).in_a_thread


async def test_a_folder_that_cannot_be_written_does_not_stop_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    assert await left_in(tmp_path) == Trace()
    assert "a crash leaves no trace" in caplog.text
    (tmp_path / "file").touch()
    assert await left_in(tmp_path / "file") == Trace()


async def test_when_all_is_well_nothing_is_left(tmp_path: Path) -> None:
    async with crashes_recorded(tmp_path):
        assert (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()
