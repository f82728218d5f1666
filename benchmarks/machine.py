"""A description of the machine that figures were measured on."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def load_average() -> float | None:
    """The load average of the last minute; None where the system does not have one."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def describe() -> str:
    """Cores, processor, memory, system and versions. Does not import torch."""
    return ", ".join(
        [
            f"{_cores()} CPU cores ({_processor()})",
            *_memory(),
            _system(),
            f"Python {platform.python_version()}",
            *_version("torch"),
            *_version("discord.py"),
        ]
    )


def _version(package: str) -> list[str]:
    """Its name and version; nothing where it is not installed."""
    try:
        return [f"{package} {version(package)}"]
    except PackageNotFoundError:
        return []


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        facts = ""
    model = re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _memory() -> list[str]:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return []
    return [f"{total / 1024**3:.0f} GiB of memory"]


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
