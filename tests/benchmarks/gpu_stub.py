"""A worker of `benchmarks.gpu` whose rows take no time, and some of which go wrong.

Arguments: how (`raises`, `hangs`, `dies` or `well`), the rows that do, `--`, and the rows to run.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from benchmarks.gpu.row import Figure, Row
from benchmarks.gpu.worker import end_with_supervisor, own_output, serve


class Nothing:
    facts = {"model": "none"}  # noqa: RUF012 - read only
    cuda = True

    def tidy(self) -> None:
        """There is nothing."""


def fine(_: Any) -> Iterator[Figure]:
    sys.stdout.write("what a library prints must not disturb the protocol\n")
    yield Figure("one", "1")


def wrong(how: str) -> Iterator[Figure]:
    yield Figure("one", "1")
    match how:
        case "raises":
            raise ValueError("a pipe | in a message")
        case "hangs":
            threading.Event().wait()
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)


def main(how: str, bad: list[str], names: list[str]) -> None:
    rows = [Row(name, (lambda _: wrong(how)) if name in bad else fine, 0) for name in names]
    serve(rows, names, lambda: nullcontext(Nothing()), own_output())


if __name__ == "__main__":
    end_with_supervisor()
    bar = sys.argv.index("--")
    main(sys.argv[1], sys.argv[2:bar], sys.argv[bar + 1 :])
