"""Whether an image would come out the same today."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bot.engine.hashing import HashCache
from bot.recipe import Recipe, Weights
from bot.today import Today, today
from catalog import AdapterEntry, Catalog, ModelEntry
from tests.store.factories import recipe, request

NEVER, LATER = 0, 4_000_000_000_000
"""Before and after any file of the tests was written, in milliseconds."""


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    for name in ("base.safetensors", "ink.safetensors", "folder/unet.safetensors"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


CATALOG = Catalog(
    {
        "base": ModelEntry(key="base", name="Base", path="base.safetensors"),
        "whole": ModelEntry(key="whole", name="Whole", path="folder"),
        "lost": ModelEntry(key="lost", name="Lost", path="lost.safetensors"),
    },
    {"ink": AdapterEntry(key="ink", name="Ink", path="ink.safetensors")},
    "base",
)


def made(model: str = "base", **environment: str) -> Recipe:
    digest = hashlib.sha256(f"{model}.safetensors".encode()).hexdigest()
    return replace(
        recipe(request(model=model)),
        checkpoint=Weights(model, digest, digest[:10]),
        adapters=(),
        environment=environment,
    )


def asked(made: Recipe, models_dir: Path, painted_at: int = LATER, **environment: str) -> Today:
    hashes = models_dir / "hashes.json"
    return today(made, painted_at, CATALOG, models_dir, hashes, environment)


def test_files_older_than_the_image_are_the_same(models_dir: Path) -> None:
    assert asked(made(), models_dir).same
    assert asked(made("whole"), models_dir).same


def test_newer_ones_that_were_not_used_since_are_unsure(models_dir: Path) -> None:
    assert asked(made(), models_dir, NEVER) == Today(unsure=("base",))
    assert asked(made("whole"), models_dir, NEVER) == Today(unsure=("whole",))


def test_a_copy_that_keeps_the_time_of_another_file_is_newer_all_the_same(
    models_dir: Path,
) -> None:
    now = (models_dir / "base.safetensors").stat().st_mtime_ns // 1_000_000
    other = models_dir / "other"
    other.write_bytes(b"other")
    os.utime(other, (0, 0))
    other.replace(models_dir / "base.safetensors")
    assert asked(made(), models_dir, now - 1) == Today(unsure=("base",))


def test_one_that_was_used_since_is_known_by_its_contents(models_dir: Path) -> None:
    book = HashCache(models_dir / "hashes.json")
    file = models_dir / "base.safetensors"
    book.of_file(file, lambda _: None)
    assert asked(made(), models_dir, NEVER).same
    file.write_bytes(b"replaced")
    book.of_file(file, lambda _: None)
    assert asked(made(), models_dir, LATER) == Today(changed=("base",))


def test_what_is_not_there_any_more_is_named(models_dir: Path) -> None:
    lora = Weights("gone-lora", "c" * 64, "c" * 12)
    lost = replace(made("lost"), adapters=(lora,))
    assert asked(lost, models_dir) == Today(gone=("lost", "gone-lora"))


def test_other_versions_and_devices_are_named_but_kernels_are_asked_for(models_dir: Path) -> None:
    then = made(torch="0.1", device="cuda", kernels="compiled", only_then="x")
    found = asked(then, models_dir, device="cpu", kernels="eager")
    assert found.changed == ("device", "torch")
