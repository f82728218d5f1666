"""Which start of the machine this is: a job that ran before it did not die of itself."""

from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Linux draws a new one at each boot; containers see their machine's."""


def boot_id(file: Path = BOOT_ID) -> str | None:
    """Identifies the machine's current boot; None where the system does not say."""
    try:
        return file.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
