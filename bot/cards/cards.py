"""Asks the driver for the cards, where there may be several."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

PATIENCE: Final = 15.0
"""Seconds that the driver may take; it takes up to 3 where no program keeps the cards awake."""
PASSED_ON: Final = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "LD_LIBRARY_PATH",
    "PATH",
    "SYSTEMROOT",
)
"""Variables of the environment that the driver and the loader read; secrets are not among them."""
DRIVER: Final = Path(__file__).with_name("driver.py")


@dataclass(frozen=True, slots=True)
class Card:
    """One CUDA card. Its place in the list is its number in torch's names, as in `cuda:1`.

    name: as the driver calls it. memory: bytes in total.
    """

    name: str
    memory: int


_CARDS: Final = TypeAdapter(list[Card])


def find_cards(root: Path = Path("/"), driver: Path = DRIVER) -> tuple[Card, ...]:
    """The cards that CUDA sees, in its order; empty if there are none, or too few to choose from.

    The driver is not asked where the system lists at most one card. Whatever goes wrong is logged,
    and there are none then. Blocks. root: of the file system. driver: the script that asks.
    """
    if not _may_be_several(root):
        return ()
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 – our own script
            [sys.executable, "-I", "-S", str(driver)],
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return tuple(_CARDS.validate_python(json.loads(done.stdout)))
    except subprocess.TimeoutExpired:
        log.warning("the CUDA driver did not answer within %.0f s; using one card", PATIENCE)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        log.warning("the CUDA driver cannot be asked (%s); using one card", said[:200])
    except (OSError, ValueError, ValidationError) as error:
        log.warning("the CUDA driver cannot be asked (%s); using one card", type(error).__name__)
    return ()


def _may_be_several(root: Path) -> bool:
    if sys.platform == "win32":
        from bot.cards.windows import may_be_several

        return may_be_several()
    return sys.platform == "linux" and _may_be_several_on_linux(root)


def _may_be_several_on_linux(root: Path) -> bool:
    """Whether the driver lists more than one card, or lists none because it is Windows'."""
    try:
        return len([*(root / "proc/driver/nvidia/gpus").iterdir()]) > 1
    except OSError:
        return (root / "dev/dxg").exists()
