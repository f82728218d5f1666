"""Tensors of changes that go to the device together: which, in how many copies, with which bits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.patches import make
from tests.engine.patches.reading import read

MODULES = {f"lora_unet_{number}": (64, 48) for number in range(6)}
FAMILIES = [name for name in make.ALGORITHMS if name != "norm"]


@pytest.fixture
def known() -> dict[str, Any]:
    from bot.engine.patches import Target

    return {
        name: Target("unet", name.removeprefix("lora_"), shape, has_bias=True)
        for name, shape in MODULES.items()
    }


def patches_of(path: Path, known: dict[str, Any], weight: float = 0.7) -> list[Any]:
    return [(each.parameter, [(weight, each)]) for each in read(path, known).changes]


def storages(patches: Any) -> set[int]:
    return {each.algorithm.down.untyped_storage().data_ptr() for _, [(_, each)] in patches}


class Copies:
    """Counts the copies between two tensors and notes their bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        real = torch.Tensor.copy_

        def copy(target: torch.Tensor, source: torch.Tensor, *rest: Any, **more: Any) -> Any:
            self.sizes.append(source.nbytes)
            return real(target, source, *rest, **more)

        monkeypatch.setattr(torch.Tensor, "copy_", copy)


@pytest.mark.parametrize("family", [name for name in FAMILIES if "Tucker" not in name])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_is_moved_makes_the_same_bits(
    known: dict[str, Any], tmp_path: Path, family: str, dtype: torch.dtype
) -> None:
    from bot.engine.patches.staging import moved

    path = make.file(tmp_path / "x.safetensors", family, MODULES, dtype=dtype)
    before = patches_of(path, known)
    after: Any = moved(before, "cpu")
    assert [name for name, _ in after] == [name for name, _ in before]
    for (_, [(weight, old)]), (_, [(same, new)]) in zip(before, after, strict=True):
        assert new is not old
        assert weight == same
        shape = (64,) if old.parameter.endswith("bias") else (64, 48)
        base = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        sums = [base.clone(), base.clone()]
        old.add_to(sums[0], base, weight)
        new.add_to(sums[1], base, weight)
        assert torch.equal(*sums)


def test_one_file_is_moved_in_one_copy(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches.staging import GAP, moved

    path = make.file(tmp_path / "x.safetensors", "LoRA", MODULES, dtype=torch.float16)
    before = patches_of(path, known)
    copies = Copies(monkeypatch)
    after: Any = moved(before, "cpu")
    assert len(copies.sizes) == 1
    assert copies.sizes[0] <= sum(each.nbytes for _, [(_, each)] in before) + GAP
    storages = {each.algorithm.down.untyped_storage().data_ptr() for _, [(_, each)] in after}
    assert len(storages) == 1
    assert storages != {
        each.algorithm.down.untyped_storage().data_ptr() for _, [(_, each)] in before
    }


def test_tensors_in_fp32_are_aligned_as_torch_allocates_them(
    known: dict[str, Any], tmp_path: Path
) -> None:
    """A product reads them where they lie, and may round otherwise at another alignment."""
    from bot.engine.patches.staging import moved

    path = make.file(tmp_path / "x.safetensors", "LoRA", MODULES, rank=3)
    after: Any = moved(patches_of(path, known), "cpu")
    for _, [(_, each)] in after:
        assert each.algorithm.down.storage_offset() == each.algorithm.up.storage_offset() == 0


def test_a_large_file_goes_in_windows_and_a_larger_tensor_alone(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches import staging

    before = patches_of(make.file(tmp_path / "x.safetensors", "LoRA", MODULES), known)
    size = before[0][1][0][1].nbytes
    monkeypatch.setattr(staging, "WINDOW", 2 * size)
    assert [len(batch) for batch in staging.batches(iter(before))] == [2, 2, 2]
    monkeypatch.setattr(staging, "WINDOW", size - 1)
    assert [len(batch) for batch in staging.batches(iter(before))] == [1] * 6
    monkeypatch.setattr(staging, "_MOST", size - 1)
    assert staging.moved(before[:1], "cpu") == before[:1]


def test_without_memory_for_the_window_each_tensor_is_copied_by_itself(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches import staging

    before = patches_of(make.file(tmp_path / "x.safetensors", "LoRA", MODULES), known)

    def full(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "empty", full)
    assert staging.moved(before, "cpu") == before


def test_only_a_gpu_is_sent_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.patches import staging

    sent: list[Any] = []

    def moved(batch: Any, device: str) -> Any:
        sent.append(device)
        return batch

    monkeypatch.setattr(staging, "moved", moved)
    patches: Iterator[Any] = iter([("a", []), ("b", [])])
    assert list(staging.staged(patches, "cpu")) == [("a", []), ("b", [])]
    assert not sent
    assert list(staging.staged(iter([("a", []), ("b", [])]), "cuda:0")) == [("a", []), ("b", [])]
    assert sent == ["cuda:0"]


def test_a_real_move_leaves_nothing_on_the_cpu(known: dict[str, Any], tmp_path: Path) -> None:
    from bot.engine.patches.staging import moved

    path = make.file(tmp_path / "x.safetensors", "LoRA", MODULES, dtype=torch.float16)
    after: Any = moved(patches_of(path, known), "meta")
    for _, [(_, each)] in after:
        assert each.algorithm.down.device.type == each.algorithm.up.device.type == "meta"
