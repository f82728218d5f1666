"""Watch a process from outside: its stages, as a terminal shows them, and its memory.

POSIX only: the process's standard error is a pseudo-terminal.
"""

import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CLEARED: Final = "\r\033[K"
"""What the command line writes before each text that replaces the current one."""
SAMPLE_SECONDS: Final = 0.5
RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of `ru_maxrss`."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of a process that has ended.

    stages: label → seconds of each text that was shown under it, in order of appearance.
    rss, anonymous: peak bytes, with and without mapped files; the second is sampled.
    """

    code: int
    output: str
    stages: list[tuple[str, list[float]]]
    seconds: float
    rss: int
    anonymous: int | None
    gpu_bytes: int | None


def stages_of(shown: Sequence[tuple[float, str]], end: float) -> list[tuple[str, list[float]]]:
    """Labels and seconds from `shown`, texts with the second at which each appeared.

    The label is the text before its first digit or bar. Neighbours with the same label are one
    stage, so that an image's steps stay together.
    """
    stages: list[tuple[str, list[float]]] = []
    times = [*(at for at, _ in shown[1:]), end]
    last = None
    for (at, text), until in zip(shown, times, strict=True):
        label = re.split(r"[\d▰▱]", text, maxsplit=1)[0].strip()
        if not stages or stages[-1][0] != label:
            stages.append((label, []))
            last = None
        if text == last:
            stages[-1][1][-1] += until - at
        else:
            stages[-1][1].append(until - at)
        last = text
    return stages


class _Sampler(threading.Thread):
    """Samples a process's memory every SAMPLE_SECONDS."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self._smi = shutil.which("nvidia-smi")
        self.anonymous: int | None = None
        self.gpu_bytes: int | None = None

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.anonymous = _larger(self.anonymous, self._anonymous())
            self.gpu_bytes = _larger(self.gpu_bytes, self._gpu_bytes())

    def end(self) -> None:
        self._over.set()
        self.join()

    def _anonymous(self) -> int | None:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text(encoding="utf-8")
        except OSError:
            return None
        found = re.search(r"^RssAnon:\s*(\d+) kB", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def _gpu_bytes(self) -> int | None:
        if self._smi is None:
            return None
        query = ("--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
        said = subprocess.run([self._smi, *query], capture_output=True, text=True, check=False)
        found = re.search(rf"^{self._pid}, (\d+)$", said.stdout, re.MULTILINE)
        return int(found[1]) * 2**20 if found else None


def _larger(one: int | None, other: int | None) -> int | None:
    return max((n for n in (one, other) if n is not None), default=None)


def watch(command: Sequence[str], environment: dict[str, str], folder: Path) -> Watched:
    """Run `command` in `folder` with a terminal on its standard error."""
    terminal, its_end = os.openpty()
    begin = time.monotonic()
    with (folder / "stdout").open("w+", encoding="utf-8") as out:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=its_end,
        )
        os.close(its_end)
        sampler = _Sampler(process.pid)
        sampler.start()
        shown = [(begin, "starting Python"), *_texts(terminal)]
        os.close(terminal)
        _, status, usage = os.wait4(process.pid, 0)
        end = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.end()
        out.seek(0)
        return Watched(
            code=process.returncode,
            output=out.read(),
            stages=stages_of(shown, end),
            seconds=end - begin,
            rss=usage.ru_maxrss * RSS_UNIT,
            anonymous=sampler.anonymous,
            gpu_bytes=sampler.gpu_bytes,
        )


def _texts(terminal: int) -> list[tuple[float, str]]:
    """The texts shown until the other end closes, and when; full lines go to our own stderr."""
    shown: list[tuple[float, str]] = []
    while True:
        select.select([terminal], [], [])
        try:
            data = os.read(terminal, 65536)
        except OSError:  # raised by Linux once the other end is closed
            data = b""
        if not data:
            return shown
        now = time.monotonic()
        message, *pieces = data.decode(errors="replace").split(CLEARED)
        sys.stderr.write(message)
        for piece in pieces:
            if "\n" in piece:
                sys.stderr.write(piece)
            elif piece.strip():
                shown.append((now, piece.strip()))
