"""Adapter files in RAM: which are kept, which are read again, one read for two threads."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bot.errors import JobFailed
from tests.engine.patches import make
from tests.engine.patches.reading import BASES

SHAPE = (64, 64)
NAMES = ("lora_unet_first", "lora_unet_second")


def subject(check_stop: Callable[[], None] = lambda: None) -> Any:
    from bot.engine.subject import Subject

    return Subject("adapter", "tested", lambda _: None, check_stop)


def known(path: str = "first") -> dict[str, Any]:
    from bot.engine.patches import Target

    return {NAMES[0]: Target("unet", path, SHAPE, has_bias=False)}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three files of one size."""
    return [
        make.file(tmp_path / f"{n}.safetensors", "LoRA", {NAMES[0]: SHAPE}, seed=n)
        for n in range(3)
    ]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read, in order."""
    from bot.engine.patches import read as real

    done: list[str] = []

    def counted(path: Path, *rest: Any) -> Any:
        done.append(path.stem)
        return real(path, *rest)

    monkeypatch.setattr("bot.engine.patches.cache.read", counted)
    return done


def test_another_configuration_beside_a_file_is_another_adapter(tmp_path: Path) -> None:
    import json

    from bot.engine.patches import AdapterCache

    file = make.file(tmp_path / "adapter_model.safetensors", "LoRA", {NAMES[0]: SHAPE}, alpha=None)
    config, cache, names = tmp_path / "adapter_config.json", AdapterCache(2**20), known()
    deltas = []
    base = make.module("full", SHAPE)["diff"]
    for alpha in (4, 16):
        config.write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": alpha}))
        contents = cache.get(file, names, BASES, subject())
        assert cache.get(file, names, BASES, subject()) is contents
        deltas.append(contents.changes[0].delta(base))
        assert cache.nbytes == contents.nbytes
    assert (deltas[1] - 4.0 * deltas[0]).abs().max() <= 1e-5


def test_the_least_recently_used_is_forgotten(paths: list[Path], reads: list[str]) -> None:
    from bot.engine.patches import AdapterCache, Spellings, read

    names = known()
    size = read(paths[0], Spellings(names), BASES, subject()).nbytes
    assert size >= 2 * 4 * 64 * 4
    library = AdapterCache(2 * size)
    first = library.get(paths[0], names, BASES, subject())
    library.get(paths[1], names, BASES, subject())
    assert library.get(paths[0], names, BASES, subject()) is first
    assert library.nbytes == 2 * size
    library.get(paths[2], names, BASES, subject())  # drops 1, the least recently used
    assert library.nbytes == 2 * size
    assert library.get(paths[0], names, BASES, subject()) is first
    assert reads == ["0", "1", "2"]
    library.get(paths[1], names, BASES, subject())
    assert reads == ["0", "1", "2", "1"]


def test_a_file_over_the_limit_is_returned_but_not_kept(paths: list[Path]) -> None:
    from bot.engine.patches import AdapterCache

    library = AdapterCache(100)
    assert library.get(paths[0], known(), BASES, subject()).matched == 1
    assert library.nbytes == 0


def test_a_changed_file_is_read_again(paths: list[Path], reads: list[str]) -> None:
    from bot.engine.patches import AdapterCache

    library, names = AdapterCache(2**20), known()
    before = library.get(paths[0], names, BASES, subject())
    make.file(paths[0], "LoRA", {NAMES[0]: SHAPE}, seed=9)
    os.utime(paths[0], ns=(1, 1))
    after = library.get(paths[0], names, BASES, subject())
    assert after is not before
    assert reads == ["0", "0"]
    assert library.nbytes == after.nbytes  # the old one is not kept as well


def test_models_with_the_same_names_share(paths: list[Path], reads: list[str]) -> None:
    from bot.engine.patches import AdapterCache

    library = AdapterCache(2**20)
    one = library.get(paths[0], known(), BASES, subject())
    assert library.get(paths[0], known(), BASES, subject()) is one
    other = library.get(paths[0], known("second"), BASES, subject())
    assert other.changes[0].parameter == "second.weight"
    assert reads == ["0", "0"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    from bot.engine.patches import AdapterCache

    with pytest.raises(JobFailed) as failure:
        AdapterCache(2**20).get(tmp_path / "gone.safetensors", known(), BASES, subject())
    assert failure.value.code == "adapter.missing"


class Gate:
    """A read that waits until it is released, and may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from bot.engine.patches import read

        self.entered, self.open = threading.Event(), threading.Event()
        self.count = 0
        self.error: Exception | None = None
        self._real = read
        monkeypatch.setattr("bot.engine.patches.cache.read", self._read)

    def _read(self, path: Path, *rest: Any) -> Any:
        self.count += 1
        self.entered.set()
        assert self.open.wait(20)
        if self.error:
            error, self.error = self.error, None
            raise error
        return self._real(path, *rest)


def test_two_threads_read_a_file_once(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.patches import AdapterCache

    gate, library, names = Gate(monkeypatch), AdapterCache(2**20), known()
    asked = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(library.get, paths[0], names, BASES, subject())
        assert gate.entered.wait(20)
        second = pool.submit(library.get, paths[0], names, BASES, subject(asked.set))
        assert asked.wait(20)  # it waits, and checks whether it was stopped
        gate.open.set()
        assert first.result(20) is second.result(20)
    assert gate.count == 1


def test_others_are_not_held_up_by_a_reading(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches import AdapterCache

    library, names = AdapterCache(2**20), known()
    kept = library.get(paths[1], names, BASES, subject())
    gate = Gate(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(library.get, paths[0], names, BASES, subject())
        assert gate.entered.wait(20)
        assert library.get(paths[1], names, BASES, subject()) is kept
        assert library.nbytes == kept.nbytes
        gate.open.set()
        assert slow.result(20).matched == 1


def test_a_reading_that_failed_for_one_is_done_anew_for_the_other(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefetch may be stopped while a job waits for the same file."""
    from bot.engine.patches import AdapterCache

    gate, library, names = Gate(monkeypatch), AdapterCache(2**20), known()
    gate.error = RuntimeError("stopped")
    asked = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(library.get, paths[0], names, BASES, subject())
        assert gate.entered.wait(20)
        second = pool.submit(library.get, paths[0], names, BASES, subject(asked.set))
        assert asked.wait(20)
        gate.open.set()
        with pytest.raises(RuntimeError, match="stopped"):
            first.result(20)
        assert second.result(20).matched == 1
    assert gate.count == 2


def test_who_waits_can_be_stopped(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.patches import AdapterCache

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    gate, library, names = Gate(monkeypatch), AdapterCache(2**20), known()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(library.get, paths[0], names, BASES, subject())
        assert gate.entered.wait(20)
        with pytest.raises(Stopped):
            pool.submit(library.get, paths[0], names, BASES, subject(stop)).result(20)
        gate.open.set()
        assert first.result(20).matched == 1
