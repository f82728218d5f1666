"""Which weight files of a network are read."""

import pytest

from catalog.weight_sets import MissingShard, indexes, weight_files

BASE = "diffusion_pytorch_model"


def chosen(names: set[str], *, half: bool = False) -> tuple[str, ...]:
    found = weight_files({f"unet/{name}" for name in names}, "unet/", (BASE, "model"), half=half)
    return tuple(name.removeprefix("unet/") for name in found[0].files) if found else ()


@pytest.mark.parametrize(
    "names",
    [
        (f"{BASE}.safetensors",),
        *((f"{BASE}.{v}.safetensors",) for v in ("fp16", "fp32", "bf16", "ema_only", "my_own")),
        (f"{BASE}.fp16.non_ema.safetensors",),
        (f"{BASE}-00001-of-00002.safetensors", f"{BASE}-00002-of-00002.safetensors"),
        (f"{BASE}.fp16-00001-of-00002.safetensors", f"{BASE}.fp16-00002-of-00002.safetensors"),
        (f"{BASE}-00001-of-00002.fp16.safetensors", f"{BASE}-00002-of-00002.fp16.safetensors"),
        (f"{BASE}-00000-of-00002.safetensors", f"{BASE}-00001-of-00002.safetensors"),
        (f"{BASE}-1-of-1.safetensors",),
        ("model.safetensors",),
        ("model.bf16-00001-of-00001.safetensors",),
    ],
)
@pytest.mark.parametrize("half", [True, False])
def test_the_only_set_is_taken_whatever_its_name(names: tuple[str, ...], half: bool) -> None:
    others = {
        f"{BASE}.bin",
        f"{BASE}.msgpack",
        "notes.safetensors",
        f"{BASE}.safetensors.index.json",
    }
    assert chosen({*names, *others}, half=half) == names


@pytest.mark.parametrize(
    ("half", "order"),
    [
        (True, ["fp16", "", "fp32", "ema_only", "bf16", "int8", "non_ema"]),
        (False, ["", "fp32", "ema_only", "fp16", "bf16", "int8", "non_ema"]),
    ],
)
def test_the_best_of_several_is_taken(half: bool, order: list[str]) -> None:
    files = [f"{BASE}.{name}.safetensors".replace("..", ".") for name in order]
    while files:
        assert chosen({*files, "model.safetensors"}, half=half) == (files[0],)
        del files[0]


def test_one_file_goes_before_shards_and_complete_before_broken_ones() -> None:
    shards = {f"{BASE}-0000{n}-of-00002.safetensors" for n in (1, 2)}
    assert chosen({*shards, f"{BASE}.safetensors"}) == (f"{BASE}.safetensors",)
    broken = {f"{BASE}-00001-of-00003.safetensors"}
    assert set(chosen({*shards, *broken})) == shards
    assert chosen({*broken, f"{BASE}.fp16.safetensors"}) == (f"{BASE}.fp16.safetensors",)


def test_both_spellings_of_the_same_shards_are_one_set() -> None:
    first = {f"{BASE}.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)}
    second = {f"{BASE}-0000{n}-of-00002.fp16.safetensors" for n in (1, 2)}
    assert len(chosen(first | second)) == 2


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (f"{BASE}-00001-of-00002.safetensors", f"unet/{BASE}-00002-of-00002.safetensors"),
        (f"{BASE}.fp16-00002-of-00002.safetensors", f"unet/{BASE}.fp16-00001-of-00002.safetensors"),
        (f"{BASE}-00002-of-00002.fp16.safetensors", f"unet/{BASE}-00001-of-00002.fp16.safetensors"),
    ],
)
def test_a_missing_shard_is_named(there: str, missing: str) -> None:
    with pytest.raises(MissingShard) as failure:
        chosen({there})
    assert str(failure.value) == missing


def test_a_claim_of_a_million_shards_costs_nothing() -> None:
    with pytest.raises(MissingShard):
        chosen({f"{BASE}-000001-of-999999.safetensors"})


def test_other_folders_and_files_do_not_count() -> None:
    assert chosen({"sub/diffusion_pytorch_model.safetensors", f"my_{BASE}.safetensors"}) == ()
    assert chosen(set()) == ()


@pytest.mark.parametrize(
    "index", ["{base}.safetensors.index.fp16.json", "{base}.fp16.safetensors.index.json"]
)
def test_the_index_belongs_to_the_files(index: str) -> None:
    names = {f"{BASE}.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)}
    names |= {index.format(base=BASE), f"{BASE}.safetensors.index.json"}
    (found,) = weight_files(names, "", (BASE,), half=True)
    assert indexes(names, "", BASE, found) == [index.format(base=BASE)]
