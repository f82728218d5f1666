"""An engine process knows no token but the hub's, and goes when the bot does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.engine_process import ProcessEngine
from bot.engine_process.environment import ROOT, environment, placed
from bot.wire.options import EngineOptions
from tests.engine_process.conftest import TOKEN, paint
from tests.engine_process.test_losing import alive, pid_of, until_gone
from tests.parameters import mostly_long

CANARY = "canaryOfTheTokenCanaryOfTheToken"
SECRET = {
    "DISCORD_TOKEN": CANARY,
    "DISCORD_PROXY": f"http://me:{CANARY}@127.0.0.1",
    "IMAGEN_KEY": CANARY,
    "IMAGEN_BROKER": f"redis://:{CANARY}@127.0.0.1",
    "IMAGEN_OF_THE_FUTURE": CANARY,
    "HF_TOKEN": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "Some_Password": CANARY,
}
FOR_ALL = {"PATH": "/bin", "HF_HOME": "/hf", "HF_TOKEN_PATH": "/hf/token", "KEYBOARD": "de"}


def test_what_is_for_everybody_is_kept() -> None:
    kept = environment({**SECRET, **FOR_ALL, "PYTHONPATH": "/mine"})
    assert kept == {**FOR_ALL, "PYTHONPATH": os.pathsep.join([str(ROOT), "/mine"])}
    assert environment({})["PYTHONPATH"] == str(ROOT)


@pytest.mark.parametrize(
    ("device", "seen", "then", "visible"),
    [
        ("cuda:1", None, "cuda", "1"),
        ("cuda:0", "3, GPU-a1b2", "cuda", "3"),
        ("cuda:1", "3, GPU-a1b2", "cuda", "GPU-a1b2"),
        ("cuda:2", "3, GPU-a1b2", "cuda:2", "3, GPU-a1b2"),
        ("cuda:1", "", "cuda:1", ""),
        ("cuda", "3", "cuda", "3"),
        ("auto", None, "auto", None),
        ("cpu", "3", "cpu", "3"),
    ],
)
def test_it_sees_its_own_card_alone(
    device: str, seen: str | None, then: str, visible: str | None
) -> None:
    variables = {} if seen is None else {"CUDA_VISIBLE_DEVICES": seen}
    options, got = placed(
        EngineOptions(models_dir=ROOT, hashes_file=ROOT, device=device), variables
    )
    assert options.device == then
    assert got.get("CUDA_VISIBLE_DEVICES") == visible


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def memory_of(pid: int) -> bytes:
    """All that the process can write to."""
    found = b""
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("rw") and "[vvar" not in line:
                begin, end = (int(number, 16) for number in span.split("-"))
                memory.seek(begin)
                try:
                    found += memory.read(end - begin)
                except OSError:  # a hole
                    continue
    return found


@pytest.mark.long
def test_no_token_is_in_its_environment_its_arguments_or_its_memory(
    engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    pid = pid_of(engine)
    paint(engine)
    folder = Path("/proc") / str(pid)
    given = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
    assert b"gpu-1" in given
    assert CANARY.encode() not in given
    assert TOKEN.encode() not in given, "the hub's token is told where nobody else can read it"
    memory = memory_of(pid)
    assert TOKEN.encode() in memory, "it would be found"
    assert CANARY.encode() not in memory


@pytest.mark.long
def test_closing_leaves_no_process_behind(engine: ProcessEngine) -> None:
    pid = pid_of(engine)
    engine.close()
    assert not alive(pid)
    assert engine.pid is None
    engine.close()
    assert paint(engine).images, "a later call starts another"


def test_what_it_has_started_ends_with_it(
    engine: ProcessEngine, caplog: pytest.LogCaptureFixture
) -> None:
    paint(engine, "leave")
    [left] = [int(r.getMessage().split()[1]) for r in caplog.records if "left " in r.getMessage()]
    assert alive(left)
    engine.close()
    until_gone(left)


def test_signals_for_the_bot_do_not_end_it(engine: ProcessEngine) -> None:
    pid = pid_of(engine)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert paint(engine).images
    assert engine.pid == pid
    assert os.getsid(pid) == pid, "a terminal's signals do not reach it"


BOT = """
import sys, time
from tests.engine_process.conftest import build, paint
engine = build()
engine.warm_up()
print(engine.pid, flush=True)
paint(engine, sys.argv[1], lambda _: print("painting", flush=True))
time.sleep(600)
"""


@pytest.mark.parametrize("prompt", mostly_long(["stuck", "hang", ""], usual=1))
@pytest.mark.long
def test_it_ends_when_the_bot_is_killed(prompt: str) -> None:
    if prompt == "stuck" and sys.platform != "linux":
        pytest.skip("only Linux ends it then")
    bot = subprocess.Popen(
        [sys.executable, "-c", BOT, prompt], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert bot.stdout is not None
    pid = int(bot.stdout.readline())
    assert bot.stdout.readline() == "painting\n"
    if prompt == "stuck":
        time.sleep(0.5)  # by then it is
    assert alive(pid)
    bot.kill()
    bot.wait()
    until_gone(pid)
    bot.stdout.close()


def test_the_bot_imports_no_torch_for_it() -> None:
    code = "import sys, bot.engine_process; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
