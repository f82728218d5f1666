"""The first import of torch, in a separate process: it blocks nothing and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """
import gc, sys
from pathlib import Path
from bot.engine import importing

assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            """
with importing.sparing_the_event_loop():
    assert Path("/proc/self/maps").read_text().count("libtorch_cpu")
    assert "torch" not in sys.modules and not gc.isenabled()
    import torch
assert gc.isenabled() and gc.get_freeze_count() > 100_000
frozen = gc.get_freeze_count()
with importing.sparing_the_event_loop():
    assert gc.isenabled()
assert gc.get_freeze_count() == frozen
assert torch.ones(2).sum() == 2
""",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
            id="linked before it is imported",
        ),
        pytest.param(
            """
importing.importlib.util.find_spec = lambda name: None
try:
    with importing.sparing_the_event_loop():
        raise ImportError("no torch")
except ImportError:
    assert gc.isenabled()
""",
            id="not installed",
        ),
        pytest.param(
            """
importing.ctypes.CDLL = lambda name: object()
importing._link_torch()
""",
            id="no dlopen",
        ),
        pytest.param(
            """
importing.os.environ["LD_LIBRARY_PATH"] = "/somewhere"
importing.ctypes.CDLL = None
importing._link_torch()
""",
            id="torch sees to CUDA's libraries",
        ),
    ],
)
@pytest.mark.long
def test_the_first_import(script: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
