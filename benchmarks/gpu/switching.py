"""Switching to the other model: from RAM, and from a file on a disk that is not in memory."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

from benchmarks import bench_model, sdxl_weights
from benchmarks.bench_model import KEYS
from benchmarks.engine.cold import cold, in_memory
from benchmarks.engine.switching import switch
from benchmarks.gpu.context import Context
from benchmarks.gpu.exactness import from_line
from benchmarks.gpu.row import Figure, Skip
from catalog import Catalog


def from_ram(context: Context) -> Iterator[Figure]:
    """Once after a warm-up: plain diffusers reads a model's files each time."""
    for line in switch(context.bench, 1):
        yield from_line(line)


def from_disk(context: Context) -> Iterator[Figure]:
    """Only the second model is copied to the disk; the first is read once, untimed."""
    bench, shape = context.bench, context.bench.shape
    disk = context.disk
    if in_memory(disk):
        raise Skip(f"{disk} is on a file system in RAM, where no file is cold")
    first, second = (sdxl_weights.model_folder(bench.weights, shape, key) for key in KEYS)
    disk.mkdir()
    try:
        size = sum(file.stat().st_size for file in second.rglob("*") if file.is_file())
        if shutil.disk_usage(disk).free < 1.2 * size:
            raise Skip(f"no room for {size / 1e9:.1f} GB in {disk}")
        copied = sdxl_weights.model_folder(disk, shape, KEYS[1])
        shutil.copytree(second, copied)
        sdxl_weights.model_folder(disk, shape, KEYS[0]).symlink_to(first.absolute())
        bench_model.copy_hashes(bench.weights, disk)
        models = {
            key: bench.catalog.models[key].model_copy(
                update={"path": str(sdxl_weights.model_folder(disk, shape, key))}
            )
            for key in KEYS
        }
        moved = replace(bench, weights=disk, catalog=Catalog(models, {}, KEYS[0]))
        yield from_line(cold(moved, context.options))
    finally:
        shutil.rmtree(disk)
