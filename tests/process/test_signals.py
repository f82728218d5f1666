"""The end of the process, which no thread may disturb."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, threading, time
from bot.process.signals import leave

print("painted")
atexit.register(print, "torn down")
thread = threading.Thread(target=time.sleep, args=(60,), daemon={daemon})
if {daemon}:
    thread.start()
leave(7)
"""


@pytest.mark.parametrize("daemon", [True, False])
def test_nothing_is_torn_down_under_a_thread_at_work(daemon: bool) -> None:
    """torch's compiler, inside C++, would end the process with a segmentation fault."""
    script = SCRIPT.format(daemon=daemon)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 7
    assert ended.stdout.split("\n") == ["painted", *([] if daemon else ["torn down"]), ""]
