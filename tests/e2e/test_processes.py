"""A forked process behaves like a fresh one, except that the libraries are loaded already."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home
from tests.e2e.processes import Forked, Process, fork_server, start

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="every process is a fresh one here"),
]

SHOW = """
import json, os, random, signal, sys, threading
torch = sys.modules.get("torch")
import numpy
chance = [random.random(), float(numpy.random.random())]
print(json.dumps({
    "name": __name__,
    "file": __file__,
    "argv": sys.argv,
    "orig_argv": sys.orig_argv,
    "executable": sys.executable,
    "path": sys.path,
    "flags": list(sys.flags),
    "cwd": os.getcwd(),
    "environment": dict(os.environ),
    "group": [os.getpgrp(), os.getsid(0)],
    "files": sorted(os.listdir("/proc/self/fd")),
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "threads": threading.active_count(),
    "streams": [(s.encoding, s.errors, s.line_buffering, s.write_through)
                for s in (sys.stdout, sys.stderr)],
    "warm": [torch is not None, chance],
}))
"""


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Callable[..., Any]:
    """Starts a script as a separate program; its output is at the end of `tmp_path/out`."""

    async def started(script: str, *, cold: bool = False, **settings: str) -> Process:
        program = tmp_path / "program.py"
        program.write_text(script, encoding="utf-8")
        with (tmp_path / "out").open("wb") as out:
            return await start(
                [sys.executable, str(program), "one", "two"],
                cwd=home.folder,
                environment={**home.environment, **settings},
                stdout=out,
                stderr=out,
                cold=cold,
            )

    return started


async def test_it_finds_what_a_fresh_process_finds(run: Callable[..., Any], tmp_path: Path) -> None:
    seen = []
    for cold in (True, False, False):
        process = await run(SHOW, cold=cold, IMAGEN_DEVICE="none")
        assert await process.wait() == 0
        seen.append(json.loads((tmp_path / "out").read_text(encoding="utf-8")))
    [fresh, *forked] = [one.pop("warm") for one in seen]
    assert seen[1] == seen[2] == seen[0]
    assert (fresh[0], forked[0][0]) == (False, True)
    assert not set(forked[0][1]) & set(forked[1][1]), "chance is drawn again"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise ValueError", 1),
        ("import os; os._exit(75)", 75),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        (
            "import os, sys, time\n"
            "if os.environ.pop('IMAGEN_ONCE', ''):\n"
            "    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])\n"
            "assert 'torch' not in sys.modules\n"
            "sys.exit(len(sys.argv))",
            3,
        ),
    ],
)
async def test_it_ends_as_a_fresh_process_ends(
    run: Callable[..., Any], script: str, code: int
) -> None:
    forked = await run(script, IMAGEN_ONCE="yes")
    assert isinstance(forked, Forked)
    assert await forked.wait() == code
    fresh = await run(script, cold=True, IMAGEN_ONCE="yes")
    assert not isinstance(fresh, Forked)
    assert await fresh.wait() == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_signal_reaches_it(run: Callable[..., Any], number: signal.Signals) -> None:
    process = await run("import time; time.sleep(3600)")
    os.kill(process.pid, 0)
    process.send_signal(number)
    assert await process.wait() == -number
    assert process.returncode == -number
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    process.kill()  # has no effect any more


async def test_what_a_library_reads_at_its_import_makes_a_fresh_process(
    run: Callable[..., Any], home: Home
) -> None:
    for more in ({"HF_HUB_OFFLINE": "1"}, {"PYTHONIOENCODING": "cp1252"}):
        process = await run("", **more)
        assert not isinstance(process, Forked)
        assert await process.wait() == 0
    server = fork_server()
    assert server is not None
    assert server.suits(home.environment)
    assert not server.suits({**home.environment, "OMP_NUM_THREADS": "2"})
