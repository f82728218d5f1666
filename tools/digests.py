"""What a recipe says of a model in diffusers' layout, without torch: for stand-ins of the engine,
whose recipes are compared on their way from a worker with what the order has."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from bot.engine.hashing import HashCache
from bot.engine.selecting import checkpoint_files
from bot.recipe import Weights
from catalog import ModelEntry
from catalog.families import DEFAULT
from catalog.locate import locate

_NOTHING: Final = "0" * 64


def weights_of(entry: ModelEntry) -> Weights:
    """Of the model; with a digest of zeros where its files are not here."""
    digest = _digest(entry.path)
    return Weights(entry.key, digest, digest[:10])


@cache
def _digest(path: str) -> str:
    root = locate(path, Path("models")).path
    if root is None or not root.is_dir():
        return _NOTHING
    names = [each.relative_to(root).as_posix() for each in root.rglob("*") if each.is_file()]
    chosen = checkpoint_files(names, DEFAULT.files, None, half=False)
    with tempfile.TemporaryDirectory() as scratch:
        hashes = HashCache(Path(scratch) / "hashes.json")
        return hashes.of_files(root, [root / name for name in chosen], lambda _: None)
