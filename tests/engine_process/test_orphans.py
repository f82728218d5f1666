"""An engine process does not outlive its bot, however that ends and whatever the process does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine_process.conftest import until
from tests.parameters import mostly_long

ROOT = Path(__file__).parents[2]
JOINS = "import sys; from bot.engine_process.child import end_with_the_bot as end; "

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it by itself")


def runs(pid: int) -> bool:
    """Whoever inherits what has ended may not have taken notice of that yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.mark.parametrize("prompt", mostly_long(["stuck", "hang"], usual=1))
def test_one_that_hangs_ends_with_a_bot_that_is_killed(prompt: str) -> None:
    """Also if it keeps the interpreter's lock, so that nothing in it can see that the bot is gone.
    Its card's memory would be missing at the next start."""
    command = [sys.executable, "-m", "tests.engine_process.doomed", prompt]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as bot:
        assert bot.stdout is not None
        engine = int(bot.stdout.readline())
        assert runs(engine)
        bot.kill()
    until(lambda: not runs(engine))


@pytest.mark.parametrize("gone", mostly_long([True, False], usual=[True]))
def test_one_whose_bot_was_gone_before_it_began_ends_at_once(gone: bool) -> None:
    """Even if there is something to read."""
    read, write = os.pipe()
    os.write(write, b"a first frame")
    if gone:
        os.close(write)
    command = [sys.executable, "-c", JOINS + "end(sys.stdin.buffer); print('it goes on')"]
    done = subprocess.run(command, stdin=read, capture_output=True, cwd=ROOT, check=True)
    os.close(read)
    if not gone:
        os.close(write)
    assert done.stdout == (b"" if gone else b"it goes on\n")
