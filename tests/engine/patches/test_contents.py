"""The digests of an adapter are those of the numbers that are applied."""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.errors import JobFailed
from catalog.weight_files import open_tensors
from tests.engine.patches import make
from tests.engine.patches.reading import BASES, subject

NAME, SHAPE = "lora_unet_first", (64, 48)


@pytest.fixture
def known() -> dict[str, Any]:
    from bot.engine.patches import Target

    return {NAME: Target("unet", "first", SHAPE, has_bias=False)}


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("contents", "file_tensors"):
        monkeypatch.setattr(f"bot.engine.patches.{module}.PIECE", 1000)


def a_file(path: Path, seed: int = 1) -> Path:
    return make.file(path, "LoRA", {NAME: SHAPE}, seed=seed)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def delta(file: Any) -> torch.Tensor:
    made: torch.Tensor = file.changes[0].delta(torch.zeros(SHAPE))
    return made


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Have `change` happen between the reading of the header and that of the tensors."""

    def opened(path: Path) -> Any:
        found = open_tensors(path)
        change()
        return found

    monkeypatch.setattr("bot.engine.patches.file.open_tensors", opened)


def cache_of(folder: Path) -> Any:
    from bot.engine.hashing import HashCache
    from bot.engine.patches import AdapterCache

    return AdapterCache(2**20, HashCache(folder / "hashes.json"))


def test_the_digests_are_those_that_sha256sum_prints(known: dict[str, Any], tmp_path: Path) -> None:
    path = a_file(tmp_path / "x.safetensors")
    data = path.read_bytes()
    file = cache_of(tmp_path).get(path, known, BASES, subject())
    start = 8 + int.from_bytes(data[:8], "little")
    assert (file.sha256, file.data_sha256) == (sha256(data), sha256(data[start:]))


def test_bytes_after_the_tensors_are_hashed_but_not_kept(
    known: dict[str, Any], tmp_path: Path
) -> None:
    path = a_file(tmp_path / "x.safetensors")
    bare = cache_of(tmp_path).get(path, known, BASES, subject())
    data = path.read_bytes() + bytes(10_500)
    path.write_bytes(data)
    file = cache_of(tmp_path).get(path, known, BASES, subject())
    start = 8 + int.from_bytes(data[:8], "little")
    assert (file.sha256, file.data_sha256) == (sha256(data), sha256(data[start:]))
    assert file.nbytes == bare.nbytes


def test_a_file_that_another_replaces_is_read_and_hashed_as_it_was(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = a_file(tmp_path / "x.safetensors"), a_file(tmp_path / "new.safetensors", seed=2)
    old, new = path.read_bytes(), other.read_bytes()
    expected = delta(cache_of(tmp_path / "apart").get(path, known, BASES, subject()))
    library = cache_of(tmp_path)
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: other.replace(path))
        file = library.get(path, known, BASES, subject())
    assert file.sha256 == sha256(old)
    assert torch.equal(delta(file), expected)
    after = library.get(path, known, BASES, subject())
    assert after.sha256 == sha256(new)
    assert not torch.equal(delta(after), expected)


@pytest.mark.parametrize("hashed_before", [False, True])
def test_a_file_that_is_written_to_is_hashed_as_it_was_applied(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed_before: bool
) -> None:
    """Its digests, known or not, are not those of its earlier bytes; and nothing of it is kept."""
    path = a_file(tmp_path / "x.safetensors")
    new = a_file(tmp_path / "new.safetensors", seed=2).read_bytes()
    os.utime(path, ns=(1, 1))
    old_digest = sha256(path.read_bytes())
    if hashed_before:
        assert cache_of(tmp_path).get(path, known, BASES, subject()).sha256 == old_digest
    library = cache_of(tmp_path)
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: path.write_bytes(new))
        file = library.get(path, known, BASES, subject())
    assert file.sha256 == sha256(new)
    there = cache_of(tmp_path / "apart").get(path, known, BASES, subject())
    assert torch.equal(delta(file), delta(there))
    assert library.nbytes == 0
    kept = (tmp_path / "hashes.json").read_text() if hashed_before else ""
    assert sha256(new) not in kept
    os.utime(path, ns=(1, 1))  # as if it had never changed: the earlier bytes are what is known
    assert cache_of(tmp_path).get(path, known, BASES, subject()).stamp == (len(new), 1)


def test_a_file_that_grows_is_read_to_where_it_ended(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path / "x.safetensors")
    data = path.read_bytes()

    def grow() -> None:
        with path.open("ab") as file:
            file.write(bytes(5000))
        os.utime(path, ns=(1, 1))

    meanwhile(monkeypatch, grow)
    library = cache_of(tmp_path)
    assert library.get(path, known, BASES, subject()).sha256 == sha256(data)
    assert library.nbytes == 0
    assert not (tmp_path / "hashes.json").exists()


def test_a_file_that_was_hashed_is_not_hashed_again(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path / "x.safetensors")
    first = cache_of(tmp_path).get(path, known, BASES, subject())
    from bot.engine.patches.contents import Contents

    def hashing(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Contents, "_hash", hashing)
    again = cache_of(tmp_path).get(path, known, BASES, subject())  # as after a restart
    assert (again.sha256, again.data_sha256) == (first.sha256, first.data_sha256)
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssertionError):
        cache_of(tmp_path).get(path, known, BASES, subject())


def test_a_configuration_beside_a_file_is_hashed_with_it(
    known: dict[str, Any], tmp_path: Path
) -> None:
    from bot.engine.hashing import HashCache

    path = a_file(tmp_path / "adapter_model.safetensors")
    config = tmp_path / "adapter_config.json"
    config.write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    file = cache_of(tmp_path).get(path, known, BASES, subject())
    hashes = HashCache(tmp_path / "apart.json")
    assert file.sha256 == hashes.of_files(tmp_path, [path, config], lambda _: None)


def test_all_of_a_configuration_that_has_no_say_is_hashed(
    known: dict[str, Any], tmp_path: Path
) -> None:
    """Beside a file whose metadata says the same, even one that is too large to be read."""
    from safetensors.torch import load_file, save_file

    from bot.engine.hashing import HashCache
    from catalog.weight_files import CONFIG_MAX

    path = a_file(tmp_path / "adapter_model.safetensors")
    told = {"lora_adapter_metadata": '{"peft_type": "LORA", "r": 4, "lora_alpha": 8}'}
    save_file(load_file(path), path, told)
    config = tmp_path / "adapter_config.json"
    seen = set()
    for more in (-5, 0, 1, 2, 5000):
        config.write_bytes(b"x" * (CONFIG_MAX + more))
        file = cache_of(tmp_path).get(path, known, BASES, subject())
        hashes = HashCache(tmp_path / "apart.json")
        assert file.sha256 == hashes.of_files(tmp_path, [path, config], lambda _: None)
        seen.add(file.sha256)
    assert len(seen) == 5


def test_a_job_can_be_stopped_while_its_file_is_read(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even by a disk that has sent half of it; and no thread of the reading stays."""
    from bot.engine.patches.file_tensors import FileTensors

    class Stopped(Exception):
        pass

    reading, stopped = threading.Event(), threading.Event()
    real = FileTensors.fill

    def slow(self: Any, file: Any) -> Any:
        for number, piece in enumerate(real(self, file)):
            if number == 1:
                reading.set()
                assert stopped.wait(20)
            yield piece

    def stop() -> None:
        if reading.is_set():
            stopped.set()
            raise Stopped

    monkeypatch.setattr(FileTensors, "fill", slow)
    before = threading.active_count()
    with pytest.raises(Stopped):
        cache_of(tmp_path).get(a_file(tmp_path / "x.safetensors"), known, BASES, subject(stop))
    assert threading.active_count() == before


def test_a_disk_that_fails_is_named(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches.file_tensors import FileTensors

    def broken(self: Any, file: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FileTensors, "fill", broken)
    with pytest.raises(JobFailed) as failure:
        cache_of(tmp_path).get(a_file(tmp_path / "x.safetensors"), known, BASES, subject())
    assert failure.value.code == "adapter.unreadable"
