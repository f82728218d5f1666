"""Switching to a model that is on a cold disk, beside reading its files."""

import argparse
import os
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from benchmarks import bench_model, sdxl_weights
from benchmarks.bench_model import KEYS, Bench
from benchmarks.side_by_side import Line, seconds
from bot.engine import Engine
from catalog import ModelEntry

CHUNK: Final = 16 * 2**20


def cold(bench: Bench, options: argparse.Namespace) -> Line:
    """Time a switch to a model whose files are not in the page cache, against reading them.

    The engine keeps one model in RAM. The other reuses its memory, whose pages are already mapped.
    """
    what = "switch to a model on a cold disk; reading its files"
    if not hasattr(os, "posix_fadvise"):
        return Line(what, "not measured", "–")
    folder = sdxl_weights.model_folder(bench.weights, bench.shape, KEYS[1])
    files = sorted(folder.glob("**/*.safetensors"))
    engine = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench_model.hashes_file(bench.weights),
        device=options.device,
        memory=options.memory,
        model_cache=sum(part.layout.size for part in bench.resident.parts.values()),
    )
    first, other = (bench.catalog.models[key] for key in KEYS)

    def load(model: ModelEntry) -> None:
        engine.preload(model, lambda: None)

    load(other)  # so that its digests are known, as on every use of a file but the first
    load(first)
    reading, switching = [], []
    for _ in range(options.repeat):
        _forget(files)
        reading.append(seconds(partial(_read, files)))
        _forget(files)
        switching.append(seconds(partial(load, other)))
        load(first)
    engine.close()
    taken, read = statistics.median(switching), statistics.median(reading)
    met = taken <= 1.3 * read if bench.device == "cuda" else None
    return Line(what, f"{taken:.2f} s; {read:.2f} s", "–", f"{taken / read:.2f}×", "≤ 1.3×", met)


def in_memory(folder: Path) -> bool:
    """Whether `folder` is on a file system in RAM, as far as the system tells."""
    mounts = psutil.disk_partitions(all=True)
    around = [mount for mount in mounts if folder.resolve().is_relative_to(mount.mountpoint)]
    around.sort(key=lambda mount: len(mount.mountpoint))
    return bool(around) and around[-1].fstype in ("tmpfs", "ramfs")


def _forget(files: Sequence[Path]) -> None:
    """Have the system drop `files` from the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _read(files: Sequence[Path]) -> None:
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.read(CHUNK):
                pass
