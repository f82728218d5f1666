"""Adapters whose file has the same change by the names of two programs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.factories import save
from tests.engine.patches import make
from tests.engine.patches.formulas import RANK
from tests.engine.patches.fusing import SPLIT, Patched, names
from tests.engine.patches.reading import read, refused
from tests.engine.patches.test_algorithms import LINEAR


def kohya(name: str, up: Any, down: Any, alpha: float = RANK) -> dict[str, Any]:
    return {
        f"{name}.lora_up.weight": up.clone(),
        f"{name}.lora_down.weight": down.clone(),
        f"{name}.alpha": torch.tensor(alpha),
    }


def twice(
    *, changed: float = 0.0, alpha: float = RANK, dtype: torch.dtype = torch.float32
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A LoRA of qkv, and the same of its three parts, rounded to `dtype`."""
    made = make.module("LoRA", LINEAR, rank=RANK, alpha=None)
    up, down = made["lora_up.weight"], made["lora_down.weight"]
    parts: dict[str, Any] = {}
    for path, piece in zip(SPLIT, up.split(list(SPLIT.values())), strict=True):
        scale = RANK / alpha
        parts |= kohya(path, (piece * scale + changed).to(dtype), down.to(dtype), alpha)
    return kohya("fused", up, down), parts


@pytest.mark.parametrize("first", ["fused", "split"])
@pytest.mark.parametrize(
    "options", [{}, {"dtype": torch.bfloat16}, {"alpha": 1.0, "dtype": torch.float16}]
)
def test_what_is_in_a_file_by_the_names_of_two_programs_is_applied_once(
    first: str, options: dict[str, Any], tmp_path: Path
) -> None:
    fused, split = twice(**options)
    both = {**fused, **split} if first == "fused" else {**split, **fused}
    # And a whole module by two names, as `out` and `to_out.0` in the same files.
    again = make.module("LoRA", LINEAR, rank=RANK, alpha=None, seed=9)
    up, down = again["lora_up.weight"], again["lora_down.weight"]
    both |= kohya("whole", up, down) | kohya("transformer_whole", up, down)
    known = names(LINEAR)
    known["transformer.whole"] = known["whole"]
    file = read(save(tmp_path / "x.safetensors", both), known)
    assert (file.total, file.matched) == (6, 6)
    assert sorted(change.parameter for change in file.changes) == [
        *sorted(f"{path}.weight" for path in SPLIT),
        "whole.weight",
    ]
    network = Patched(LINEAR)
    alone = read(save(tmp_path / "y.safetensors", fused | kohya("whole", up, down)), known)
    got, wanted = network.wear((1.0, file.changes)), Patched(LINEAR).wear((1.0, alone.changes))
    for key, value in wanted.items():
        assert (got[key] - value).abs().max() <= 0.02


@pytest.mark.parametrize("first", ["fused", "split"])
def test_two_different_changes_of_the_same_rows_are_broken(first: str, tmp_path: Path) -> None:
    fused, split = twice(changed=0.1)
    both = {**fused, **split} if first == "fused" else {**split, **fused}
    failure = refused(save(tmp_path / "x.safetensors", both), names(LINEAR))
    assert failure.code == "adapter.broken"


@pytest.mark.parametrize(
    ("kind", "other"),
    [("LoRA", "LoHa"), ("LoRA", "Diag-OFT"), ("LoRA", "DoRA"), ("LoHa", "LoHa")],
)
def test_what_cannot_be_told_to_be_the_same_is_broken(
    kind: str, other: str, tmp_path: Path
) -> None:
    fused = {f"fused.{role}": value for role, value in make.module(kind, LINEAR).items()}
    more = {f"to_q.{role}": value for role, value in make.module(other, (40, 80)).items()}
    failure = refused(save(tmp_path / "x.safetensors", fused | more), names(LINEAR))
    assert failure.code == "adapter.broken"


def test_slices_that_do_not_overlap_are_all_applied(tmp_path: Path) -> None:
    known = names(LINEAR)
    whole = known["whole"]
    known |= {"q": whole.cut(0, 40), "kv": whole.cut(40, 96)}
    path = make.file(tmp_path / "x.safetensors", "LoRA", {"q": (40, 80), "kv": (56, 80)})
    changes = read(path, known).changes
    assert sorted((each.start, each.stop) for each in changes) == [(0, 40), (40, 96)]


def test_slices_of_a_module_that_is_there_whole_are_applied_once(tmp_path: Path) -> None:
    """The model has the fused matrix, and so has the file, and its slices too."""
    known = names(LINEAR)
    whole = known["whole"]
    known |= {"q": whole.cut(0, 40), "kv": whole.cut(40, 96)}
    made = make.module("LoRA", LINEAR, rank=RANK, alpha=None)
    up, down = made["lora_up.weight"], made["lora_down.weight"]
    split = kohya("q", up[:40], down) | kohya("kv", up[40:], down)
    file = read(save(tmp_path / "x.safetensors", split | kohya("whole", up, down)), known)
    assert [(change.parameter, change.nbytes) for change in file.changes] == [
        ("whole.weight", (96 + 80) * RANK * 4)
    ]


def test_fused_and_split_names_of_different_rows_are_all_applied(tmp_path: Path) -> None:
    """As in a file in which only some layers were converted."""
    known = names(LINEAR)
    tensors: dict[str, Any] = {}
    for name in ("fused", "swapped"):
        tensors |= {f"{name}.{r}": t for r, t in make.module("LoRA", LINEAR).items()}
    tensors |= {f"to_q.{role}": torch.ones(40) for role in ("diff_b",)}
    file = read(save(tmp_path / "x.safetensors", tensors), known)
    assert [change.parameter for change in file.changes] == [
        *(f"{path}.weight" for path in SPLIT),
        *("whole.weight", "whole.weight"),
        "to_q.bias",
    ]
