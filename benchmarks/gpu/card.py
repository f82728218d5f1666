"""The card, driver, versions and commit that figures come from. Does not import torch."""

import os
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks import machine

ASKED: Final = {
    "card": "name",
    "driver": "driver_version",
    "memory": "memory.total",
    "graphics clock": "clocks.gr",
    "graphics clock, at most": "clocks.max.gr",
    "memory clock": "clocks.mem",
    "power limit": "power.limit",
    "temperature": "temperature.gpu",
}
CHANGING: Final = {
    "graphics clock": "clocks.gr",
    "memory clock": "clocks.mem",
    "temperature": "temperature.gpu",
    "power": "power.draw",
}
COMMIT: Final = "GIT_COMMIT"
"""Of the environment: the commit, where the checkout came without `.git`."""
PACKAGES: Final = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")
ROOT: Final = Path(__file__).resolve().parents[2]


def describe() -> dict[str, str]:
    """All that can be found out here; what cannot is said to be unknown."""
    facts = {"machine": machine.describe()}
    facts |= {name: _version(name) for name in PACKAGES}
    said = _said("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    facts["commit"] = os.environ.get(COMMIT) or said or "unknown"
    return facts | (_asked(ASKED) or {"card": "unknown: nvidia-smi did not answer"})


def now() -> dict[str, str]:
    """Clocks, temperature and power at this moment; nothing where they cannot be found out."""
    return _asked(CHANGING)


def _asked(names: Mapping[str, str]) -> dict[str, str]:
    said = _said("nvidia-smi", f"--query-gpu={','.join(names.values())}", "--format=csv,noheader")
    values = [value.strip() for line in said.splitlines()[:1] for value in line.split(",")]
    return dict(zip(names, values, strict=False))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _said(*command: str) -> str:
    """What a program prints; nothing if it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
