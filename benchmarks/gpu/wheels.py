"""Gather the packages that `benchmarks.gpu` needs on a machine without a network.

`python -m benchmarks.gpu.wheels` downloads wheels for CPython 3.12 on Linux (x86_64) to `.wheels/`,
which git ignores. The machine is expected to have torch, transformers, peft and accelerate with
what those need; everything else that the benchmark imports is carried, at the versions of
requirements.lock. Which that is, a process finds out by importing it. Refuses more than 64 MiB.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / ".wheels"
LOCK: Final = ROOT / "requirements.lock"
PRESENT: Final = ("torch", "transformers", "peft", "accelerate")
"""What the machine has, with their dependencies."""
VARYING: Final = ("huggingface-hub", "typer")
"""There too, but maybe of other versions, whose dependencies need not be those of ours."""
MOST: Final = 64 * 2**20
IMPORTS: Final = """
import benchmarks.gpu.__main__
import benchmarks.gpu.families.__main__
from benchmarks import bench_model
from benchmarks.gpu import adapting, context, decoding, exactness, requests, switching
from benchmarks.gpu.families import context, exactness, halves, memory, requests
from bot.engine.importing import LIBRARY_SETTINGS
from bot.engine import environment, kernels, memory, pipeline, preview, weights
from diffusers import AutoencoderKL, ClassifierFreeGuidance, ModularPipeline
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.image_processor import VaeImageProcessor
"""
"""What a run imports, the libraries' lazily loaded parts too."""
_REPORT: Final = """
import json, sys
print("\\n" + json.dumps(sorted(name for name, module in sys.modules.items() if module)))
"""


def canonical(name: str) -> str:
    """A distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def with_dependencies(names: Iterable[str]) -> set[str]:
    """The distributions of these names and all that they require without an extra.

    Not what those in VARYING require, which is carried.
    """
    found: set[str] = set()
    left = [canonical(name) for name in names]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        if name in VARYING:
            continue
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue  # for another platform
        left += [
            canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0])
            for line in needed
            if not re.search(r"\bextra\b", line.partition(";")[2])
        ]
    return found


def imported() -> set[str]:
    """The distributions that a run of the benchmark imports, found in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + _REPORT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    owners = packages_distributions()
    return {canonical(owner) for module in modules for owner in owners.get(module, ())}


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Version of each distribution in requirements.lock."""
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in pins}


def missing(used: set[str]) -> dict[str, str]:
    """Name and version of each package to carry. used: those that a run imports.

    A package that only may be imported, as the tests' are, is not in requirements.lock.
    """
    pins, present = locked(), with_dependencies(PRESENT)
    return {name: pins[name] for name in sorted(used - present) if name in pins}


def check(folder: Path, most: int = MOST) -> int:
    """Bytes of the wheels in `folder`. Raises ValueError when they are too many to carry."""
    size = sum(file.stat().st_size for file in folder.glob("*.whl"))
    if size > most:
        raise ValueError(f"{folder}: {size / 2**20:.1f} MiB of wheels; at most {most >> 20} MiB")
    return size


def main() -> int:
    """Download, and print how to install."""
    wanted = missing(imported())
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.whl"):
        old.unlink()
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.12"),
            *("--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64"),
            *("--platform=manylinux_2_17_x86_64", f"--dest={FOLDER}"),
            *(f"{name}=={version}" for name, version in wanted.items()),
        ],
        check=True,
    )
    try:
        size = check(FOLDER)
    except ValueError as error:
        sys.exit(str(error))
    print(f"{len(wanted)} wheels, {size / 2**20:.1f} MiB: {', '.join(wanted)}")
    print("On the machine, in the repository's root:")
    print(f"  python -m pip install --no-index --no-deps {FOLDER.name}/*.whl")
    print("  python -m benchmarks.gpu --out gpu-results")
    print("  python -m benchmarks.gpu.families --out gpu-results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
