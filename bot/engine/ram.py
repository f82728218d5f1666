"""How much RAM this process may use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

_MEMORY: Final = "memory"
"""The controller's name."""


def usable_ram(root: Path = Path("/")) -> int:
    """Bytes: the machine's RAM, or less where a container or service manager sets a limit.

    root: of the file system.
    """
    return min([int(psutil.virtual_memory().total), *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """The limits of this process's control group and of those above it (cgroups(7))."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root / "sys/fs/cgroup", f"{_MEMORY}.max"
        elif _MEMORY in controllers.split(","):
            top, name = root / "sys/fs/cgroup" / _MEMORY, f"{_MEMORY}.limit_in_bytes"
        else:
            continue
        own = Path(path.lstrip("/"))
        # In a container, `path` is often the host's, and only the top exists.
        for folder in (top / own, *(top / parent for parent in own.parents)):
            if (limit := _limit(folder / name)) is not None:
                yield limit


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max"
