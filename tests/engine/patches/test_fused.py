"""Adapters whose file has as one matrix what the model has as several, or the other way round."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.patches import make
from tests.engine.patches.formulas import RANK, expected_delta
from tests.engine.patches.fusing import SPLIT, Patched, names, rows_of, shape_of
from tests.engine.patches.reading import BASES, read, refused, subject
from tests.engine.patches.test_algorithms import ALPHAS, LINEAR
from tests.parameters import mostly_long

CONVOLUTION = (96, 64, 3, 3)
MAPPINGS = ("fused", "slice", "swapped", "slices")
CASES = [
    *((algorithm, LINEAR) for algorithm in make.fitting(LINEAR)),
    *((algorithm, CONVOLUTION) for algorithm in make.fitting(CONVOLUTION) if "Tucker" in algorithm),
]


@pytest.mark.parametrize("name", mostly_long(MAPPINGS, usual=2))
@pytest.mark.parametrize(
    ("algorithm", "shape"), CASES, ids=[f"{algorithm} {len(shape)}d" for algorithm, shape in CASES]
)
def test_is_the_dense_formula_of_the_fused_matrix(
    algorithm: str, shape: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    """Every kind, at several weights, in all rows and in no others."""
    options: Any = {"rank": RANK, "alpha": ALPHAS.get(algorithm, 3.0)}
    of_file = shape_of(name, shape)
    path = make.file(tmp_path / "x.safetensors", algorithm, {name: of_file}, **options)
    tensors = make.module(algorithm, of_file, **options)
    file = read(path, names(shape))
    assert (file.total, file.matched, file.skipped) == (1, 1, ())
    network = Patched(shape)
    places = rows_of(name, shape)
    base = torch.cat([network.pristine[f"{p}.weight"][a:b] for p, a, b in places]).double()
    exact = expected_delta(algorithm, tensors, base)
    assert exact.abs().max() > 0.1
    for weight in (-1.0, 0.3, 1.0, 2.0):
        wanted = {key: value.double() for key, value in network.pristine.items()}
        start = 0
        for module, low, high in places:
            wanted[f"{module}.weight"][low:high] += weight * exact[start : start + high - low]
            if "diff_b" in tensors:
                bias = tensors["diff_b"][start : start + high - low]
                wanted[f"{module}.bias"][low:high] += weight * bias
            start += high - low
        for key, value in network.wear((weight, file.changes)).items():
            assert (value.double() - wanted[key]).abs().max() <= 1e-5, key


@pytest.mark.parametrize(
    "dtype", mostly_long([torch.float32, torch.float16], usual=[torch.float16])
)
def test_a_hundred_random_sets_leave_nothing_behind(tmp_path: Path, dtype: torch.dtype) -> None:
    """Each is byte for byte what a network has that never wore anything else."""
    known = names(LINEAR)
    kinds = ["LoRA", "DoRA", "DoRA, columns", "LoKr", "Diag-OFT", "BOFT", "(IA)³, input", "GLoRA"]
    files = [
        read(make.file(tmp_path / f"{n}.safetensors", kind, {name: shape_of(name, LINEAR)}), known)
        for n, (kind, name) in enumerate((k, m) for k in kinds for m in MAPPINGS)
    ]
    chance = random.Random(1)
    worn = Patched(LINEAR, dtype)
    for _ in range(100):
        chosen = chance.sample(files, chance.randrange(5))
        adapters = [(chance.choice([-0.5, 0.4, 1.0]), file.changes) for file in chosen]
        got, wanted = worn.wear(*adapters), Patched(LINEAR, dtype).wear(*adapters)
        assert all(torch.equal(got[key], wanted[key]) for key in wanted)
    assert all(torch.equal(value, worn.pristine[key]) for key, value in worn.wear().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("algorithm", make.fitting(LINEAR))
def test_is_the_same_on_a_gpu(algorithm: str, tmp_path: Path) -> None:
    """Where the tensors come in windows, and the parameters that are fused one by one."""
    known = names(LINEAR)
    files = [
        read(
            make.file(tmp_path / f"{name}.safetensors", algorithm, {name: shape_of(name, LINEAR)}),
            known,
        )
        for name in MAPPINGS
    ]
    adapters = [(0.7, file.changes) for file in files]
    got, wanted = Patched(LINEAR, device="cuda").wear(*adapters), Patched(LINEAR).wear(*adapters)
    assert all((got[key] - wanted[key]).abs().max() <= 1e-4 for key in wanted)


def test_a_lora_is_cut_and_its_product_is_never_whole(tmp_path: Path) -> None:
    path = make.file(tmp_path / "x.safetensors", "LoRA", {"fused": LINEAR})
    file = read(path, names(LINEAR))
    assert [change.parameter for change in file.changes] == [f"{path}.weight" for path in SPLIT]
    assert [len(change.algorithm.up) for change in file.changes] == list(SPLIT.values())
    assert len({id(change.algorithm.down) for change in file.changes}) == 1
    up = file.changes[0].algorithm.up
    assert [change.nbytes for change in file.changes] == [
        (rows + LINEAR[1]) * RANK * up.itemsize for rows in SPLIT.values()
    ]


@pytest.mark.parametrize("algorithm", ["Diag-OFT", "BOFT", "DoRA, columns"])
@pytest.mark.parametrize(("name", "times"), [("fused", 1), ("swapped", 1), ("slice", 1)])
def test_what_needs_the_whole_matrix_is_computed_once(
    algorithm: str, name: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches.changes import Decomposed, WeightChange

    counted: list[Any] = []
    for kind in (Decomposed, WeightChange):

        def delta(change: Any, base: Any, real: Callable[..., Any] = kind.delta) -> Any:
            counted.append(tuple(base.shape))
            return real(change, base)

        monkeypatch.setattr(kind, "delta", delta)
    shape = shape_of(name, LINEAR)
    path = make.file(tmp_path / "x.safetensors", algorithm, {name: shape})
    Patched(LINEAR).wear((0.5, read(path, names(LINEAR)).changes))
    assert counted == [shape] * times


def test_two_that_need_the_whole_matrix_are_summed(tmp_path: Path) -> None:
    """They take turns at each parameter, and each keeps its own change."""
    known, network = names(LINEAR), Patched(LINEAR)
    base = torch.cat([network.pristine[f"{path}.weight"] for path in SPLIT]).double()
    adapters, wanted = [], base.clone()
    for weight, algorithm in ((0.5, "Diag-OFT"), (-0.3, "BOFT"), (0.7, "DoRA, columns")):
        options: Any = {"rank": RANK, "alpha": 3.0}
        path = tmp_path / f"{algorithm}.safetensors"
        file = read(make.file(path, algorithm, {"fused": LINEAR}, **options), known)
        adapters.append((weight, file.changes))
        exact = expected_delta(algorithm, make.module(algorithm, LINEAR, **options), base)
        wanted += weight * exact
    got = network.wear(*adapters)
    summed = torch.cat([got[f"{path}.weight"] for path in SPLIT])
    assert (summed.double() - wanted).abs().max() <= 1e-5


def test_only_one_parameter_of_a_fused_matrix_is_made_anew(tmp_path: Path) -> None:
    """When an adapter that only changed that one is taken off."""
    known = names(LINEAR)
    oft = read(make.file(tmp_path / "a.safetensors", "Diag-OFT", {"fused": LINEAR}), known)
    more = read(make.file(tmp_path / "b.safetensors", "LoRA", {"to_k": (24, 80)}), known)
    network = Patched(LINEAR)
    network.wear((0.5, oft.changes), (1.0, more.changes))
    for name in ("to_q.weight", "to_v.weight"):
        network.part.layout.view(network.part._buffer, name).fill_(3.0)  # type: ignore[arg-type]
    got = network.wear((0.5, oft.changes))
    wanted = Patched(LINEAR).wear((0.5, oft.changes))
    assert torch.equal(got["to_k.weight"], wanted["to_k.weight"])
    assert bool((got["to_q.weight"] == 3.0).all())


@pytest.mark.parametrize("algorithm", mostly_long(make.fitting(LINEAR), usual=12))
@pytest.mark.parametrize("name", ["fused", "swapped"])
def test_what_is_moved_to_a_device_makes_the_same_bits(
    algorithm: str, name: str, tmp_path: Path
) -> None:
    from bot.engine.patches.staging import moved

    path = make.file(tmp_path / "x.safetensors", algorithm, {name: LINEAR}, dtype=torch.float16)
    changes = read(path, names(LINEAR)).changes
    patches = [(change.parameter, [(0.7, change)]) for change in changes]
    there = [change for _, [(_, change)] in moved(patches, "cpu")]
    assert not any(new is old for new, old in zip(there, changes, strict=True))
    got, wanted = (Patched(LINEAR).wear((0.7, each)) for each in (there, changes))
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LoraConfig", {"r": 4, "lora_alpha": 16, "use_dora": True, "bias": "all"}),
        ("LoKrConfig", {"r": 2, "alpha": 16}),
        ("OFTConfig", {"oft_block_size": 8}),
        ("BOFTConfig", {"boft_block_size": 8}),
        ("IA3Config", {"feedforward_modules": []}),
        ("IA3Config", {"feedforward_modules": ["qkv"]}),
    ],
)
@pytest.mark.parametrize("name", ["fused", "swapped"])
def test_a_folder_of_peft_is_what_peft_merges(
    kind: str, options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """With the bias that (IA)³ scales, and those that are trained as a whole."""
    import peft

    from bot.engine.patches import Spellings
    from bot.engine.patches import read as read_at

    class Fused(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = torch.nn.Linear(LINEAR[1], LINEAR[0])

    torch.manual_seed(3)
    network = Patched(LINEAR)
    places = rows_of(name, LINEAR)

    def theirs_of(values: dict[str, Any], leaf: str) -> Any:
        return torch.cat([values[f"{path}.{leaf}"][low:high] for path, low, high in places])

    plain = {f"qkv.{leaf}": theirs_of(network.pristine, leaf) for leaf in ("weight", "bias")}
    fused = Fused()
    fused.load_state_dict(plain)
    model: Any = peft.get_peft_model(fused, getattr(peft, kind)(target_modules=["qkv"], **options))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if any(mark in parameter_name for mark in ("magnitude", "ia3_l", "boft_s")):
                parameter.mul_(torch.rand_like(parameter) * 3.0 + 0.5)
            elif "base_layer" not in parameter_name or "bias" in parameter_name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(tmp_path)
    again = Fused()
    again.load_state_dict(plain)
    merged: Any = peft.PeftModel.from_pretrained(again, tmp_path).merge_and_unload().state_dict()
    file = read_at(
        tmp_path / "adapter_model.safetensors",
        Spellings({"qkv": names(LINEAR)[name]}),
        BASES,
        subject(),
    )
    got = network.wear((1.0, file.changes))
    for leaf in ("weight", "bias"):
        assert (theirs_of(got, leaf) - merged[f"qkv.{leaf}"]).abs().max() <= 2e-5
    assert (merged["qkv.weight"] - plain["qkv.weight"]).abs().max() > 0.04


def test_a_fused_module_that_the_model_has_only_in_part_is_skipped(tmp_path: Path) -> None:
    path = make.file(tmp_path / "x.safetensors", "LoRA", {"fused": LINEAR, "to_kv": (56, 80)})
    file = read(path, names(LINEAR))
    assert (file.total, file.matched) == (2, 1)
    assert file.skipped == (("to_kv", "no_such_module"),)


def test_a_bias_that_not_every_piece_has_is_skipped(tmp_path: Path) -> None:
    from bot.engine.patches import Fused, Target

    pieces = (
        Target("transformer", "a", (40, 80), has_bias=True),
        Target("transformer", "b", (56, 80), has_bias=False),
    )
    path = make.file(tmp_path / "x.safetensors", "LoRA, bias", {"ab": LINEAR})
    file = read(path, {"ab": Fused(pieces)})
    assert file.skipped == (("ab", "no_bias"),)
    assert [change.parameter for change in file.changes] == ["a.weight", "b.weight"]


@pytest.mark.parametrize("shape", [(95, 80), (96, 79), (32, 80)])
def test_another_shape_than_that_of_all_pieces_is_refused(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    path = make.file(tmp_path / "x.safetensors", "LoRA", {"fused": shape})
    failure = refused(path, names(LINEAR))
    assert failure.code == "adapter.other_shape"
    assert failure.params["expected"] == "96×80"


def test_what_cannot_be_fused_or_cut_is_a_mistake_of_ours() -> None:
    from bot.engine.patches import Fused, Target

    whole = Target("transformer", "whole", (96, 80), has_bias=True)
    with pytest.raises(ValueError, match="rows 0 to 96, not 90 to 97"):
        whole.cut(90, 97)
    assert whole.cut(16, 48).cut(8, 16).rows == (24, 32)
    with pytest.raises(ValueError, match="cannot be fused"):
        Fused((whole, Target("transformer", "other", (96, 64), has_bias=True)))
    with pytest.raises(ValueError, match="cannot be fused"):
        Fused((whole, Target("text_encoder", "whole", (96, 80), has_bias=True)))
