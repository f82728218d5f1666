"""What calls that run rows have in common. Does not import torch."""

import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.gpu.row import DONE, SKIPPED, Outcome, Row

IN_RAM: Final = Path("/dev/shm")


def weights_folder(room: int) -> Path:
    """A new folder for models: in RAM if there is more than `room` bytes, else on the disk."""
    roomy = IN_RAM.is_dir() and shutil.disk_usage(IN_RAM).free > room
    return Path(tempfile.mkdtemp(prefix="imagen-gpu-", dir=IN_RAM if roomy else None))


def beside(out: Path) -> Path:
    """A folder next to that of the results, for large files that are not among them."""
    return out.with_name(f"{out.name}.large")


def stop_by_interrupt() -> None:
    """Have SIGTERM raise KeyboardInterrupt, as Ctrl+C does; of both, only the first one counts.

    Whoever sends one again would otherwise lose the table.
    """
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def broken(rows: Sequence[Row], outcomes: Mapping[str, Outcome]) -> bool:
    """Whether a row is missing, did not end well, or found something wrong."""
    wrong = any(figure["wrong"] for outcome in outcomes.values() for figure in outcome.figures)
    bad = any(outcome.state not in (DONE, SKIPPED) for outcome in outcomes.values())
    return wrong or bad or len(outcomes) < len(rows)
