"""The card, driver, versions and commit that figures come from. Does not import torch."""

import subprocess
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
PACKAGES: Final = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")
ROOT: Final = Path(__file__).resolve().parents[2]


def describe() -> dict[str, str]:
    """All that can be found out here; what cannot is said to be unknown."""
    facts = {"machine": machine.describe()}
    facts |= {name: _version(name) for name in PACKAGES}
    facts["commit"] = _said("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown"
    said = _said("nvidia-smi", f"--query-gpu={','.join(ASKED.values())}", "--format=csv,noheader")
    if not said:
        return facts | {"card": "unknown: nvidia-smi did not answer"}
    values = [value.strip() for value in said.splitlines()[0].split(",")]
    return facts | dict(zip(ASKED, values, strict=False))


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
