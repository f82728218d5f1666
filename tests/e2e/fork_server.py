"""Forks `python main.py …` from a process that has imported the slow libraries already.

Started by `tests.e2e.processes` with one end of a socket. Each message on it requests one process
and carries the files to report and write to. This server imports nothing of the bot, builds
nothing and runs a single thread, so a child differs from a fresh process only in that the
libraries are in memory already.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

SIZE = 1 << 16
"""The most bytes in a message."""
LIBRARIES = {
    "accelerate": ["init_empty_weights"],
    "aiohttp.web": [],
    "aiosqlite": [],
    "diffusers": ["AutoencoderKL", "UNet2DConditionModel"],
    "diffusers.image_processor": [],
    "diffusers.loaders.single_file_utils": [],
    "diffusers.schedulers": ["AysSchedules", "DPMSolverMultistepScheduler"],
    "discord.ext.commands": [],
    "huggingface_hub": ["HfApi", "hf_hub_download"],
    "numpy": [],
    "peft": [],
    "PIL.ImageOps": [],
    "PIL.PngImagePlugin": [],
    "prometheus_client.exposition": [],
    "pydantic_settings": [],
    "safetensors": [],
    "torch": [],
    "transformers": [
        "CLIPImageProcessorPil",
        "CLIPTextModelWithProjection",
        "CLIPTokenizer",
        "CLIPVisionModelWithProjection",
    ],
}
"""What the bot imports, and for libraries that import parts of themselves lazily, the names it
uses. A missing one costs time and nothing else."""


def import_libraries() -> None:
    # As the bot does: see bot.engine.importing.hide_torchvision.
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    for name, late in LIBRARIES.items():
        module = importlib.import_module(name)
        for attribute in late:
            getattr(module, attribute)
    # As the bot does after importing them; also, untouched memory is not copied by a fork.
    gc.freeze()
    if sys.platform == "linux":
        # A fork copies one thread only; locks held by others would stay locked forever.
        assert len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208


def serve(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork a child for each message until the other side closes.

    Returns None then; in each child, returns its message and the files for its output.
    """
    children: dict[int, tuple[int, socket.socket]] = {}
    while True:
        watched: list[socket.socket | int] = [control, *children]
        ready, _, _ = select.select(watched, [], [])
        for pidfd in [fd for fd in ready if fd in children]:
            pid, report = children.pop(pidfd)
            _, status = os.waitpid(pid, 0)
            os.close(pidfd)
            _tell(report, os.waitstatus_to_exitcode(status))
            report.close()
        if control not in ready:
            continue
        message, files, _, _ = socket.recv_fds(control, SIZE, 3)
        if not message:
            for pid, _ in children.values():
                os.kill(pid, signal.SIGKILL)
            return None
        report = socket.socket(fileno=files.pop(0))
        pid = os.fork()
        if pid == 0:
            control.close()
            report.close()
            for pidfd, (_, other) in children.items():
                os.close(pidfd)
                other.close()
            return json.loads(message), files
        for file in files:
            os.close(file)
        children[os.pidfd_open(pid)] = pid, report
        _tell(report, pid)


def _tell(report: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):  # the test ended without waiting for it
        report.send(str(number).encode())


def become(order: dict[str, Any], output: list[int]) -> None:
    """Run the program as if this process were a new `python program arguments…`."""
    for standard, file in zip((1, 2), output, strict=True):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["numpy"].random.seed()  # Python's own reseeds itself
    program, *arguments = order["arguments"]
    sys.argv = [program, *arguments]
    sys.orig_argv = [sys.executable, program, *arguments]
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for its children and pytest
    del sys.path[0]  # the folder of this file
    import_libraries()
    child = serve(socket.socket(fileno=int(sys.argv[1])))
    if child is not None:
        become(*child)
