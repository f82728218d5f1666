"""The process that rows run in: reports each row as JSON lines. Does not import torch itself."""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, TextIO

from benchmarks.gpu.row import Row, Skip


def own_output() -> TextIO:
    """The stream to the supervisor. What libraries print goes to stderr from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def end_with_supervisor() -> None:
    """From now on, end this process and those it started when nobody holds its input open.

    The supervisor has a pipe there. However it ends, the device is not left to a process that
    nobody waits for.
    """
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def serve(
    rows: Sequence[Row],
    names: Iterable[str],
    opened: Callable[[], AbstractContextManager[Any]],
    out: TextIO,
) -> None:
    """Measure the rows of these names, each in its own try."""

    def tell(event: str, **more: Any) -> None:
        out.write(json.dumps({"event": event, **more}) + "\n")
        out.flush()

    with opened() as context:
        tell("ready", facts=context.facts)
        by_name = {row.name: row for row in rows}
        for name in names:
            row = by_name[name]
            tell("begin", row=name)
            try:
                if row.needs_cuda and not context.cuda:
                    raise Skip("needs CUDA")
                for figure in row.measure(context):
                    tell("figure", row=name, figure=asdict(figure))
            except Skip as reason:
                tell("skipped", row=name, said=str(reason))
            except Exception as error:
                traceback.print_exc()
                said = f"{type(error).__name__}: {error}".strip().split("\n", 1)[0]
                tell("failed", row=name, said=said[:500])
            else:
                tell("done", row=name)
            context.tidy()
